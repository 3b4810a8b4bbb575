"""What answers the queries of an attention: keys and values, two of these mixed, a mean, or two for two halves."""

import pytest
import torch

from morph.diffusion.exchange import Apart, Averaged, Heard, Joint, Led, Mixed, Weighed


@pytest.fixture
def query():
    return torch.randn(2, 2, 5, 4)


def heard(count=2):
    return Heard(torch.randn(count, 2, 3, 4), torch.randn(count, 2, 3, 4))


def test_two_answers_are_mixed_by_each_samples_weight(query):
    first, second = heard(), heard()
    mixed = Mixed(first, second, torch.tensor([0.0, 0.25])).answer(query)
    assert torch.equal(mixed[0], first.answer(query)[0])
    assert torch.allclose(mixed[1], 0.75 * first.answer(query)[1] + 0.25 * second.answer(query)[1], atol=1e-6)


def test_all_samples_are_answered_the_mean(query):
    own = heard()
    answers = Averaged(own).answer(query)
    assert torch.allclose(answers, own.answer(query).mean(0, keepdim=True).expand(2, -1, -1))


def test_samples_ahead_are_answered_apart(query):
    head, rest = heard(1), heard(1)
    apart = Apart(1, head, rest).answer(query)
    assert torch.equal(apart[:1], head.answer(query[:1]))
    assert torch.equal(apart[1:], rest.answer(query[1:]))


def test_own_probabilities_give_the_own_answer_and_others_another(query):
    own = heard()
    biased = own._replace(bias=torch.tensor([0.0, 1.0, -1.0]).reshape(1, 1, 1, 3))
    for one in (own, biased):
        assert torch.allclose(one.probabilities(query).sum(-1), torch.ones(2, 2, 5))
        assert torch.allclose(Weighed(one, lambda maps, joint: maps).answer(query), one.answer(query), atol=1e-6)
    first_alone = Weighed(own, lambda maps, joint: maps * torch.tensor([1.0, 0, 0])).answer(query)
    weights = own.probabilities(query)[..., :1]
    assert torch.allclose(first_alone, (weights * own.values[:, :, :1]).transpose(1, 2).flatten(2), atol=1e-6)


def test_of_a_picture_beside_its_text_the_pictures_queries_are_weighed_few_at_a_time(query, monkeypatch):
    """In any order of the queries; the text's own hear what they did."""
    monkeypatch.setattr("morph.diffusion.exchange.AT_ONCE", 2 * 2 * 3)
    own, seen, watched = heard(), [], []

    def words_alone(maps, joint):
        seen.append(maps.numel())
        return maps * (torch.arange(3) >= 3 - joint.texts)

    for picture, text in ((slice(4), slice(4, None)), (slice(1, None), slice(1))):
        answers = Weighed(own, words_alone, watched.append).answer(query, Joint(picture, 1))
        assert torch.allclose(answers[:, text], own.answer(query)[:, text], atol=1e-6)
        weights = own.probabilities(query[:, :, picture])[..., 2:]
        expected = (weights * own.values[:, :, 2:]).transpose(1, 2).flatten(2)
        assert torch.allclose(answers[:, picture], expected, atol=1e-6)
        assert torch.allclose(watched.pop(), weights.mean(1))
    assert seen == [12] * 8


def test_a_batch_is_led_by_its_first_sample(query):
    own = heard()
    answers = Led(own).answer(query)
    assert torch.allclose(answers[0], own.answer(query)[0], atol=1e-6)
    looks = own.probabilities(query)[:1]
    assert torch.allclose(answers[1:], own.rows(slice(1, None)).weighed(looks), atol=1e-6)


@pytest.mark.parametrize("kind", ["mixed", "averaged", "apart", "weighed", "led"])
def test_what_stands_beside_is_beside_every_answer(query, kind):
    one, other, more = heard(), heard(), heard()
    beside = [part.beside(*more[:2]) for part in (one, other)]
    made = {
        "mixed": lambda first, second: Mixed(first, second, torch.tensor([0.3, 0.6])),
        "averaged": lambda first, second: Averaged(first),
        "weighed": lambda first, second: Weighed(first, lambda maps, joint: maps.square()),
        "led": lambda first, second: Led(first),
        "apart": lambda first, second: Apart(1, first.rows(slice(1)), second.rows(slice(1, None))),
    }[kind]
    assert torch.allclose(made(one, other).beside(*more[:2]).answer(query), made(*beside).answer(query), atol=1e-6)
