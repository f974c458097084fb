"""Turns a `Source` into batches of tensors, by `tf.data` pipelines that are exact and resumable.

The batch at step s is a pure function of (seed, s). Position p = s·batch_size + i in the stream of
examples belongs to epoch p // size and takes the example at place p % size of that epoch's
permutation. So each example comes once per epoch, and a batch may straddle two epochs. `draws`
gives the random numbers for a position.
"""

import functools
import re
from collections.abc import Generator, Sequence

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf import captions, pixels
from ms_pixelcnn_tf.data import conditions
from ms_pixelcnn_tf.data.batches import augment as augmentation
from ms_pixelcnn_tf.data.batches import draws
from ms_pixelcnn_tf.data.batches.damaged import Tolerance
from ms_pixelcnn_tf.data.batches.shutdown import readers
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import Tensor

LEVEL_FIELDS = ("image", "frames")  # quantised
TEXT_KINDS = "OSU"  # numpy's objects, bytes and str
ENDLESS = 2**62
PREFETCHED = 4
SHUT_DOWN = "cannot schedule new futures"

to_utf8 = np.vectorize(tf.compat.as_bytes, otypes=[object])


def training_batches(
    source: Source,
    *,
    split: str = "train",
    batch_size: int,
    seed: int,
    rows: tuple[int, int] | None = None,
    start_step: int = 0,
    flip: bool = False,
    random_crop: bool = False,
    augment: Sequence[str] = (),
    map_dropout: float = 0.0,
    maps_from: int = 0,
    map_noise: float = 0.0,
    past_samples: int = 0,
    max_damaged: int = 0,
    num_levels: int = 256,
    fields: Sequence[str] = ("image",),
) -> tf.data.Dataset:
    """An endless stream of shuffled batches.

    Image and conditions of each example first change together: crop, mirror, jitter. Then keypoints
    move, and the conditions become the maps and codes that models take. Finally, maps get wrong
    classes or are emptied. All random changes are drawn again in each epoch.

    Args:
        source: a `Source`.
        split: the split to draw from.
        batch_size: examples per batch.
        rows: `(first, stop)`: only these rows of each batch, for one of several processes; None:
            all.
        seed: seed of the order and of all random changes; an integer of 0 or above.
        start_step: the step of the first batch. A stream that starts at s equals one that started
            at 0, after s batches.
        flip: mirror images left to right at random, and their conditions with them. Only for the
            source's `mirrored_fields`.
        random_crop: crop each image, or start each clip, at a random place. Only if the source
            takes `places`.
        augment: for videos, any of "mirror" (like `flip` for images) and "jitter" (see `augment`).
        map_dropout: fraction of the examples whose maps are left empty.
        maps_from: the first step that shows maps; before it, all are left empty.
        map_noise: fraction of the examples whose segmentation gets wrong classes
            (`conditions.with_other_classes`) and, drawn separately, of those whose keypoints move
            (`conditions.with_moved_points`).
        past_samples: for videos, P, the number of passes of scheduled sampling, which replace past
            frames with the model's own samples. Adds the fields "uniforms", float32
            `[B, P, T, H, W, C]`, for sampling, and "chances", float64 `[B, P, T]`, for choosing the
            frames to replace, both in [0, 1). 0: no such fields.
        max_damaged: how many damaged examples may be replaced (`Tolerance`).
        num_levels: number of levels to which images and frames are quantised, 2…256.
        fields: the fields to return.

    Returns:
        A `tf.data.Dataset` of dicts. B is `batch_size`, or the number of `rows`. Images are uint8
        `[B, H, W, C]` and frames uint8 `[B, T, H, W, C]`, in 0…`num_levels`-1; labels are int32
        `[B]`; "text" is int32 `[B, 201]`, the codes (`captions.encode`) of one caption per example,
        drawn again in each epoch; "keypoints", uint8 `[B, 32, 32, P]`, and "segmentation", uint8
        `[B, 32, 32, S]`, are maps. Further fields are as in the source.

    Raises:
        UserError: for an empty or unknown split, an unknown field, an option out of range, or a
            change that does not suit the source or its fields.
    """
    _check_integer("batch_size", batch_size, 1)
    _check_integer("seed", seed, 0)
    _check_integer("start_step", start_step, 0)
    _check_integer("past_samples", past_samples, 0)
    for name, part in (("map_dropout", map_dropout), ("map_noise", map_noise)):
        if not 0 <= part <= 1:
            raise UserError(f"{name} is {part}; give a part from 0 to 1")
    fields = tuple(fields)
    augment = tuple(augment)
    if past_samples and "frames" not in fields:
        raise UserError(f"past_samples is {past_samples}, without the field frames; leave it out")
    check_changes(source, fields, flip, random_crop, augment)
    size = _size(source, split)
    first, stop = rows or (0, batch_size)
    reader = Tolerance(source, split, max_damaged)

    def drawn(frames, positions):
        """The random fields, which the source does not have."""
        if not past_samples:
            return {}
        shape = (past_samples, *frames.shape[1:])
        return {
            "uniforms": draws.sample_uniforms(seed, positions, shape),
            "chances": draws.chances(seed, positions, shape[:2]),
        }

    @functools.lru_cache(maxsize=2)  # a batch seldom straddles more than two epochs
    def permutation(epoch):
        return draws.epoch_permutation(size, seed, epoch)

    def batch(step):
        positions = step * batch_size + np.arange(first, stop)
        epochs, places = np.divmod(positions, size)
        indices = np.empty(len(positions), "int64")
        for epoch in np.unique(epochs):
            inside = epochs == epoch
            indices[inside] = permutation(int(epoch))[places[inside]]
        if random_crop:
            places = draws.crop_uniforms(seed, positions)
            examples = reader.examples(indices, fields, places=places)
        else:
            examples = reader.examples(indices, fields)
        if flip:
            coins = draws.flip_coins(seed, positions)
            examples = conditions.mirrored(examples, coins, source.keypoint_mirror)
        if "mirror" in augment:
            coins = draws.flip_coins(seed, positions)
            examples = augmentation.mirror(examples, coins, source.lateral)
        if "jitter" in augment:
            uniforms = draws.jitter_uniforms(seed, positions, source.channels)
            examples["frames"] = augmentation.jitter(examples["frames"], uniforms)
        if "text" in fields:
            which = draws.uniforms(seed, draws.CAPTION, positions)
            examples["text"] = conditions.chosen_captions(examples["text"], which)
        if map_noise and "keypoints" in fields:
            uniforms = draws.point_uniforms(seed, positions, source.num_keypoints)
            examples = conditions.with_moved_points(
                examples, uniforms, map_noise, source.image_size
            )
        examples = _as_models_take(examples, source)
        if map_noise:
            uniforms = draws.uniforms(seed, draws.CLASSES, positions)
            examples = conditions.with_other_classes(examples, uniforms, map_noise)
        if map_dropout or step < maps_from:
            part = 1 if step < maps_from else map_dropout
            dropped = draws.uniforms(seed, draws.MAPS, positions) < part
            examples = conditions.without_maps(examples, dropped)
        return examples | drawn(examples.get("frames"), positions)

    steps = tf.data.Dataset.range(start_step, ENDLESS)
    return _batches(steps, batch, reader, source, fields, num_levels, stop - first, drawn)


def evaluation_batches(
    source: Source,
    *,
    split: str,
    batch_size: int,
    num_levels: int = 256,
    fields: Sequence[str] = ("image",),
    limit: int | None = None,
) -> tf.data.Dataset:
    """One exact pass: each example once, in order; the last batch may be smaller.

    With the field "text", each example comes once for each of its first `source.num_captions`
    captions, one after the other.

    Args:
        source, split, batch_size, num_levels, fields: as for `training_batches`.
        limit: use only the first `limit` examples; None or 0: all.

    Returns:
        A finite `tf.data.Dataset` of dicts, whose `cardinality` is known.

    Raises:
        UserError: for an empty or unknown split, an unknown field, or an option out of range.
    """
    _check_integer("batch_size", batch_size, 1)
    _check_integer("limit", limit or 0, 0)
    size = _size(source, split)
    size = min(size, limit or size)
    fields = tuple(fields)
    repeats = max(source.num_captions, 1) if "text" in fields else 1
    size *= repeats

    def batch(step):
        start = step * batch_size
        numbers = np.arange(start, min(start + batch_size, size))
        examples = source.examples(split, numbers // repeats, fields)
        if "text" in fields:
            examples["text"] = conditions.numbered_captions(examples["text"], numbers % repeats)
        return _as_models_take(examples, source)

    steps = tf.data.Dataset.range(-(-size // batch_size))
    fixed_size = batch_size if size % batch_size == 0 else None
    reader = Tolerance(source, split, limit=0)
    return _batches(steps, batch, reader, source, fields, num_levels, fixed_size)


def check_changes(
    source: Source,
    fields: Sequence[str],
    flip: bool = False,
    random_crop: bool = False,
    augment: Sequence[str] = (),
) -> None:
    """Raises UserError if a change would make a field wrong or does not suit the source."""
    kept = [field for field in fields if field not in source.mirrored_fields]
    if flip and kept:
        raise UserError(
            f"flip mirrors the image but not {', '.join(kept)} of {source.name}; turn flip off or "
            f"ask for no more than: {', '.join(source.mirrored_fields)}"
        )
    if augment and not source.is_video:
        raise UserError(f"{source.name} has images, which augment does not change; use flip")
    if "mirror" in augment and kept:
        raise UserError(
            f"a mirror is not known of {' and '.join(kept)} of {source.name}: which components are "
            "lateral is not documented; leave mirror out, or train without them (action_size=0, "
            "state_size=0)"
        )
    if random_crop and not source.takes_places:
        what = "a video" if source.is_video else "an image"
        raise UserError(f"{source.name} has no more of {what} than it gives; turn random_crop off")


def iterate(dataset: tf.data.Dataset) -> Generator[dict[str, Tensor], None, None]:
    """Yields the batches of a dataset of this module.

    A `UserError` raised while reading comes out as itself, not wrapped in TensorFlow's long error.
    Closing the generator (`contextlib.closing`) ends the prefetching.
    """
    iterator = iter(dataset)
    try:
        while True:
            try:
                batch = next(iterator)
            except StopIteration:
                return
            except tf.errors.OpError as error:
                told = re.search(r"(?:UserError|DamagedExample): (.*)", error.message)
                raise UserError(told[1]) if told else error from error
            yield batch
    finally:
        del iterator


def _as_models_take(examples, source):
    """The examples, with keypoints and segmentation as maps and one caption each as codes."""
    convert = {
        "text": captions.encode,
        "keypoints": lambda points: conditions.keypoint_maps(points, source.image_size),
        "segmentation": lambda values: conditions.segmentation_maps(values, source.num_segments),
    }
    return {
        field: convert[field](values) if field in convert else values
        for field, values in examples.items()
    }


def _no_draws(frames, positions):
    return {}


def _batches(steps, batch, reader, source, fields, num_levels, batch_size, drawn=_no_draws):
    """Turns `batch`, a function from step to dict of arrays, into a `tf.data` pipeline.

    `drawn` computes fields that the source does not have, from frames and positions; none by
    default.
    """
    _check_integer("num_levels", num_levels, 2, 256)
    if not fields:
        raise UserError('no fields were asked for; give at least one, such as "image"')
    # tf.data needs the types and shapes before the first batch; one example gives them.
    probe = reader.examples(np.zeros(1, "int64"), fields)
    if "text" in fields:
        probe["text"] = [""]
    probe = _as_models_take(probe, source)
    made = drawn(probe.get("frames"), np.zeros(1, "int64"))
    probe, fields = probe | made, (*fields, *made)
    dtypes = [probe[field].dtype for field in fields]
    types = [tf.string if dtype.kind in TEXT_KINDS else dtype for dtype in dtypes]

    def arrays(step):
        with readers:
            try:
                examples = batch(int(step))
            except RuntimeError as error:
                if SHUT_DOWN in str(error):  # a source's threads end before the interpreter
                    raise StopIteration from None
                raise
        for field in fields:
            if field in LEVEL_FIELDS:
                examples[field] = pixels.quantise(examples[field], num_levels)
            elif examples[field].dtype.kind in TEXT_KINDS:
                examples[field] = to_utf8(examples[field])
        return [examples[field] for field in fields]

    def tensors(step):
        values = tf.numpy_function(arrays, [step], types, stateful=False)
        for field, value in zip(fields, values, strict=True):
            value.set_shape((batch_size,) + probe[field].shape[1:])
        return dict(zip(fields, values, strict=True))

    # A single call at a time leaves the cores to the model. If the source has threads of its own, a
    # second call keeps them busy while the first batch is put together.
    options = tf.data.Options()
    options.experimental_optimization.map_parallelization = False
    calls = 2 if source.has_threads else None
    batches = steps.map(tensors, num_parallel_calls=calls, deterministic=True if calls else None)
    return batches.prefetch(PREFETCHED).with_options(options)


def _size(source, split):
    """Number of examples in the split; raises UserError if it is empty."""
    size = source.size(split)
    if not size:
        raise UserError(f"{source.name} has no examples in split {split}")
    return size


def _check_integer(name, value, lowest, highest=None):
    """Raises UserError unless `value` is an integer in range."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < lowest or (highest is not None and value > highest):
        wanted = f"of {lowest} or above" if highest is None else f"from {lowest} to {highest}"
        raise UserError(f"{name} is {value!r}; give an integer {wanted}")
