"""Random numbers for training examples: functions of the seed and the position in the stream.

They come from numpy's SeedSequence and Philox, whose streams numpy promises to keep between
versions, and from the finaliser of SplitMix64.
"""

import math

import numpy as np

# Keys that keep the streams of one seed apart.
PERMUTATION, FLIP, CAPTION, *CROPS = range(5)
MAPS = 5
JITTER = 6  # and the next ones: two for the shift, then one per channel
CLASSES, POINTS, SAMPLES, CHANCES = 16, 17, 18, 19


def epoch_permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch: int64 `[size]`, each of 0…`size`-1 once."""
    generator = np.random.Philox(np.random.SeedSequence([seed, PERMUTATION, epoch]))
    return np.argsort(generator.random_raw(size), kind="stable")


def flip_coins(seed: int, positions: np.ndarray) -> np.ndarray:
    """One fair coin per position in the stream: bool `[n]`."""
    return _hash(seed, FLIP, positions) >> np.uint64(63) == 1


def jitter_uniforms(seed: int, positions: np.ndarray, channels: int) -> np.ndarray:
    """Uniforms for `augment.jitter`: float64 `[n, 2 + channels]` in [0, 1)."""
    streams = range(JITTER, JITTER + 2 + channels)
    return np.stack([uniforms(seed, stream, positions) for stream in streams], axis=1)


def crop_uniforms(seed: int, positions: np.ndarray) -> np.ndarray:
    """Uniforms that place an image's crop or a clip's start: float64 `[n, 2]` in [0, 1)."""
    return np.stack([uniforms(seed, stream, positions) for stream in CROPS], axis=1)


def point_uniforms(seed: int, positions: np.ndarray, num_keypoints: int) -> np.ndarray:
    """Uniforms for `conditions.with_moved_points`: float64 `[n, 1 + 2P]` in [0, 1)."""
    streams = [(POINTS, number) for number in range(1 + 2 * num_keypoints)]
    return np.stack([uniforms(seed, stream, positions) for stream in streams], axis=1)


def sample_uniforms(seed: int, positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Uniforms with which a model samples: float32 `[n, *shape]` in [0, 1)."""
    found = np.empty((len(positions), *shape), "float32")
    for position, row in zip(positions, found, strict=True):
        generator = np.random.Philox(np.random.SeedSequence([seed, SAMPLES, int(position)]))
        drawn = generator.random_raw(row.size) >> np.uint64(40)  # 24 bits: float32 holds each
        row[:] = (drawn * 2.0**-24).reshape(shape)
    return found


def chances(seed: int, positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Uniforms that choose the frames to replace with samples: float64 `[n, *shape]` in [0, 1).

    Keep `shape` small: each number per position has a stream of its own.
    """
    drawn = [uniforms(seed, (CHANCES, number), positions) for number in range(math.prod(shape))]
    return np.stack(drawn, axis=1).reshape(len(positions), *shape)


def uniforms(seed: int, stream: int | tuple[int, int], positions: np.ndarray) -> np.ndarray:
    """One uniform in [0, 1) per position in the stream: float64 `[n]`."""
    return (_hash(seed, stream, positions) >> np.uint64(11)) * 2.0**-53


def _hash(seed, stream, positions):
    """uint64 `[n]` from the finaliser of SplitMix64, so that every position costs the same."""
    key = np.random.SeedSequence([seed, *np.atleast_1d(stream)]).generate_state(1, np.uint64)
    mixed = positions.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
