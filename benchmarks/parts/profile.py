"""Profiles one sampling call: the seconds of its operations, by part of the model."""

import collections
import contextlib
import pathlib
import tempfile
from unittest import mock

import keras
import tensorflow as tf

from ms_pixelcnn_tf.networks import UpscalerA
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.sampling.per_core import unfused

# Types of operations that move numbers and compute none.
MOVES = {
    "Cast",
    "Concat",
    "ConcatV2",
    "DepthToSpace",
    "ExpandDims",
    "Fill",
    "Gather",
    "GatherV2",
    "Identity",
    "Pack",
    "Pad",
    "PadV2",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "SplitV",
    "Squeeze",
    "StridedSlice",
    "Tile",
    "Transpose",
    "Unpack",
    "_MklTranspose",
}
# Parts of a sampler, by the scopes in the names of its operations; the first match counts.
PARTS = ("inverse CDF", "heads", "base", "decoder", "trunk", "other")


@contextlib.contextmanager
def scopes(model):
    """Within this context, a model's sampling is traced in scopes that match `PARTS`, and without
    fusion: operations inside XLA's programs leave no trace.

    Keras makes the scope of the trunk, which is a layer.
    """
    law, raster = model.distribution, loops.decode_raster

    def decode_raster(network, *arguments, **options):
        with keras.name_scope("base" if network is model.base else "decoder"):
            return raster(network, *arguments, **options)

    decode_pixels = loops.decode_pixels

    def with_heads(distribution, channel_params, uniforms):
        return decode_pixels(distribution, in_heads(channel_params), uniforms)

    def in_heads(function):
        def scoped(*arguments):
            with keras.name_scope("heads"):
                return function(*arguments)

        return scoped

    def decode_channel(*arguments):
        with keras.name_scope("inverse_cdf"):
            return type(law).decode_channel(law, *arguments)

    with (
        mock.patch.object(loops, "decode_raster", decode_raster),
        mock.patch.object(loops, "decode_pixels", with_heads),
        mock.patch.object(UpscalerA, "channel_params", in_heads(UpscalerA.channel_params)),
        mock.patch.object(law, "decode_channel", decode_channel),
        unfused(),
    ):
        yield


def profile(function):
    """Seconds of every operation that one call of a compiled function runs.

    Args:
        function: takes no arguments; already traced.

    Returns:
        dict `(name, type)` → `(seconds, number of runs)`.

    Reference: the layout of TensorFlow's profile, xplane.proto.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3, python_tracer_level=0)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder, options=options)
        function()
        tf.profiler.experimental.stop()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    found = collections.defaultdict(lambda: (0.0, 0))
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                metadata = plane.event_metadata[event.metadata_id]
                if metadata.display_name:  # it is an operation
                    name = metadata.name.rsplit(":", 1)[0], metadata.display_name
                    seconds, runs = found[name]
                    found[name] = seconds + event.duration_ps * 1e-12, runs + 1
    return dict(found)


def by_part(operations):
    """Sums seconds by part and by kind of work.

    Args:
        operations: the result of `profile`.

    Returns:
        dict part → dict "arithmetic" and "moves" → seconds.
    """
    found = {part: {"arithmetic": 0.0, "moves": 0.0} for part in PARTS}
    for (name, kind), (seconds, _) in operations.items():
        found[part_of(name)]["moves" if kind in MOVES else "arithmetic"] += seconds
    return found


def part_of(name):
    """The part that an operation belongs to, by the scopes in its name.

    The name of an operation in a loop's body also holds the loop's own scope. In a raster, each
    channel takes a pass through the network, so its heads count as part of the network.
    """
    scopes = [scope.rstrip("0123456789").rstrip("_") for scope in name.split("/")]
    for part in PARTS[:-1]:
        if part.replace(" CDF", "_cdf") in scopes:
            if part == "heads" and {"base", "decoder"} & set(scopes):
                continue
            return part
    return PARTS[-1]
