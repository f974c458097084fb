"""Episodes of `shapes_push`: the objects on the table, the commands to the arm, and their effects.

The commands make the arm push: it chooses an object and a direction, comes down behind the object,
pushes it along, lifts, and chooses again.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ms_pixelcnn_tf.data.procedural.push_physics import (
    GRIPPER_RADIUS,
    HEIGHT,
    POSE,
    YAW,
    Table,
    X,
    Y,
)

NUM_OBJECTS = (2, 4)
RADIUS = (0.17, 0.25)
GAP = 0.03
# The largest change that a command asks for in one frame, by component of the pose.
STRIDE = (0.2, 0.2, 1.1, 0.4, 0.4)
JITTER = (0.012, 0.012, 0.02, 0.02, 0.02)  # standard deviation of a command around its plan
HIGH, LOW = 0.3, -0.85  # heights for travelling, for pushing
REACHED, REACHED_HEIGHT = 0.07, 0.3  # distances at which a waypoint counts as reached
STALLED = 0.02  # a push is abandoned if the gripper moves less in a frame
RUN_UP = 0.06  # free space between gripper and object before a push
PUSH_LENGTH = (0.45, 1.0)
TRIES = 60
REACH = 1 - GRIPPER_RADIUS  # keeps the gripper inside the walls
BOUNDS = (REACH, REACH, 1, 1, 1)  # of a command's components


class Object(NamedTuple):
    """The look of an object; its radius is also the radius of its disc on the table."""

    kind: str
    colour: str
    radius: float
    angle: float  # radians


class Episode(NamedTuple):
    """The course of one video of T frames with N objects."""

    objects: tuple[Object, ...]
    positions: np.ndarray  # float64 [T, N, 2], the objects' positions
    states: np.ndarray  # float64 [T, 5], the gripper's pose
    actions: np.ndarray  # float64 [T, 5], the pose commanded at each frame for the next


def draw_episode(
    generator: np.random.Generator, num_frames: int, kinds: Sequence[str], colours: Sequence[str]
) -> Episode:
    """Draws an `Episode` at random.

    Args:
        generator: draws the objects, the pushes and the jitter of the commands.
        num_frames: T.
        kinds: names of `raster.OUTLINES` to choose from.
        colours: names of `raster.COLOURS` to choose from; no two objects share one.
    """
    table, objects = _lay_table(generator, kinds, colours)
    waypoints = []
    positions, states, actions = [], [], []
    for _ in range(num_frames):
        waypoints = waypoints or _plan_push(generator, table)
        before, target = table.pose, waypoints[0]
        command = [
            min(max(value, -bound), bound)
            for value, bound in zip(_towards(before, target, generator), BOUNDS, strict=True)
        ]
        positions.append([tuple(position) for position in table.positions])
        states.append(before)
        actions.append(command)
        table.step(command)
        missing = [abs(a - b) for a, b in zip(table.pose, target, strict=True)]
        if max(missing[X], missing[Y]) < REACHED and missing[HEIGHT] < REACHED_HEIGHT:
            waypoints = waypoints[1:]
        elif max(abs(a - b) for a, b in zip(table.pose[:YAW], before, strict=False)) < STALLED:
            waypoints = [[*table.pose[:HEIGHT], HIGH, *table.pose[YAW:]]]  # lift, then plan again
    return Episode(objects, np.array(positions), np.array(states), np.array(actions))


def _lay_table(generator, kinds, colours):
    """A `Table`, its objects apart and the gripper above it, and the tuple of its `Object`s."""
    number = int(generator.integers(NUM_OBJECTS[0], NUM_OBJECTS[1] + 1))
    names = [colours[i] for i in generator.permutation(len(colours))[:number]]
    placed, objects = [], []
    for colour in names:
        radius = float(generator.uniform(*RADIUS))
        bound = 1 - radius - GAP
        for x, y in generator.uniform(-bound, bound, (TRIES, 2)).tolist():
            if all(math.hypot(x - a, y - b) > radius + r + GAP for (a, b), r in placed):
                placed.append(((x, y), radius))
                kind = kinds[int(generator.integers(len(kinds)))]
                angle = float(generator.uniform(-math.pi, math.pi))
                objects.append(Object(kind, colour, radius, angle))
                break
    pose = generator.uniform(-0.7, 0.7, len(POSE))
    pose[HEIGHT] = HIGH
    positions, radii = zip(*placed, strict=True)
    table = Table(positions, radii, pose.tolist())
    # The video starts with the gripper close to where its first push begins.
    start = _plan_push(generator, table)[0]
    table.pose[X] = start[X] + float(generator.uniform(-0.2, 0.2))
    table.pose[Y] = start[Y] + float(generator.uniform(-0.2, 0.2))
    table.pose[:HEIGHT] = [min(max(value, -REACH), REACH) for value in table.pose[:HEIGHT]]
    return table, tuple(objects)


def _plan_push(generator, table):
    """The poses of a push: above its start, down, through the object, up again.

    Takes the first push drawn that starts on the table, clear of all objects, and that the walls do
    not stop; if none does, the last one. The first half of the tries choose among the two nearest
    objects.
    """
    x, y = table.pose[X], table.pose[Y]
    nearest = sorted(
        range(len(table.radii)),
        key=lambda i: math.hypot(table.positions[i][0] - x, table.positions[i][1] - y),
    )
    choices = generator.random((TRIES, 3)).tolist()
    opening = float(generator.uniform(-1, 0.6))
    for attempt, (turn, target, extra) in enumerate(choices):
        eligible = 2 if attempt < TRIES / 2 else len(nearest)
        i = nearest[int(target * eligible)]
        angle = 2 * math.pi * turn
        along = (math.cos(angle), math.sin(angle))
        back = table.radii[i] + GRIPPER_RADIUS + RUN_UP
        length = PUSH_LENGTH[0] + (PUSH_LENGTH[1] - PUSH_LENGTH[0]) * extra
        start = [table.positions[i][axis] - back * along[axis] for axis in (0, 1)]
        end = [start[axis] + length * along[axis] for axis in (0, 1)]
        free = max(map(abs, start)) <= REACH and not table.touching(start)
        # At the end of the push, the object should still lie inside the walls.
        ahead = GRIPPER_RADIUS + table.radii[i]
        room = max(abs(end[axis] + ahead * along[axis]) for axis in (0, 1)) < 1 - table.radii[i]
        if free and room:
            break
    # The fingers stand side by side across the push, and look the same after half a turn.
    yaw = (2 * angle / math.pi + 1) % 2 - 1
    return [
        [*start, HIGH, yaw, opening],
        [*start, LOW, yaw, opening],
        [*end, LOW, yaw, opening],
        [*end, HIGH, yaw, opening],
    ]


def _towards(pose, target, generator):
    """The next command on the way from a pose to the target: one stride, plus noise."""
    steps = [min(max(b - a, -most), most) for a, b, most in zip(pose, target, STRIDE, strict=True)]
    # The strides in x and y shrink together, so that the path is straight.
    dx, dy = target[X] - pose[X], target[Y] - pose[Y]
    shrink = min(1, STRIDE[X] / max(math.hypot(dx, dy), 1e-9))
    steps[X], steps[Y] = dx * shrink, dy * shrink
    noise = (generator.standard_normal(len(POSE)) * JITTER).tolist()
    return [a + step + off for a, step, off in zip(pose, steps, noise, strict=True)]
