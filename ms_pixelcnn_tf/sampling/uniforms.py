"""Uniforms from a seed: each is a pure function of the seed, the image and the sub-pixel.

So an image does not depend on how many images are drawn with it, in how many parts, or on which
backend, and is the same in an exported graph. The function is the cipher Threefry-2x32 with 20
rounds. Its key is the seed; it enciphers the number of an image and of a pair of sub-pixels.

Reference: Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3, section 4.2.
"""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import Tensor

MAX_SEED = 2**63 - 1  # the largest int64
ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)  # bits, four rounds each, in turn
PARITY = 0x1BD11BDA


def check_seed(seed: Any, name: str = "seed") -> None:
    """Raises UserError unless `seed` is an integer from 0 to MAX_SEED."""
    if not hasattr(seed, "__index__") or isinstance(seed, bool) or not 0 <= int(seed) <= MAX_SEED:
        raise UserError(f"{name} is {seed!r}; valid: integers from 0 to {MAX_SEED}")


def draw(seed: Any, first: Any, num: Any, shape: Sequence[int]) -> Tensor:
    """Uniforms of images `first` … `first + num - 1`.

    Args:
        seed: a Python integer from 0 to MAX_SEED, or an int64 tensor holding one.
        first, num: integers; `num` may be a tensor.
        shape: shape of one image's uniforms, such as `(H, W, C)`.

    Returns:
        float32 `[num, *shape]`, multiples of 2⁻²⁴ in [0, 1).
    """
    size = math.prod(shape)
    pairs = -(-size // 2)
    images = ops.cast(ops.arange(num) + first, "uint32")[:, None]
    words = threefry(_key(seed), images, ops.cast(ops.arange(pairs), "uint32")[None])
    bits = ops.reshape(ops.stack(words, axis=-1), (-1, 2 * pairs))[:, :size]
    # Keep the 24 bits that a float32 holds. They fit an int32, which more backends can cast.
    values = ops.cast(ops.cast(ops.right_shift(bits, _word(8)), "int32"), "float32")
    return ops.reshape(values * 2.0**-24, (-1, *shape))


def threefry(key: Sequence[Tensor], left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Enciphers pairs of words.

    Args:
        key: two uint32 scalars.
        left, right: uint32, of shapes that broadcast.

    Returns:
        Two uint32 tensors of their common shape.
    """
    keys = *key, ops.bitwise_xor(ops.bitwise_xor(*key), _word(PARITY))
    left, right = left + keys[0], right + keys[1]
    for number in range(5):
        for bits in ROTATIONS[number % 2]:
            left = left + right
            turned = ops.bitwise_or(
                ops.left_shift(right, _word(bits)), ops.right_shift(right, _word(32 - bits))
            )
            right = ops.bitwise_xor(turned, left)
        left = left + keys[(number + 1) % 3]
        right = right + keys[(number + 2) % 3] + _word(number + 1)
    return left, right


def _key(seed):
    """The lower and the upper 32 bits of a seed."""
    if not ops.is_tensor(seed):
        return _word(int(seed) & 0xFFFFFFFF), _word(int(seed) >> 32)
    return ops.cast(seed, "uint32"), ops.cast(
        ops.right_shift(seed, ops.cast(32, "int64")), "uint32"
    )


def _word(value):
    return ops.convert_to_tensor(value, "uint32")
