import torch
from hypothesis import given
from hypothesis import strategies as st

from morph.blending.interpolation import adain, lerp, slerp

ALPHAS = torch.tensor([0.0, 0.25, 0.5, 1.0])
seeds = st.integers(0, 2**31)


def pair(seed: int, shape=(1, 4, 8, 8)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


@given(seeds)
def test_slerp_meets_its_ends_and_mirrors(seed):
    a, b = pair(seed)
    mixed = slerp(a, b, ALPHAS)
    assert mixed.dtype == a.dtype
    assert torch.allclose(mixed[:1], a, atol=1e-6)
    assert torch.allclose(mixed[-1:], b, atol=1e-6)
    assert torch.allclose(mixed, slerp(b, a, 1 - ALPHAS), atol=1e-6)


@given(seeds, st.floats(0, 1))
def test_slerp_of_unit_vectors_moves_at_constant_angle(seed, alpha):
    a, b = (x / x.norm() for x in pair(seed))
    mixed = slerp(a, b, torch.tensor([alpha])).double()
    angle = torch.arccos((a.double() * b).sum())
    assert torch.isclose(mixed.norm(), torch.tensor(1.0).double(), atol=1e-5)
    assert torch.isclose(torch.arccos((a * mixed).sum().clamp(-1, 1)), alpha * angle, atol=2e-3)


def test_slerp_keeps_the_spread_of_noise_where_lerp_shrinks_it():
    a, b = pair(0, (1, 4, 64, 64))
    middle = torch.tensor([0.5])
    assert abs(float(slerp(a, b, middle).std()) - 1) < 0.02
    assert float(lerp(a, b, middle).std()) < 0.75


def test_slerp_of_parallel_opposite_and_zero_tensors_is_finite():
    a, _ = pair(1)
    for other in (a, -a, 2 * a, torch.zeros_like(a)):
        mixed = slerp(a, other, ALPHAS)
        assert torch.allclose(mixed, lerp(a, other, ALPHAS), atol=1e-6)


@given(seeds)
def test_a_batch_of_pairs_is_each_pair_alone(seed):
    a, b = pair(seed, (3, 4, 8, 8))
    b[1] = a[1]  # parallel: the one is lerped, its neighbours are not
    alphas = torch.tensor([0.2, 0.5, 0.7])
    batch = slerp(a, b, alphas)
    for i in range(3):
        alone = slerp(a[i : i + 1], b[i : i + 1], alphas[i : i + 1])
        assert torch.allclose(batch[i : i + 1], alone, atol=1e-6)


@given(seeds)
def test_adain_gives_interpolated_moments(seed):
    a, b = pair(seed)
    content, _ = pair(seed + 1, (4, 4, 8, 8))
    styled = adain(content, 3 * a + 1, b - 2, ALPHAS)
    for moment in (lambda x: x.mean((2, 3)), lambda x: x.std((2, 3), correction=0)):
        expected = torch.lerp(moment(3 * a + 1), moment(b - 2), ALPHAS[:, None])
        assert torch.allclose(moment(styled), expected, atol=1e-4)


def test_adain_of_an_end_with_itself_changes_nothing():
    a, b = pair(2)
    assert torch.allclose(adain(a, a, b, torch.tensor([0.0])), a, atol=1e-5)
    flat = adain(torch.full((1, 4, 8, 8), 0.1), a, b, torch.tensor([0.5]))
    assert flat.std((2, 3)).max() < 0.1


def test_bfloat16_ends_are_mixed_at_the_alphas_asked_for():
    alphas = torch.linspace(0.5, 0.6, 101)
    ends = torch.zeros(1, 10_000, dtype=torch.bfloat16), torch.rand(1, 10_000).bfloat16()
    means = lerp(*ends, alphas).float().mean(1) / ends[1].float().mean()
    assert (means.diff() > 0).all()
    assert torch.allclose(means, alphas, atol=1e-3)


def test_a_sample_does_not_depend_on_its_batch():
    a, b = pair(3)
    for function in (slerp, lerp):
        batch = function(a, b, ALPHAS)
        for i in range(len(ALPHAS)):
            assert torch.equal(batch[i : i + 1], function(a, b, ALPHAS[i : i + 1]))


@given(seeds)
def test_an_alpha_of_each_place_takes_from_the_path_that_one_alpha_goes(seed):
    a, b = pair(seed)
    places = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    for mix in (slerp, lerp):
        mixed = mix(a, b, places)
        assert mixed.shape == (3, 4, 8, 8)
        for sample, row, column in ((0, 0, 0), (1, 3, 7), (2, 5, 2)):
            alone = mix(a, b, places[sample, 0, row, column].reshape(1))
            assert torch.allclose(mixed[sample, :, row, column], alone[0, :, row, column], atol=1e-6)
        assert torch.allclose(mix(a, b, torch.full((1, 1, 8, 8), 0.3)), mix(a, b, torch.tensor([0.3])), atol=1e-6)
