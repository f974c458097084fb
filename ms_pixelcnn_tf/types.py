"""Type aliases for public signatures."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

Array: TypeAlias = ArrayLike  # an array, a tensor, or anything that numpy can convert
Tensor: TypeAlias = Any  # a tensor of Keras' backend
Levels: TypeAlias = np.ndarray  # uint8
Conditions: TypeAlias = Mapping[str, Any] | None  # field → a batch of values
Shape: TypeAlias = tuple[int | None, ...] | None
Groups: TypeAlias = Sequence[int] | np.ndarray  # the channel group of each feature
AnyPath: TypeAlias = str | os.PathLike[str]
Size: TypeAlias = int | str | tuple[int, int]  # a side, "32x48", or (height, width)
