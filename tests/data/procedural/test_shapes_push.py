"""`shapes_push`: the physics as stated, actions that lead to states, frames that show both."""

import itertools
import math

import numpy as np
import pytest

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.data.procedural import push_physics, raster, shapes_push
from ms_pixelcnn_tf.data.procedural.push_physics import (
    FOLLOW,
    GRIPPER_RADIUS,
    HEIGHT,
    YAW,
    Table,
    settle,
)
from support.errors import refuses

SLACK = 2 * push_physics.TOLERANCE
SPLITS = tuple(shapes_push.SIZES)


@pytest.fixture(scope="module")
def source():
    return data.load("shapes_push")


@pytest.fixture(scope="module")
def episodes(source):
    return [source.episode(split, index) for split in SPLITS for index in range(60)]


def distances(points, others):
    return np.linalg.norm(np.asarray(points) - np.asarray(others), axis=-1)


def low(height):
    return height <= push_physics.CONTACT_HEIGHT


def test_the_same_index_is_the_same_video_alone_and_in_any_batch(source):
    indices = np.array([5, 0, 999, 5])
    batch = source.examples("validation", indices)
    for row, index in enumerate(indices):
        alone = source.examples("validation", [index])
        for field in shapes_push.FIELDS:
            np.testing.assert_array_equal(batch[field][row], alone[field][0])
            (part,) = source.examples("validation", [index], (field,)).values()
            np.testing.assert_array_equal(part[0], batch[field][row])


def test_shapes_and_types():
    source = data.load("shapes_push", image_size=(16, 24))
    found = source.examples("train", [1, 2])
    assert {field: (array.shape, array.dtype) for field, array in found.items()} == {
        "frames": ((2, 20, 16, 24, 3), np.dtype("uint8")),
        "actions": ((2, 20, 5), np.dtype("float32")),
        "states": ((2, 20, 5), np.dtype("float32")),
    }
    assert source.num_classes == 0 and "synthetic" in source.description
    assert shapes_push.ShapesPush(num_frames=3).examples("train", [0])["frames"].shape[1] == 3


def test_seeds_and_splits_share_no_video():
    seen = [
        {actions.tobytes() for actions in found}
        for seed in (0, 1)
        for split in SPLITS
        for found in [
            data.load("shapes_push", seed=seed).examples(split, range(40), ("actions",))["actions"]
        ]
    ]
    assert len(set.union(*seen)) == 40 * len(seen)


def test_every_size_shows_the_same_video():
    small, large = (data.load("shapes_push", image_size=size) for size in (32, 64))
    left, right = (source.examples("test_novel", range(4)) for source in (small, large))
    np.testing.assert_array_equal(left["states"], right["states"])
    np.testing.assert_array_equal(left["actions"], right["actions"])
    average = right["frames"].reshape(4, 20, 32, 2, 32, 2, 3).mean((3, 5))
    difference = np.abs(left["frames"] - average)
    assert np.quantile(difference, 0.9) < 8 and difference.mean() < 4


def test_a_push_moves_an_object_along_the_contact_normal_until_it_only_touches():
    generator = np.random.default_rng(0)
    for _ in range(50):
        angle, gap = generator.uniform(0, 2 * math.pi), generator.uniform(0.01, 0.3)
        normal = np.array([math.cos(angle), math.sin(angle)])
        pose = [*generator.uniform(-0.2, 0.2, 2), -1, 0, 0]
        before = pose[:2] + gap * normal
        ((after),) = settle([before], [0.2], pose)
        np.testing.assert_allclose(after, pose[:2] + (0.2 + GRIPPER_RADIUS) * normal, atol=1e-9)


def test_a_pushed_object_pushes_the_next_and_both_stop_with_the_gripper():
    table = Table([[0.0, 0.0], [0.45, 0.0], [0.0, 0.7]], [0.2, 0.2, 0.2], [-0.5, 0, -0.9, 0, 0])
    for _ in range(3):
        table.step([table.pose[0] + 0.2, 0, -0.9, 0, 0])
    gripper, (first, second, aside) = table.pose[0], table.positions
    assert first[0] - gripper == pytest.approx(0.2 + GRIPPER_RADIUS, abs=SLACK)
    assert second[0] - first[0] == pytest.approx(0.4, abs=SLACK)
    assert second[0] > 0.45 and aside == [0.0, 0.7]
    stopped = [list(position) for position in table.positions]
    for x in (-0.1, -0.4):  # going back pulls nothing
        table.step([x, 0, -0.9, 0, 0])
    assert table.positions == stopped


def test_a_jammed_gripper_stalls_and_nothing_moves():
    table = Table([[0.8, 0.0]], [0.2], [0.4, 0, -0.9, 0, 0])
    for _ in range(4):
        table.step([0.8, 0, -0.9, 0.5, 0])
    assert table.positions == [[0.8, 0.0]]
    assert table.pose[0] <= 0.6 - GRIPPER_RADIUS + SLACK
    assert table.pose[YAW] > 0.4  # turning on the spot stays free


def test_a_gripper_does_not_come_down_on_an_object():
    table = Table([[0.0, 0.0]], [0.2], [0.1, 0, 0.5, 0, 0])
    for _ in range(3):
        table.step([0.1, 0, -0.9, 0, 0])
    assert not low(table.pose[HEIGHT]) and table.positions == [[0.0, 0.0]]


def test_nothing_overlaps_and_all_stay_on_the_table(episodes):
    for episode in episodes:
        radii = np.array([thing.radius for thing in episode.objects])
        assert (np.abs(episode.positions) + radii[:, None] <= 1 + SLACK).all()
        for one, other in itertools.combinations(range(len(radii)), 2):
            apart = distances(episode.positions[:, one], episode.positions[:, other])
            assert (apart >= radii[one] + radii[other] - SLACK).all()
        apart = distances(episode.positions, episode.states[:, None, :2])
        touching = apart < radii + GRIPPER_RADIUS - SLACK
        assert not touching[low(episode.states[:, HEIGHT])].any()


def test_objects_move_only_when_pushed(episodes):
    pushed_frames = 0
    for episode in episodes:
        radii = np.array([thing.radius for thing in episode.objects])
        for t in range(len(episode.states) - 1):
            before, after = episode.positions[t], episode.positions[t + 1]
            moved = (before != after).any(axis=1)
            if not moved.any():
                continue
            pushed_frames += 1
            assert low(episode.states[t : t + 2, HEIGHT]).any()
            # Whatever moved is reached from the gripper's path through touching objects that moved.
            start, end = episode.states[t, :2], episode.states[t + 1, :2]
            path = start + np.linspace(0, 1, 61)[:, None] * (end - start)
            near = distances(path[:, None], before).min(0) < radii + GRIPPER_RADIUS + 0.01
            near |= distances(path[:, None], after).min(0) < radii + GRIPPER_RADIUS + 0.01
            reached = near & moved
            for _ in radii:
                for i, j in itertools.permutations(range(len(radii)), 2):
                    contact = distances(after[i], after[j]) < radii[i] + radii[j] + 0.1
                    reached[j] |= reached[i] and moved[j] and contact
            assert (reached == moved).all()
    assert pushed_frames > 0.25 * 19 * len(episodes)


def test_touched_objects_move_away_from_the_gripper(episodes):
    for episode in episodes:
        radii = np.array([thing.radius for thing in episode.objects])
        steps = np.diff(episode.positions, axis=0)
        away = episode.positions[1:] - episode.states[1:, None, :2]
        apart = np.linalg.norm(away, axis=-1)
        moved = (steps != 0).any(-1)
        # Alone with the gripper at the end of the frame, and off the walls: the last push was along
        # this line, and the earlier ones of the frame not far from it.
        alone = (apart < radii + GRIPPER_RADIUS + SLACK) & (moved.sum(1, keepdims=True) == 1)
        alone &= (np.abs(episode.positions[1:]) < 0.99 - radii[:, None]).all(-1)
        progress = (steps * away).sum(-1)
        assert (progress[moved & alone] > 0).all()


def test_most_videos_show_a_push(source):
    travel = [
        np.abs(np.diff(source.episode("train", index).positions, axis=0)).sum()
        for index in range(100)
    ]
    assert np.mean(np.array(travel) > 0.1) > 0.9


def test_states_follow_actions(source, episodes):
    free_frames = 0
    for episode in episodes:
        now, then = episode.states[:-1], episode.states[1:]
        wanted = now + FOLLOW * (episode.actions[:-1] - now)
        np.testing.assert_allclose(then[:, YAW:], wanted[:, YAW:], atol=1e-12)
        up = ~low(now[:, HEIGHT]) & ~low(wanted[:, HEIGHT])
        np.testing.assert_allclose(then[up], wanted[up], atol=1e-12)
        part = (then - now) * np.sign(wanted - now)
        assert (part > -1e-12).all() and (part <= np.abs(wanted - now) + 1e-12).all()
        free_frames += np.isclose(then, wanted, atol=1e-12).all(axis=1).sum()
    assert free_frames > 0.9 * 19 * len(episodes)  # the rest: stalled
    for field in ("states", "actions"):
        values = source.examples("train", range(60), (field,))[field]
        assert np.abs(values).max() <= 1
        assert (values.std((0, 1)) > 0.1).all()


def test_novel_objects_are_in_no_other_split(source):
    things = {
        split: [thing for index in range(60) for thing in source.episode(split, index).objects]
        for split in SPLITS
    }
    novel = things.pop("test_novel")
    seen = [thing for split in things.values() for thing in split]
    assert not {thing.kind for thing in novel} & {thing.kind for thing in seen}
    assert not {thing.colour for thing in novel} & {thing.colour for thing in seen}


@pytest.mark.parametrize("split", ["train", "test_novel"])
def test_frames_show_objects_and_gripper_where_they_are(split):
    source = data.load("shapes_push", image_size=(96, 80))
    camera = shapes_push.NOVEL_CAMERA if split == "test_novel" else shapes_push.SEEN_CAMERA
    pixels_a_unit = 80 / camera.view
    shown = 0

    def pixel(point):
        """Row and column of a point of the table."""
        x, y = np.asarray(point) - camera.centre
        cosine, sine = math.cos(camera.angle), math.sin(camera.angle)
        column = pixels_a_unit * (cosine * x + sine * y) + 40
        row = pixels_a_unit * (cosine * y - sine * x) + 48
        return int(row), int(column)

    for index in range(12):
        episode = source.episode(split, index)
        frames = source.examples(split, [index], ("frames",))["frames"][0].astype(float)
        for t in (0, 10, 19):
            frame, gripper = frames[t], episode.states[t, :2]
            row, column = pixel(gripper)
            red, green, blue = frame[row, column]
            assert max(red, green, blue) - min(red, green, blue) < 60  # the palm is gray
            for thing, position in zip(episode.objects, episode.positions[t], strict=True):
                arm = raster.capsule(*position, (0, -1.8), gripper, 0)
                row, column = pixel(position)
                inside = 1 <= row < 95 and 1 <= column < 79
                if arm < 0.35 or not inside or thing.kind not in ("circle", "square", "star"):
                    continue
                core, named = frame[row, column], np.array(raster.COLOURS[thing.colour])
                cosine = core @ named / np.linalg.norm(core) / np.linalg.norm(named)
                assert cosine > 0.99
                shown += 1
    assert shown > 10


def test_bad_requests_are_told(source):
    with refuses("shapes_push", "split", "test", "test_novel"):
        source.size("test")
    with refuses("shapes_push", "train", "0 to 49999"):
        source.examples("train", [50_000])
    with refuses("shapes_push", "field", "image", "frames"):
        source.examples("train", [0], ("image",))
    with refuses("shapes_push", 300, "8 to 256"):
        data.load("shapes_push", image_size=300)
    with refuses("num_frames", 0, 1):
        shapes_push.ShapesPush(num_frames=0)
