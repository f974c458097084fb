"""Base of the built data sets: random access to the examples in TFRecords.

Data that `tfrecords_tools` or TFDS has built is found by its folder and read through the feature
specification stored there (`tfds.builder_from_directory`), so no builder is imported. The index of
the records is built once and kept in the cache folder.
"""

import concurrent.futures
import contextlib
import functools
import io
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PIL import Image

from ms_pixelcnn_tf import files
from ms_pixelcnn_tf.data import cache, decode
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.data.tfrecords import records
from ms_pixelcnn_tf.data.tfrecords.catalogue import describe, find_builder
from ms_pixelcnn_tf.errors import DamagedExample, UserError, first_line
from ms_pixelcnn_tf.types import Levels

INDEX_VERSION = 1  # increase it whenever the content of the index changes
THREADS = min(8, os.cpu_count() or 1)
AT_A_TIME = 8  # examples per job of a thread
SPLIT_NAMES = {"valid": "validation", "val": "validation"}  # TFDS's name → ours


class RecordSource(Source):
    """Base of the built data sets: `raw` reads a record's features, `map` runs on several threads.

    Args:
        name: the data set's name.
        data_dir: the folder of all built data, or of one build.
        image_size: `(height, width)` in pixels.
        channels: 1 (gray) or 3 (RGB).
        encoded: a function from TFDS's `SkipDecoding()` to its `decoders` (a dict of the features
            to leave encoded, or None).

    Raises:
        UserError: if there is no such build, or if more than one fits.
    """

    takes_places = True
    has_threads = True

    def __init__(
        self,
        name: str,
        data_dir: str | os.PathLike,
        image_size: tuple[int, int],
        channels: int,
        encoded: Callable[[Any], Any],
    ) -> None:
        import tensorflow_datasets as tfds

        height, width = image_size
        self.name, self.image_size, self.channels = name, (height, width), channels
        builder = find_builder(name, pathlib.Path(data_dir).expanduser(), max(image_size))
        self.features, self.built_line = builder.info.features, describe(name, builder)
        self.metadata = dict(builder.info.metadata or {})
        self._folder = str(builder.data_path)
        self._decoders = encoded(tfds.decode.SkipDecoding())
        self._paths, self._sizes = {}, {}
        for split, info in builder.info.splits.items():
            split = SPLIT_NAMES.get(split, split)
            self._paths[split] = [str(path) for path in info.filepaths]
            self._sizes[split] = info.num_examples
        self.splits = tuple(self._paths)
        self._pool = concurrent.futures.ThreadPoolExecutor(THREADS)

    def size(self, split: str) -> int:
        self.check_split(split)
        return self._sizes[split]

    def map(self, function: Callable[..., Any], *arguments: Iterable) -> list:
        """Like the built-in `map`, but on several threads, and returns a list.

        A thread takes a few calls at a time: handing them over one by one costs a tenth of reading.
        """
        calls = list(zip(*arguments, strict=True))
        length = min(AT_A_TIME, -(-len(calls) // THREADS)) or 1
        parts = [calls[start : start + length] for start in range(0, len(calls), length)]
        results = self._pool.map(lambda part: [function(*call) for call in part], parts)
        return [result for part in results for result in part]

    def raw(self, split: str, index: int, names: tuple[str, ...] | None = None) -> dict[str, Any]:
        """The features of a record; those in `encoded` as bytes.

        Args:
            split, index: the example.
            names: tuple of the features to decode and return; None: all.

        Raises:
            DamagedExample: if the record is damaged or from another data set; it names the file and
                the offset.
        """
        file_of, offsets, lengths = self._index(split)
        path, offset = self._paths[split][file_of[index]], offsets[index]
        with open(path, "rb") as file:  # not kept open: there may be a thousand shards
            data = records.read_record(file, path, offset, lengths[index])
        try:
            features, decoders = self._wanted(names)
            return features.deserialize_example_np(data, decoders=decoders)
        except Exception as error:  # the parser raises many types for other records
            raise DamagedExample(
                f"{path}, the record at byte {offset}: no example of {self.name}: "
                f"{first_line(error)}"
            ) from error

    def pixels(
        self, split: str, index: int, content: bytes, place: np.ndarray | None = None
    ) -> tuple[Levels, tuple[int, int, int, int]]:
        """Decodes an image, crops and resizes it.

        Args:
            split, index: the example, for messages.
            content: the encoded bytes.
            place: `[2]` in [0, 1), where the crop lies between its first and its last position,
                across and down; None: the centre.

        Returns:
            uint8 `[H, W, C]`, and the crop: (left, top, right, bottom) in pixels of the stored
            image.

        Raises:
            DamagedExample: if the image cannot be decoded.
        """
        height, width = self.image_size
        try:
            with Image.open(io.BytesIO(content), formats=decode.FORMATS) as image:
                box = decode.crop_box(image.size, self.image_size, place)
                ratio = decode.shrink_while_decoding(image, box, self.image_size)
                left, top, right, bottom = (edge / ratio for edge in box)
                part = left, top, right, bottom
                image = decode.average(decode.to_rgb(image), self.image_size, part)
            pixels = np.asarray(image.convert("L") if self.channels == 1 else image)
        except Exception as error:  # the decoders raise many types for damaged bytes
            raise DamagedExample(
                f"{self._folder}, split {split}, example {index}: cannot decode its image: {error}"
            ) from error
        return pixels.reshape(height, width, self.channels), box

    @functools.cache  # noqa: B019 (a source lives as long as its run)
    def _wanted(self, names):
        """The features with these names, and the decoders of those that stay encoded."""
        if names is None:
            return self.features, self._decoders
        kind = type(self.features)  # a dict of features, or a sequence of such dicts for videos
        features = kind({name: self.features[name] for name in names})
        decoders = {n: decoder for n, decoder in (self._decoders or {}).items() if n in names}
        return features, decoders or None

    @functools.cache  # noqa: B019 (as above)
    def _index(self, split):
        """File number, offset and length of each record: int64 `[3, N]`."""
        paths = self._paths[split]
        try:
            state = [(path, os.path.getsize(path), os.stat(path).st_mtime_ns) for path in paths]
        except OSError as error:
            raise UserError(
                f"{error.filename}, a part of split {split}, is missing; build the data again"
            ) from error
        stored = cache.cache_folder() / f"records-{cache.key_of(INDEX_VERSION, state)}.npy"
        index = None
        with contextlib.suppress(*cache.DAMAGED):
            index = np.load(stored, allow_pickle=False)
        if index is None:
            parts = [records.index_of(path) for path in paths]
            numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
            index = np.concatenate([numbers[:, None], np.concatenate(parts)], axis=1)
            try:
                with files.replacing(stored) as temporary, open(temporary, "wb") as file:
                    np.save(file, index)
            except OSError as error:
                cache.log_unwritable(error)
        if len(index) != self._sizes[split]:
            raise UserError(
                f"{self._folder} holds {len(index)} of the {self._sizes[split]} examples of split "
                f"{split}; build the data again"
            )
        return index.T
