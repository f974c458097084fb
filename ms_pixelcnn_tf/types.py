"""The types that public signatures name."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

Array: TypeAlias = ArrayLike  # numpy's, a tensor, or what numpy makes an array of
Tensor: TypeAlias = Any  # of Keras' backend
Levels: TypeAlias = np.ndarray  # uint8
Conditions: TypeAlias = Mapping[str, Any] | None  # field → values of a batch
Shape: TypeAlias = tuple[int | None, ...] | None
Groups: TypeAlias = Sequence[int] | np.ndarray  # the channel group of each feature
AnyPath: TypeAlias = str | os.PathLike[str]
Size: TypeAlias = int | str | tuple[int, int]  # a side, "32x48", or (height, width)
