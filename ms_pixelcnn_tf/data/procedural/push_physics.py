"""The physics of `shapes_push`: how the gripper moves, and how it pushes objects on the table.

The table is the square -1…1 in x (to the right) and y (towards the viewer). Pushing is
quasi-static: friction outweighs inertia, so an object moves only while it is pushed and stops at
once.

- The gripper and all objects are discs on the table. The gripper touches objects only when it is
  low.
- An object that the gripper overlaps moves along the line of centres until the two only touch.
- Two objects that overlap each move by half of the overlap, so a pushed object pushes others. This
  repeats until nothing overlaps.
- Walls around the table stop objects. If the overlaps do not end, something is jammed: the gripper
  stalls where it was, and nothing moves.
- A gripper that comes down on an object stays above it.

In each frame, the gripper covers the fraction FOLLOW of the way to the commanded pose.
"""

import math
from collections.abc import Iterable, Sequence

# Components of a pose, each in -1…1.
POSE = ("x", "y", "height", "yaw", "opening")
X, Y, HEIGHT, YAW, OPENING = range(5)
GRIPPER_RADIUS = 0.18
CONTACT_HEIGHT = -0.5  # at and below this height, the gripper touches objects
FOLLOW = 0.85
SUBSTEPS = 6  # per frame, so that no step is longer than the gripper's radius
TOLERANCE = 1e-4  # overlaps up to this are ignored
ROUNDS = 60


class Table:
    """A table with objects and a gripper.

    Attributes:
        positions: list of `[x, y]`, one per object.
        radii: the objects' radii.
        pose: the gripper's pose, a list of the components of POSE.
    """

    def __init__(
        self, positions: Iterable[Iterable[float]], radii: Iterable[float], pose: Iterable[float]
    ) -> None:
        self.positions = [list(position) for position in positions]
        self.radii = list(radii)
        self.pose = list(pose)

    def step(self, command: Sequence[float]) -> None:
        """Advances one frame: the gripper moves towards the commanded pose and pushes objects."""
        change = [
            FOLLOW * (end - start) / SUBSTEPS for start, end in zip(self.pose, command, strict=True)
        ]
        for _ in range(SUBSTEPS):
            pose = [value + part for value, part in zip(self.pose, change, strict=True)]
            if pose[HEIGHT] <= CONTACT_HEIGHT:
                if self.pose[HEIGHT] > CONTACT_HEIGHT:  # coming down
                    if self.touching(pose):
                        pose[HEIGHT] = self.pose[HEIGHT]
                else:
                    settled = settle(self.positions, self.radii, pose)
                    if settled is None:
                        pose[: HEIGHT + 1] = self.pose[: HEIGHT + 1]
                    else:
                        self.positions = settled
            self.pose = pose

    def touching(self, pose: Sequence[float]) -> bool:
        """Whether a gripper at this pose would overlap an object."""
        return any(
            math.hypot(x - pose[X], y - pose[Y]) < radius + GRIPPER_RADIUS
            for (x, y), radius in zip(self.positions, self.radii, strict=True)
        )


def settle(
    positions: Iterable[Iterable[float]], radii: Sequence[float], pose: Sequence[float]
) -> list[list[float]] | None:
    """Pushes objects out of the gripper, each other and the walls.

    Returns:
        The new positions; objects that nothing overlaps keep theirs exactly. None if overlaps
        remain after ROUNDS rounds: something is jammed.
    """
    positions = [list(position) for position in positions]
    for _ in range(ROUNDS):
        moved = False
        for i, (position, radius) in enumerate(zip(positions, radii, strict=True)):
            overlap, nx, ny = _overlap((pose[X], pose[Y]), GRIPPER_RADIUS, position, radius)
            if overlap > TOLERANCE:
                position[0] += overlap * nx
                position[1] += overlap * ny
                moved = True
            for other, other_radius in zip(positions[:i], radii, strict=False):
                overlap, nx, ny = _overlap(other, other_radius, position, radius)
                if overlap > TOLERANCE:
                    for body, half in ((other, -overlap / 2), (position, overlap / 2)):
                        body[0] += half * nx
                        body[1] += half * ny
                    moved = True
            for axis in (0, 1):
                bound = 1 - radius
                if abs(position[axis]) > bound + TOLERANCE:
                    position[axis] = math.copysign(bound, position[axis])
                    moved = True
        if not moved:
            return positions
    return None


def _overlap(centre, radius, other, other_radius):
    """The depth of two discs' overlap, and the unit vector from the first centre to the other."""
    dx, dy = other[0] - centre[0], other[1] - centre[1]
    distance = math.hypot(dx, dy)
    if distance == 0:
        return radius + other_radius, 1.0, 0.0
    return radius + other_radius - distance, dx / distance, dy / distance
