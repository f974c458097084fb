"""Built data: TFRecords that describe themselves, read with random access.

What `tfrecords_tools` has built, or TFDS itself, is found by its folder and read through the feature
specification stored in it (`tfds.builder_from_directory`): the builders are not imported. Records are
read where they lie, their checksums proven; images are decoded by several threads and kept in memory
as far as `CACHE_BYTES` goes.

An image is cut to the target's proportions (the centre, or a place that the caller draws) and
averaged over the area of each target pixel. Keypoints and masks are cut with it.
"""

import concurrent.futures
import contextlib
import functools
import io
import os
import pathlib

import numpy as np
from PIL import Image

from ms_pixelcnn_tf import files
from ms_pixelcnn_tf.data import cache, decode, records
from ms_pixelcnn_tf.data.built_catalogue import describe, find_builder
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.pixels import format_size

CACHE_BYTES = 2**30  # of decoded images a split
THREADS = min(8, os.cpu_count() or 1)
INDEX_VERSION = 1
TEXTS = {"captions": "text"}  # feature of the records → field
SPLIT_NAMES = {"valid": "validation", "val": "validation"}


class Built(Source):
    """A built data set of images. Its examples have, as far as the records do, the fields

    - "image": uint8 `[n, H, W, C]`.
    - "label": int32 `[n]`.
    - "text": object `[n]`, each a tuple of captions.
    - "keypoints": float32 `[n, P, 3]`, (x, y, visible), in pixels of the image as returned; those
      that the crop leaves outside are (0, 0, 0).
    - "segmentation": uint8 `[n, M, M, S]`, of square images only.

    Args:
        name: the data set's name.
        data_dir: where it was built, or the folder of the very build.
        image_size: `(height, width)` in pixels.
        channels: 1 (gray) or 3 (RGB).

    Raises:
        UserError: if there is no such build, or more than one that would fit.
    """

    def __init__(self, name, data_dir, image_size, channels=3):
        self.name, self.image_size, self.channels = name, tuple(image_size), channels
        builder = find_builder(name, pathlib.Path(data_dir).expanduser(), max(image_size))
        self._features, self._folder = builder.info.features, str(builder.data_path)
        metadata = dict(builder.info.metadata or {})
        self.keypoint_names = tuple(metadata.get("keypoint_names", ()))
        self.keypoint_mirror = tuple(metadata.get("keypoint_mirror", ()))
        if "label" in self._features:
            self.num_classes = self._features["label"].num_classes
            self.class_names = tuple(self._features["label"].names)
        colours = "RGB" if channels == 3 else "gray"
        self.description = (
            f"{describe(name, builder)}, cut to {format_size(self.image_size)}, {colours}"
        )
        self._files = {
            SPLIT_NAMES.get(split, split): [str(path) for path in info.filepaths]
            for split, info in builder.info.splits.items()
        }
        self._expected = {
            SPLIT_NAMES.get(split, split): info.num_examples
            for split, info in builder.info.splits.items()
        }
        self.splits = tuple(self._files)
        self.fields = tuple(
            TEXTS.get(feature, feature)
            for feature in self._features
            if feature in ("image", "label", "captions", "keypoints", "segmentation")
        )
        self.num_captions = metadata.get("num_captions", 0)
        self._decoders = self._skip_decoding()
        self._opened = {}
        self._cache = {}
        self._pool = concurrent.futures.ThreadPoolExecutor(THREADS)

    def size(self, split):
        self.check_split(split)
        return self._expected[split]

    def examples(self, split, indices, fields=None, places=None):
        """As `Source.examples`.

        Args:
            places: float `[n, 2]` in [0, 1): where the crop lies between its first and last place,
                across and down; None: the centre.
        """
        indices = self.check_indices(split, indices)
        fields = self.check_fields(fields, self.fields)
        places = np.full((len(indices), 2), 0.5) if places is None else places
        one = functools.partial(self._example, split, fields)
        found = list(self._pool.map(one, indices.tolist(), np.asarray(places, "float64")))
        return {field: _stacked([example[field] for example in found]) for field in fields}

    def _example(self, split, fields, index, place):
        """One example: dict field → array."""
        kept = self._kept(split) if (place == 0.5).all() else None
        if fields == ("image",) and kept and kept[1][index]:
            return {"image": kept[0][index]}
        raw = self._raw(split, index)
        image = self._opened_image(split, index, raw["image"])
        found, box = {}, _crop_box(image.size, self.image_size, place)
        for field in fields:
            if field == "image":
                found["image"] = self._pixels(split, index, image, box)
                if kept:
                    kept[0][index] = found["image"]
                    kept[1][index] = True
            elif field == "label":
                found["label"] = np.int32(raw["label"])
            elif field == "text":
                found["text"] = tuple(map(_as_text, raw["captions"]))
            elif field == "keypoints":
                found["keypoints"] = _moved(raw["keypoints"], box, self.image_size)
            else:
                if image.width != image.height or self.image_size[0] != self.image_size[1]:
                    raise UserError(
                        f"{self.name}: segmentation is of square images; give a square image_size "
                        "and build with one"
                    )
                found[field] = np.asarray(raw[field], "uint8")
        return found

    def _raw(self, split, index):
        """The record's features, images still encoded."""
        file_of, offsets, lengths = self._index(split)
        path = self._files[split][file_of[index]]
        data = records.read_record(self._file(path), path, offsets[index], lengths[index])
        try:
            return self._features.deserialize_example_np(data, decoders=self._decoders)
        except Exception as error:  # the parser raises many types for what is no such record
            raise UserError(
                f"{path}, the record at byte {offsets[index]}: not an example of {self.name}: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
            ) from error

    def _opened_image(self, split, index, content):
        try:
            return Image.open(io.BytesIO(content), formats=decode.FORMATS)
        except Exception as error:
            raise self._bad_image(split, index, error) from error

    def _pixels(self, split, index, image, box):
        try:
            image = decode.to_rgb(image)
            height, width = self.image_size
            if image.size != (width, height):
                left, top, right, bottom = box
                shrinks = right - left >= width and bottom - top >= height
                method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
                image = image.resize((width, height), method, box=box)
            pixels = np.asarray(image.convert("L") if self.channels == 1 else image)
        except Exception as error:
            raise self._bad_image(split, index, error) from error
        return pixels.reshape(*self.image_size, self.channels)

    def _bad_image(self, split, index, error):
        return UserError(
            f"{self._folder}, split {split}, example {index}: cannot decode its image: {error}"
        )

    @functools.lru_cache(maxsize=None)  # noqa: B019 (a source lives as long as its run)
    def _index(self, split):
        """`(file number, offset, length)` of each record, int64 `[N]` each."""
        paths = self._files[split]
        state = [(path, os.path.getsize(path), os.stat(path).st_mtime_ns) for path in paths]
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
        if len(index) != self._expected[split]:
            raise UserError(
                f"{self._folder} holds {len(index)} of the {self._expected[split]} examples of "
                f"split {split}; build the data again"
            )
        return index.T

    def _file(self, path):
        if path not in self._opened:
            self._opened[path] = open(path, "rb")  # noqa: SIM115 (stays open for the run)
        return self._opened[path]

    def _kept(self, split):
        """Decoded images and which are there, or None where they would take too much memory."""
        if split not in self._cache:
            shape = (self._expected[split], *self.image_size, self.channels)
            fits = np.prod(shape) <= CACHE_BYTES
            self._cache[split] = (np.empty(shape, "uint8"), np.zeros(shape[0], bool)) if fits else None
        return self._cache[split]

    def _skip_decoding(self):
        import tensorflow_datasets as tfds

        return {"image": tfds.decode.SkipDecoding()}


def _crop_box(size, image_size, place):
    """(left, top, right, bottom) of the largest part of the target's proportions, at `place`."""
    width, height = size
    crop_width, crop_height = width, height
    if width * image_size[0] > height * image_size[1]:
        crop_width = max(1, round(height * image_size[1] / image_size[0]))
    else:
        crop_height = max(1, round(width * image_size[0] / image_size[1]))
    left = int(place[0] * (width - crop_width + 1)) if place[0] != 0.5 else (width - crop_width) // 2
    top = int(place[1] * (height - crop_height + 1)) if place[1] != 0.5 else (height - crop_height) // 2
    return left, top, left + crop_width, top + crop_height


def _moved(keypoints, box, image_size):
    """Keypoints in pixels of the stored image → of the crop, resized to `image_size`."""
    left, top, right, bottom = box
    points = np.array(keypoints, "float32")
    scale = np.array([image_size[1] / (right - left), image_size[0] / (bottom - top)], "float32")
    points[:, :2] = (points[:, :2] - (left, top)) * scale
    inside = (points[:, :2] >= 0).all(axis=1) & (points[:, :2] < image_size[::-1]).all(axis=1)
    points[~(inside & (points[:, 2] > 0))] = 0
    return points


def _stacked(values):
    """A list of equal arrays as one array; tuples as an object array."""
    if isinstance(values[0], tuple):
        stacked = np.empty(len(values), object)
        stacked[:] = values
        return stacked
    return np.stack(values)


def _as_text(caption):
    return caption.decode("utf-8", "replace") if isinstance(caption, bytes) else str(caption)
