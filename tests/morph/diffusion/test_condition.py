import pytest
import torch

from morph.blending import interpolation
from morph.diffusion.condition import Condition

PARTS = ("tokens", "mask", "pooled", "ids")
ALPHAS = torch.tensor([0.0, 0.25, 1.0])


def text(seed, count=1, length=3):
    """Texts with every part that a model may give, of which the last token counts in no text of an even seed."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(count, length, dtype=torch.bool)
    mask[:, -1] = bool(seed % 2)
    return Condition(
        torch.randn(count, length, 4, generator=generator),
        mask,
        torch.randn(count, 5, generator=generator),
        torch.full((count, 6), 512.0 * seed),
    )


def same(first, second):
    return all(torch.equal(getattr(first, part), getattr(second, part)) for part in PARTS)


def test_its_samples_are_taken_repeated_and_put_together_in_all_parts():
    batch = text(1, 4)
    assert len(batch) == 4
    assert [len(part) for part in batch.split(3)] == [3, 1]
    assert same(Condition.cat(batch.split(3)), batch)
    twice = batch[torch.tensor([2, 2])]
    assert same(twice, batch[[2]].expand(2))
    assert same(twice, batch[[2, 2]])
    assert same(batch.expand(4), batch)


@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_a_mix_is_each_text_at_its_end_and_between_them_a_mix_of_every_part(method):
    first, second = text(2), text(3)
    mixed = getattr(first, method)(second, ALPHAS)
    assert torch.equal(mixed.tokens, getattr(interpolation, method)(first.tokens, second.tokens, ALPHAS))
    assert torch.equal(mixed.pooled, getattr(interpolation, method)(first.pooled, second.pooled, ALPHAS))
    assert mixed.ids[:, 0].tolist() == [1024, 1152, 1536]
    assert mixed.mask.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    assert torch.allclose(mixed.tokens[:1], first.tokens, atol=1e-6)
    assert torch.allclose(mixed.tokens[2:], second.tokens, atol=1e-6)


def test_texts_of_different_models_do_not_mix():
    bare = Condition(text(1).tokens)
    for combine in (lambda: bare.lerp(text(1), ALPHAS), lambda: Condition.cat([text(1), bare])):
        with pytest.raises(ValueError, match="only some of the conditions have mask"):
            combine()


def test_its_vectors_alone_are_cast():
    small = text(1).to("cpu", torch.bfloat16)
    assert [getattr(small, part).dtype for part in PARTS] == [
        torch.bfloat16,
        torch.bool,
        torch.bfloat16,
        torch.float32,
    ]
    assert same(text(1).to("cpu"), text(1))


def test_it_comes_back_from_named_tensors():
    full, bare = text(1), Condition(torch.zeros(1, 2, 3))
    named = full.packed("condition") | bare.packed("negative")
    assert sorted(named) == ["condition", "condition.ids", "condition.mask", "condition.pooled", "negative"]
    assert same(Condition.unpacked(named, "condition"), full)
    again = Condition.unpacked(named, "negative")
    assert torch.equal(again.tokens, bare.tokens)
    assert (again.mask, again.pooled, again.ids) == (None, None, None)
    with pytest.raises(KeyError, match="other"):
        Condition.unpacked(named, "other")
