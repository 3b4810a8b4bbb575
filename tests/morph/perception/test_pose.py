"""Poses themselves: who is who, what lies between, and how it is drawn."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import maximum_filter

from morph.perception.pose import (
    COLOURS,
    KEYPOINTS,
    Matching,
    Person,
    draw,
    draw_over,
    interpolate,
    match,
)

SHARES = st.floats(0, 1, allow_subnormal=False)
# Half of the confidences are 0: half bodies, and pairs that share nothing.
CONFIDENCES = st.one_of(st.just(0.0), st.floats(0.01, 1))
PEOPLE = st.builds(
    Person, arrays(np.float64, (18, 2), elements=SHARES), arrays(np.float64, 18, elements=CONFIDENCES)
)
POSES = st.lists(PEOPLE, max_size=4).map(tuple)
UPPER = [index for index, name in enumerate(KEYPOINTS) if not name.endswith(("hip", "knee", "ankle"))]


def standing(x, y=0.5, height=0.6, seen=range(18)):
    """A person facing the camera whose neck is at (x, y)."""
    heads = {"nose": (0, -0.12), "neck": (0, 0), "eye": (0.03, -0.15), "ear": (0.06, -0.13)}
    body = {"shoulder": (0.12, 0), "elbow": (0.18, 0.2), "wrist": (0.18, 0.38)}
    legs = {"hip": (0.08, 0.4), "knee": (0.08, 0.6), "ankle": (0.08, 0.8)}
    offsets = {**heads, **body, **legs}
    points, confidence = np.zeros((18, 2)), np.zeros(18)
    for index, name in enumerate(KEYPOINTS):
        side, _, joint = name.rpartition("_")
        across, down = offsets[joint]
        points[index] = x + height * across * (-1 if side == "right" else 1), y + height * down
        confidence[index] = 0.9 if index in seen else 0
    return Person(points, confidence)


def only(*points):
    """Somebody who shows the first keypoints alone."""
    confidence = np.zeros(18)
    confidence[: len(points)] = 1
    return Person(np.array([*points, *[(0, 0)] * (18 - len(points))]), confidence)


def test_a_person_is_checked_copied_and_frozen():
    points, confidence = np.full((18, 2), 0.5), np.ones(18)
    confidence[3] = 0
    points[3] = 7  # not seen, so where it is means nothing
    person = Person(points, confidence)
    points[0] = 0
    assert person.points[0].tolist() == [0.5, 0.5]
    assert person.points[3].tolist() == [0, 0]
    assert not person.seen[3]
    assert person.as_dict().keys() == {*KEYPOINTS} - {"right_elbow"}
    assert person.as_dict()["nose"] == [0.5, 0.5, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        person.points[0] = 0.1


@pytest.mark.parametrize(
    ("points", "confidence"),
    [
        (np.zeros((17, 2)), np.zeros(18)),
        (np.zeros((18, 2)), np.zeros((18, 1))),
        (np.full((18, 2), 1.01), np.ones(18)),
        (np.full((18, 2), np.nan), np.ones(18)),
        (np.zeros((18, 2)), np.full(18, np.nan)),
        (np.zeros((18, 2)), np.full(18, 1.5)),
    ],
)
def test_what_is_no_person_is_refused(points, confidence):
    with pytest.raises(ValueError, match="a person"):
        Person(points, confidence)


@given(POSES, POSES)
def test_everyone_is_paired_or_left_over_once(first, second):
    pairs, left, right = match(first, second)
    assert sorted([one for one, _ in pairs] + list(left)) == list(range(len(first)))
    assert sorted([other for _, other in pairs] + list(right)) == list(range(len(second)))
    assert all((first[one].seen & second[other].seen).any() for one, other in pairs)
    # Whoever is left over shares nothing with anyone who is left over too.
    assert not any((first[one].seen & second[other].seen).any() for one in left for other in right)


@given(st.permutations(range(4)), st.integers(0, 4))
def test_people_are_known_by_where_they_stand_and_not_by_their_order(order, missing):
    first = tuple(standing(x) for x in (0.15, 0.38, 0.61, 0.84))
    second = tuple(standing(0.15 + 0.23 * index + 0.03, 0.47) for index in order[missing:])
    pairs, left, right = match(first, second)
    assert sorted(pairs) == sorted((index, place) for place, index in enumerate(order[missing:]))
    assert set(left) == set(order[:missing])
    assert right == ()


def test_the_sum_is_least_where_the_nearest_is_not_the_partner():
    # Both of the first are nearest to the one at .5; taking it greedily sends the other across the picture.
    first, second = (standing(0.6), standing(0.45)), (standing(0.5), standing(0.2))
    best = min(
        itertools.permutations(range(2)),
        key=lambda order: sum(
            np.linalg.norm(first[i].points - second[j].points, axis=1).mean() for i, j in enumerate(order)
        ),
    )
    assert match(first, second).pairs == tuple(enumerate(best)) == ((0, 0), (1, 1))


def test_one_keypoint_in_the_right_place_is_no_partner_for_a_whole_body():
    body, moved = standing(0.3), standing(0.45)
    nose = only(body.points[0])
    assert match((body,), (nose, moved)) == Matching(((0, 1),), (), (0,))
    assert match((body,), (nose,)).pairs == ((0, 0),)  # but better than nobody


def test_half_bodies_find_the_body_they_are_half_of():
    first = (standing(0.25), standing(0.7))
    second = (standing(0.72, seen=UPPER), standing(0.27, seen=UPPER))
    assert match(first, second).pairs == ((0, 1), (1, 0))


def test_who_shares_no_keypoint_stays_alone():
    head, legs = standing(0.5, seen=[0, 14, 15]), standing(0.5, seen=[9, 10, 12, 13])
    assert match((head,), (legs,)) == Matching((), (0,), (0,))
    assert interpolate((head,), (legs,), 0.5) == ()
    assert match((), (legs,)) == Matching((), (), (0,))
    assert match((head,), ()) == Matching((), (0,), ())
    assert match((), ()) == Matching((), (), ())


@given(POSES, POSES)
def test_the_ends_are_returned_as_they_are(first, second):
    assert interpolate(first, second, 0) is first
    assert interpolate(first, second, 1) is second


@given(PEOPLE, PEOPLE, st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_shared_keypoints_move_straight_and_never_back(first, second, alphas):
    shared = first.seen & second.seen
    alphas = sorted({0.0, 1.0, *alphas})
    poses = [interpolate((first,), (second,), alpha) for alpha in alphas]
    if not shared.any():
        assert all(pose == () for pose in poses[1:-1])
        return
    for alpha, (person,) in zip(alphas[1:-1], poses[1:-1], strict=True):
        assert (person.seen == shared).all()
        assert (person.confidence == np.minimum(first.confidence, second.confidence)).all()
        straight = (1 - alpha) * first.points + alpha * second.points
        assert person.points[shared] == pytest.approx(straight[shared], abs=1e-12)
    steps = np.diff([pose[0].points[shared] for pose in poses], axis=0)
    assert (np.sign(steps) * np.sign(second.points - first.points)[shared] >= 0).all()


@given(POSES, POSES, st.floats(0.01, 0.99))
def test_between_two_poses_stand_the_people_of_both(first, second, alpha):
    pairs = match(first, second).pairs
    people = interpolate(first, second, alpha)
    assert len(people) == len(pairs)
    for person, (one, other) in zip(people, pairs, strict=True):
        assert (person.seen == (first[one].seen & second[other].seen)).all()


@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan")])
def test_alpha_outside_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        interpolate((), (), alpha)


def test_nobody_draws_black():
    picture = draw((), (64, 48))
    assert picture.shape == (48, 64, 3)
    assert picture.dtype == np.uint8
    assert not picture.any()


def theirs(pose, size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its import has to say of other packages
        from controlnet_aux.open_pose.body import Keypoint
        from controlnet_aux.open_pose.util import draw_bodypose
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    for person in pose:
        pairs = zip(person.points.tolist(), person.seen, strict=True)
        canvas = draw_bodypose(canvas, [Keypoint(*point) if seen else None for point, seen in pairs])
    return canvas


@pytest.mark.parametrize("size", [(512, 512), (768, 512), (512, 640)])
def test_the_drawing_is_the_one_that_controlnets_were_trained_on(size):
    pose = (standing(0.3), standing(0.7, 0.3, seen=UPPER))
    ours, reference = draw(pose, size), theirs(pose, size)
    painted = reference.any(axis=2)
    # Away from any edge, colours are equal: limbs dimmed, joints not, the later one on top.
    calm = np.ones_like(painted)
    for axis, step in itertools.product((0, 1), (-2, -1, 1, 2)):
        calm &= (np.roll(reference, step, axis) == reference).all(axis=2)
    assert calm[painted].mean() > 0.2
    assert (np.abs(ours.astype(int) - reference).max(axis=2)[calm & painted] <= 1).mean() > 0.99
    assert not ours[~maximum_filter(painted, 5)].any()
    assert ours.mean() == pytest.approx(reference.mean(), rel=0.1)


def test_sticks_grow_with_the_picture():
    pose = (standing(0.5, 0.3),)
    shares = [(draw(pose, (side, side)).max(axis=2) > 76).mean() for side in (256, 512, 1024)]
    assert shares[0] == pytest.approx(shares[1], rel=0.2)
    assert shares[2] == pytest.approx(shares[1], rel=0.15)
    assert draw(pose, (16, 16)).max() > 200


def test_a_step_smaller_than_a_pixel_shows():
    first, second = (standing(0.5),), (standing(0.51),)  # 2.56 px at this size
    frames = [draw(interpolate(first, second, alpha), (256, 256)) for alpha in np.linspace(0, 1, 9)]
    assert all((one != other).any() for one, other in itertools.pairwise(frames))


@given(POSES, st.integers(1, 80), st.integers(1, 80))
def test_any_pose_can_be_drawn_at_any_size(pose, width, height):
    assert draw(pose, (width, height)).shape == (height, width, 3)


def test_a_limb_needs_both_its_ends_and_a_joint_only_itself():
    neck, elbow = KEYPOINTS.index("neck"), KEYPOINTS.index("right_elbow")
    picture = draw((standing(0.5, seen=[neck, elbow]),), (512, 512))
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert {COLOURS[neck], COLOURS[elbow]} < colours
    across = np.linspace((0.5, 0.5), (0.392, 0.62), 50)[5:-5]  # where a limb between the two would be
    assert not any(picture[int(y * 512), int(x * 512)].any() for x, y in across)


def test_over_a_photograph_the_rest_is_dimmed_and_the_original_kept():
    photograph = np.full((512, 512, 3), 100, np.uint8)
    picture = draw_over((only((0.5, 0.5)),), photograph)
    assert (photograph == 100).all()
    assert picture[0, 0].tolist() == [40, 40, 40]
    assert picture[256, 256].tolist() == list(COLOURS[0])
