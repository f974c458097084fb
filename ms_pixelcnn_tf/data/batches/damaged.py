"""Replaces damaged examples with sound ones during training, up to a limit."""

import threading
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import DamagedExample, UserError


class Tolerance:
    """Reads examples of a split for training.

    The next sound example replaces a damaged one, so a batch remains a function of its indices and
    the files. Each damaged example causes one warning.

    Args:
        source: a `Source`.
        split: the split.
        limit: how many different examples may be damaged.
    """

    def __init__(self, source: Source, split: str, limit: int) -> None:
        self._source, self._split, self._limit = source, split, limit
        self._damaged = set()
        self._lock = threading.Lock()

    def examples(
        self, indices: np.ndarray, fields: Iterable[str], **more: Any
    ) -> dict[str, np.ndarray]:
        """Like `Source.examples`, with damaged examples replaced.

        Raises:
            UserError: like `Source.examples`; also if more than `limit` examples or the whole split
                are damaged, naming the last one found.
        """
        try:
            return self._source.examples(self._split, indices, fields, **more)
        except DamagedExample:
            sound = [self._sound(int(index), fields) for index in indices]
            return self._source.examples(self._split, sound, fields, **more)

    def _sound(self, index, fields):
        """The index itself if its example is sound, else the next sound one."""
        while True:
            if index not in self._damaged:
                try:
                    self._source.examples(self._split, [index], fields)
                    return index
                except DamagedExample as error:
                    self._count(index, error)
            index = (index + 1) % self._source.size(self._split)

    def _count(self, index, error):
        with self._lock:
            self._damaged.add(index)
            if len(self._damaged) > self._limit or len(self._damaged) == self._source.size(
                self._split
            ):
                raise UserError(
                    f"{error}; {len(self._damaged)} examples of split {self._split} are damaged, "
                    f"more than max_damaged_examples, {self._limit}: build the data again"
                ) from error
        warnings.warn(
            f"{error}; another example takes its place ({len(self._damaged)} of up to "
            f"{self._limit})",
            stacklevel=2,
        )
