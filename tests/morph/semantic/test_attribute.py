import pytest
import torch

from morph.semantic.attribute import Attribute, Spread, fused
from morph.steps import drain


@pytest.fixture(scope="module")
def trained():
    """Two texts, the codes of whose pictures differ in mean and spread; texts and pictures lie apart."""
    torch.manual_seed(0)
    kinds = [number % 2 for number in range(400)]
    rows = torch.tensor(kinds)
    means, deviations = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]]), torch.tensor([[0.2] * 3, [0.8] * 3])
    codes = means[rows] + deviations[rows] * torch.randn(400, 3)
    texts = torch.nn.functional.normalize(torch.randn(2, 8), dim=1)
    pictures = torch.nn.functional.normalize(texts[rows] - 2 + 0.1 * torch.randn(400, 8), dim=1)
    attribute = Attribute(8, 3)
    losses = []
    drain(attribute.fit(codes, pictures, texts, kinds, 600, 128, 3e-3, 0), losses.append)
    return attribute, texts, pictures, means, deviations


@torch.no_grad()
def test_a_text_and_a_picture_tell_the_codes_of_what_they_show(trained):
    attribute, texts, pictures, means, deviations = trained
    for spread in (attribute.of_texts(texts), attribute.of_pictures(pictures[:2])):
        assert (spread.mean - means).abs().max() < 0.3
        assert (spread.deviation / deviations - 1).abs().max() < 0.4


def test_the_same_attribute_leaves_a_code_as_it_is():
    torch.manual_seed(0)
    codes, noise = torch.randn(2, 5), torch.randn(2, 5)
    own = Spread(torch.randn(2, 5), torch.rand(2, 5) + 0.1)
    assert torch.allclose(fused(codes, own, own, 0.0, noise), codes, atol=1e-5)


def test_another_attribute_takes_its_statistics_and_answers_differ():
    source, target = (
        Spread(torch.zeros(1, 4), torch.ones(1, 4)),
        Spread(torch.full((1, 4), 3.0), torch.full((1, 4), 0.5)),
    )
    torch.manual_seed(0)
    codes, noise = torch.randn(4000, 4), torch.randn(4000, 4)
    for fresh in (0.0, 0.5, 1.0):
        made = fused(codes, source, target, fresh, noise)
        assert (made.mean(0) - 3).abs().max() < 0.05
        assert (made.std(0) - 0.5).abs().max() < 0.03
    one = codes[:1].expand(100, -1)
    assert fused(one, source, target, 0.0, noise[:100]).std(0).max() < 1e-6
    spread = fused(one, source, target, 0.5, noise[:100]).std(0).mean()
    assert 0.2 < spread < 0.5
    assert torch.allclose(fused(codes, source, target, 1.0, noise), target.mean + 0.5 * noise, atol=1e-5)
