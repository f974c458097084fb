"""Draws the frames of an episode of `shapes_push`, as seen by a camera above the table.

The camera looks straight down. It may be moved, turned and zoomed. Light comes from the table's far
left. Height shows in two ways: a higher gripper is larger, and its shadow is further away.
"""

import math
from typing import NamedTuple

import numpy as np

from ms_pixelcnn_tf.data.procedural import raster
from ms_pixelcnn_tf.data.procedural.push_episode import Episode
from ms_pixelcnn_tf.data.procedural.push_physics import HEIGHT, OPENING, YAW, X, Y

SHOULDER = (0.0, -1.8)  # start of the arm, beyond the far wall
ARM_WIDTH = 0.075  # half the width
FINGER = (0.09, 0.05)  # half the sides: along the push, across it
SPREAD = (0.06, 0.13)  # distance of a finger's centre from the gripper's: closed, open
PALM = 0.055  # half its side along the push
ARM_COLOUR = (0.66, 0.68, 0.72)
PALM_COLOUR = (0.36, 0.38, 0.44)
FINGER_COLOUR = (0.93, 0.92, 0.88)
WALL_WIDTH, WALL_LIGHT, FLOOR_LIGHT = 0.06, 1.7, 0.45  # brightness relative to the table's
GROWTH = 0.3  # of the gripper, from lowest to highest
SHADOW_SHIFT, SHADOW_DEPTH = 0.2, 0.4
OBJECT_SHADOW, OBJECT_SHADOW_WIDTH = 0.35, 0.2  # the width in nominal radii
SHADING, BEVEL, BEVEL_WIDTH = 0.14, 0.22, 0.2
WAVES = 6


class Camera(NamedTuple):
    """The camera's view, in units of the table."""

    view: float  # length that the frame's shorter side spans
    angle: float  # radians
    centre: tuple[float, float]


class Picture:
    """Draws episodes.

    Args:
        image_size: `(height, width)` of a frame, in pixels.
        camera: a `Camera`.
    """

    def __init__(self, image_size: tuple[int, int], camera: Camera) -> None:
        self._grid = raster.pixel_centres(image_size)
        self._camera = camera
        x, y, pixel = self._grid
        height, width = image_size
        self._middle = np.array([width * pixel / 2, height * pixel / 2])
        cosine = camera.view * math.cos(camera.angle)
        sine = camera.view * math.sin(camera.angle)
        self._to_table = np.array([[cosine, -sine], [sine, cosine]])
        x, y = x - np.float32(self._middle[0]), y - np.float32(self._middle[1])
        # Each pixel's place on the table, float32 [H, W] each, and a pixel's side in its units.
        self._x = cosine * x - sine * y + camera.centre[0]
        self._y = sine * x + cosine * y + camera.centre[1]
        self._pixel = pixel * camera.view

    def draw(self, episode: Episode, generator: np.random.Generator) -> np.ndarray:
        """The frames before noise: float32 `[3, T, H, W]`. The table's wood is drawn at random."""
        table = self._table(generator)
        moved = (episode.positions != episode.positions[:1]).any(axis=(0, 2))
        for number in np.flatnonzero(~moved):
            place = episode.positions[0, number].tolist()
            self._paint_object(table, episode.objects[number], place)
        states = episode.states.astype("float32")
        frames = np.repeat(table[:, None], len(states), axis=1)
        for number in np.flatnonzero(moved):
            track = episode.positions[:, number].astype("float32")
            self._paint_object(frames, episode.objects[number], track.T[:, :, None, None])
        self._paint_arm(frames, states)
        return frames

    def _table(self, generator):
        """The wooden table, the walls around it and the floor beyond: float32 `[3, H, W]`."""
        light, warmth = generator.uniform(0.2, 0.3), generator.uniform(-0.25, 0.25)
        grain = generator.uniform(0, math.pi)
        lengths = np.concatenate([generator.uniform(0.1, 0.4, 2), generator.uniform(1, 4, 4)])
        directions = np.concatenate(
            [generator.uniform(0, math.pi, 2), generator.normal(grain, 0.12, 4)]
        )
        phases = generator.uniform(0, 2 * math.pi, WAVES)
        strength = np.array([0.12, 0.08, 0.05, 0.05, 0.04, 0.04])
        frequencies = lengths[:, None] * np.stack([np.cos(directions), np.sin(directions)], axis=1)
        # The waves are given in units of the table; the sum needs those of the frame.
        seen = frequencies @ self._to_table
        phases = phases + 2 * math.pi * (frequencies @ self._camera.centre - seen @ self._middle)
        waves = raster.plane_waves(*self._grid, seen, phases, strength[None])[0]
        outside = raster.box(self._x, self._y, 1, 1)
        wall = raster.coverage(outside, self._pixel)
        floor = raster.coverage(outside - WALL_WIDTH, self._pixel)
        brightness = 1 + waves
        brightness *= 1 + (WALL_LIGHT - 1) * (1 - wall)
        brightness *= 1 + (FLOOR_LIGHT / WALL_LIGHT - 1) * (1 - floor)
        colour = light * (1 + warmth * np.array([1, 0.1, -1]))
        return colour.astype("float32")[:, None, None] * brightness

    def _paint_object(self, canvas, thing, centre):
        """Paints an object at `centre`, `(x, y)`: numbers, or float32 `[T, 1, 1]` each."""
        u, v = raster.turned(self._x, self._y, centre, thing.radius, thing.angle)
        distance = raster.OUTLINES[thing.kind](u, v)
        canvas *= 1 - OBJECT_SHADOW * np.clip(1 - distance / OBJECT_SHADOW_WIDTH, 0, 1)
        lit = SHADING / thing.radius * ((centre[0] - self._x) + (centre[1] - self._y))
        lit += 1 - BEVEL + BEVEL * np.clip(distance / -BEVEL_WIDTH, 0, 1)
        colour = np.array(raster.COLOURS[thing.colour], "float32")
        alpha = raster.coverage(distance, self._pixel / thing.radius)
        raster.paint(canvas, alpha, colour.reshape((3,) + (1,) * lit.ndim) * lit)

    def _paint_arm(self, frames, states):
        """Paints the gripper's shadow, the arm, and the gripper's palm and fingers."""
        pose = states.T[:, :, None, None]
        height = (pose[HEIGHT] + 1) / 2
        scale = 1 + GROWTH * height
        centre = pose[X], pose[Y]
        shift = 0.02 + SHADOW_SHIFT * height
        self._paint_shadow(frames, (pose[X] + shift, pose[Y] + shift), pose, height)
        arm = raster.capsule(self._x, self._y, SHOULDER, centre, ARM_WIDTH)
        round_light = 1 - 0.3 * np.clip(1 + arm / ARM_WIDTH, 0, 1) ** 2
        colour = np.array(ARM_COLOUR, "float32").reshape(3, 1, 1, 1) * round_light
        raster.paint(frames, raster.coverage(arm, self._pixel), colour)
        fingers, palm = self._gripper(centre, pose, scale)
        raster.paint(frames, raster.coverage(palm, self._pixel), PALM_COLOUR)
        raster.paint(frames, raster.coverage(fingers, self._pixel), FINGER_COLOUR)

    def _paint_shadow(self, frames, centre, pose, height):
        """Paints the gripper's shadow, fainter and softer with height."""
        fingers, palm = self._gripper(centre, pose, 1)
        softness = self._pixel + 0.15 * height
        dark = np.clip(0.5 - np.minimum(fingers, palm) / softness, 0, 1)
        frames *= 1 - SHADOW_DEPTH * (1 - 0.5 * height) * dark

    def _gripper(self, centre, pose, scale):
        """Signed distances `[T, H, W]` to the two fingers and to the palm that joins them."""
        angle = pose[YAW] * np.float32(math.pi / 2)
        cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
        x, y = self._x - centre[0], self._y - centre[1]
        along, across = cosine * x + sine * y, np.abs(cosine * y - sine * x)
        spread = SPREAD[0] + (SPREAD[1] - SPREAD[0]) * (pose[OPENING] + 1) / 2
        fingers = raster.box(along, across - spread, *FINGER)
        palm = raster.box(along, across, PALM, spread)
        return fingers * scale, palm * scale
