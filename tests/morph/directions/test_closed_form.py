import torch

from morph.directions.closed_form import factorized


def test_directions_are_eigenvectors_orthonormal_and_sorted():
    torch.manual_seed(0)
    weights = torch.randn(40, 7) * torch.arange(1, 8)
    vectors, values = factorized(weights, 5)
    seen = torch.nn.functional.normalize(weights, dim=1)
    torch.testing.assert_close(vectors @ (seen.T @ seen), values[:, None] * vectors, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(5), atol=1e-5, rtol=0)
    assert values.tolist() == sorted(values.tolist(), reverse=True)


def test_the_first_changes_what_the_layer_says_more_than_any_other_step():
    torch.manual_seed(1)
    weights = torch.nn.functional.normalize(torch.randn(30, 6), dim=1)
    vectors, values = factorized(weights, 1)
    largest = (weights @ vectors[0]).norm()
    others = torch.nn.functional.normalize(torch.randn(500, 6), dim=1)
    assert ((others @ weights.T).norm(dim=1) <= largest + 1e-5).all()
    torch.testing.assert_close(largest.square(), values[0])
