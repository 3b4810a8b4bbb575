"""What answers the queries of an attention: keys and values, two of these mixed, a mean, or two for two halves."""

import pytest
import torch

from morph.diffusion.exchange import Apart, Averaged, Heard, Mixed


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


@pytest.mark.parametrize("kind", ["mixed", "averaged", "apart"])
def test_what_stands_beside_is_beside_every_answer(query, kind):
    one, other, more = heard(), heard(), heard()
    beside = [part.beside(*more[:2]) for part in (one, other)]
    made = {
        "mixed": lambda first, second: Mixed(first, second, torch.tensor([0.3, 0.6])),
        "averaged": lambda first, second: Averaged(first),
        "apart": lambda first, second: Apart(1, first.rows(slice(1)), second.rows(slice(1, None))),
    }[kind]
    assert torch.allclose(made(one, other).beside(*more[:2]).answer(query), made(*beside).answer(query), atol=1e-6)
