"""Ways of finding directions, and their options."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from morph.errors import SettingsError
from pipelines.request.options.setting import Section, setting
from pipelines.request.options.values import with_values

Given = Literal["score", "mask"]
"""What a person gives besides numbers: what pictures are scored by, two texts or two folders; a file of a mask."""


@dataclass(frozen=True, kw_only=True)
class Method(Section):
    """A way of finding directions: its fields are its options.

    name: what people call it. does: what it finds, in a line. paper: where it is from. published: the numbers of
    its authors, where these would take more than minutes. needs: what has to be given. several: it finds as many as
    are asked for, and not one. side: pixels of pictures
    that it looks at unless told otherwise. samples: places that it starts from unless told otherwise.
    """

    name: ClassVar[str]
    does: ClassVar[str]
    paper: ClassVar[str]
    published: ClassVar[str]
    needs: ClassVar[frozenset[Given]]
    several: ClassVar[bool]
    side: ClassVar[int]
    samples: ClassVar[int]

    def __init_subclass__(
        cls,
        name: str = "",
        does: str = "",
        paper: str = "",
        published: str = "",
        needs: tuple[Given, ...] = (),
        several: bool = True,
        side: int = 128,
        samples: int = 64,
    ) -> None:
        super().__init_subclass__()
        cls.name, cls.does, cls.paper, cls.published = name, does, paper, published
        cls.needs, cls.several, cls.side, cls.samples = frozenset(needs), several, side, samples


@dataclass(frozen=True, kw_only=True)
class Pca(
    Method,
    name="pca",
    does="along which codes differ most",
    paper="Härkönen et al., GANSpace: Discovering Interpretable GAN Controls, 2020",
    published="300,000 samples, 80 directions",
):
    """It has no options of its own."""


@dataclass(frozen=True, kw_only=True)
class ClosedForm(
    Method,
    name="sefa",
    does="that the first layer answers most, from its weights alone; samples give the natural unit",
    paper="Shen & Zhou, Closed-Form Factorization of Latent Semantics in GANs, 2021",
):
    """It has no options of its own."""


@dataclass(frozen=True, kw_only=True)
class AcrossBoundary(
    Method,
    name="boundary",
    does="from what has a low score to what has a high one: across the boundary of a support vector machine",
    paper="Shen et al., InterFaceGAN: Interpreting the Disentangled Face Representation Learned by GANs, 2020",
    published="500,000 samples, a share of 0.02",
    needs=("score",),
    several=False,
    side=64,
    samples=96,
):
    """Options of the support vector machine."""

    share: float = setting(0.25, "Of the samples on either side that a score of texts picks.", 0.001, 0.5)
    penalty: float = setting(1.0, "Of codes on the wrong side.", 1e-6, 1e6)


@dataclass(frozen=True, kw_only=True)
class Classifier(
    Method,
    name="classifier",
    does="from what lacks something to what has it: by a logistic regression, which may be sparse",
    paper="Preechakul et al., Diffusion Autoencoders: Toward a Meaningful and Decodable Representation, 2022, of "
    "semantic codes; few numbers of them: Lu et al., Hierarchical Diffusion Autoencoders and Disentangled Image "
    "Manipulation, 2023",
    needs=("score",),
    several=False,
):
    """Options of the logistic regression."""

    share: float = setting(0.25, "Of the samples on either side that a score of texts picks.", 0.001, 0.5)
    decay: float = setting(0.01, "Of the coefficients, by their squares.", 0, 1e6)
    sparsity: float = setting(
        0.0, "Of the coefficients, by their sizes: 0.03 or so leaves few numbers of a code that move.", 0, 1e6
    )


@dataclass(frozen=True, kw_only=True)
class Descent(Method):
    """Options of ways that go downhill."""

    fit_steps: int = setting(60, "Steps of the fit.", 1, 1_000_000)
    batch: int = setting(4, "Pictures of a step.", 1, 1024)
    rate: float = setting(0.05, "Learning rate, where 1 is how far codes lie from their mean.", 1e-7, 10)


@dataclass(frozen=True, kw_only=True)
class Steer(
    Descent,
    name="steer",
    does="that makes a plain change of pictures: larger, moved, brighter",
    paper="Jahanian, Chai & Isola, On the 'Steerability' of Generative Adversarial Networks, 2020",
    published="20,000 samples, rate 1e-4",
    several=False,
    side=64,
    samples=16,
):
    """Options of steering."""

    change: Literal["zoom", "shift-x", "shift-y", "turn", "brightness", "warmth", "red", "green", "blue"] = setting(
        "zoom", "What an amount of 1 makes of a picture, where it can."
    )


@dataclass(frozen=True, kw_only=True)
class Ganalyze(
    Descent,
    name="ganalyze",
    does="along which a score grows as it is told to",
    paper="Goetschalckx et al., GANalyze: Toward Visual Definitions of Cognitive Image Properties, 2019",
    published="400,000 samples, rate 2e-4",
    needs=("score",),
    several=False,
    side=64,
    samples=16,
):
    """Options of following a score."""

    reach: float = setting(0.5, "By how much an amount of 1 raises a score from 0 to 1.", 0.01, 1)


@dataclass(frozen=True, kw_only=True)
class Unsupervised(
    Descent,
    name="unsupervised",
    does="that a network can tell apart by what they do to pictures",
    paper="Voynov & Babenko, Unsupervised Discovery of Interpretable Directions in the GAN Latent Space, 2020",
    published="100,000 steps, rate 1e-4, moves of 0.05 to 0.5",
    side=64,
    samples=16,
):
    """Options of telling apart."""

    rate: float = setting(2e-3, "Learning rate, where 1 is how far codes lie from their mean.", 1e-7, 10)
    least: float = setting(0.2, "The shortest move, where 1 is how far codes lie from their mean.", 0, 10)
    most: float = setting(1.0, "The longest move.", 0.001, 10)
    weight: float = setting(0.25, "What telling how far counts, beside telling which.", 0, 100)


@dataclass(frozen=True, kw_only=True)
class Warped(
    Unsupervised,
    name="warped",
    does="that turn as one goes along them, and that a network can tell apart",
    paper="Tzelepis et al., WarpedGANSpace: Finding non-linear RBF paths in GAN latent space, 2021",
    published="100,000 steps of 32, rate 1e-4, moves of 0.25 to 0.45",
    side=64,
    samples=16,
):
    """Options of bent ways."""

    dipoles: int = setting(8, "Pairs of bumps that each way is the slope of.", 1, 1024)


@dataclass(frozen=True, kw_only=True)
class Region(
    Method,
    name="region",
    does="that change what a mask shows and leave the rest alone",
    paper="Zhu et al., Low-Rank Subspaces in GANs, 2021",
    published="a sparsity of 0.38, in all of 512 numbers",
    needs=("mask",),
    side=64,
    samples=64,
):
    """Options of a region's subspace."""

    basis: int = setting(16, "Principal components of the samples that directions are made of.", 2, 512)
    points: int = setting(2, "Pictures whose answers are averaged.", 1, 1000)
    sparsity: float = setting(3.0, "Of robust PCA; in a small basis 1 takes nearly all for sparse.", 0.01, 100)
    kept: float = setting(0.9, "The share of the rest's answers that is not to change.", 0.01, 1)


@dataclass(frozen=True, kw_only=True)
class Regressor(
    Descent,
    name="regressor",
    does="along which a score grows while pictures look alike and codes stay where codes are",
    paper="Zhuang, Koyejo & Schwing, Enjoy Your Editing: Controllable GANs for Image Editing via Latent Space "
    "Navigation, 2021",
    needs=("score",),
    several=False,
    side=64,
    samples=16,
):
    """Options of following a score and keeping the rest."""

    content: float = setting(0.5, "What looking alike counts, by LPIPS.", 0, 1000)
    realism: float = setting(0.05, "What codes that lie far out count.", 0, 1000)


METHODS: Mapping[str, type[Method]] = {
    method.name: method
    for method in (
        *(Pca, ClosedForm, AcrossBoundary, Classifier, Steer, Ganalyze, Unsupervised, Warped, Region, Regressor),
    )
}


def method_of(name: str, values: Mapping[str, Any]) -> Method:
    """A way of finding directions with these options.

    Raises:
        SettingsError: an unknown name, or a value of the wrong kind or range.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SettingsError(f"there is no method {name!r}; {hint}directions are found by {', '.join(METHODS)}")
    method = METHODS[name]
    own = [part.name for part in fields(method)]

    def unknown(key: str) -> SettingsError:
        near = difflib.get_close_matches(key, own, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        return SettingsError(f"method {name} has no {key}; {hint}it has {', '.join(own) or 'no options'}")

    made: Method = with_values(method(), values, unknown)
    return made
