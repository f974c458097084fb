"""Video models: each frame given earlier frames, actions and states.

log p(frames G … T-1 | frames 0 … G-1, actions, states) =
    Σ over t of log p(frame t | frames, actions and states 0 … t-1)

The variant sets how a frame is factorised (`frame_decoders`). State t is the gripper's pose in
frame t. Action t is commanded at time t for t+1. A frame sees only earlier states and actions.
docs/departures.md lists the departures from the paper.

Reference: Reed et al. (2017), section 4.3; Kalchbrenner et al. (2016b).
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.configs import VideoConfig, replace
from ms_pixelcnn_tf.encoders.past import PastEncoder
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models.crop import Crop
from ms_pixelcnn_tf.models.keras_training import KerasTraining
from ms_pixelcnn_tf.models.marginal import start_at_marginal
from ms_pixelcnn_tf.models.video import checks, rollout
from ms_pixelcnn_tf.models.video.frame_decoders import DECODERS
from ms_pixelcnn_tf.models.video.graphs import VideoGraphs
from ms_pixelcnn_tf.sampling.batching import decode_in_parts, videos_at_once
from ms_pixelcnn_tf.sampling.uniforms import check_seed
from ms_pixelcnn_tf.types import Array, Conditions, Levels, Tensor

SAMPLERS = ("cached", "stepwise", "naive")


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class VideoPixelCNN(KerasTraining):
    """Exact likelihood and sampling of videos of integer levels, given their first frames.

    Sampling is decoding, as in the image models: it takes one uniform per sub-pixel, and nothing
    else is random. Many videos are decoded in parts, which limits the memory.

    Args:
        config: a `configs.VideoConfig`.

    All variables exist after construction. `conditions` is a dict with exactly the fields in
    `config.conditions`, or None without any: "actions" `[B, T, A]` and "states" `[B, T, S]`,
    numbers for the whole clip. Those of the last frame are not used and may have any value.

    A model of variant `OTlogN` may hold only some scales (`config.scale`), like an image model.
    Scales that are trained apart have separate encoders of the past (a departure from the paper).

    A model of variant `OT_upscaler` is given each frame at half its size and the previous frame,
    and nothing else. Use its method `upscale` instead of `decode` and `sample`.
    """

    example_field = input_name = "frames"
    check_inputs = staticmethod(checks.check_frames)

    def __init__(self, config: VideoConfig, **kwargs: Any) -> None:
        super().__init__(dtype=config.dtype, **kwargs)
        self.config = config
        self.upscales = config.variant == "OT_upscaler"
        with _recomputing(config):
            self.pasts = {name: PastEncoder(config, name=name) for name in config.encoder_groups()}
            self.decoder = DECODERS[config.variant](config, name="decoder")
        self.term_dims = {
            name: dims * config.predicted_frames for name, dims in self.decoder.term_dims().items()
        }
        for layer in (*self.pasts.values(), self.decoder):
            layer.build()
        self.built = True
        self.graphs = VideoGraphs(self)

    # -- likelihood -------------------------------------------------------------------------------

    def log_prob_terms(self, frames: Array, conditions: Conditions = None) -> dict[str, Tensor]:
        """The terms of log p(frames G … T-1 | frames 0 … G-1, conditions), in nats.

        Args:
            frames: `[B, T, H, W, C]` integers in 0…num_levels-1.
            conditions: see the class.

        Returns:
            Name → `[B]`, with the keys of `self.term_dims`; float32, or float64 for a model of that
            dtype.

        Raises:
            UserError: for frames or conditions of a wrong shape, dtype or range.
        """
        return _sum_time(self.log_prob_by_frame(frames, conditions))

    def log_prob(self, frames: Array, conditions: Conditions = None) -> Tensor:
        """`[B]` nats: the sum of `log_prob_terms`."""
        self.check_held()
        return sum(self.log_prob_terms(frames, conditions).values())

    def log_prob_by_frame(self, frames: Array, conditions: Conditions = None) -> dict[str, Tensor]:
        """`log_prob_terms` of each predicted frame: name → `[B, T - G]` nats."""
        checked = checks.check_frames(self.config, frames, conditions)
        return self.graphs.log_prob_by_frame(*checked)

    def call(self, frames: Any, conditions: Conditions = None) -> dict[str, Tensor]:
        """`log_prob_terms`; `frames` may be a dict of frames and conditions, as in `fit`."""
        if conditions is None:
            frames, conditions = self.split_inputs(frames)
        return self.log_prob_terms(frames, conditions)

    def log_prob_terms_given(
        self, frames: Array, past_frames: Array, conditions: Conditions = None
    ) -> dict[str, Tensor]:
        """`log_prob_terms` of `frames`, predicted from `past_frames` in their place.

        Use it to train on a past with errors, such as that of `sampled_past`.

        Args:
            frames, past_frames: `[B, T, H, W, C]` integers in 0…num_levels-1.
            conditions: see the class.

        Returns:
            As for `log_prob_terms`.

        Raises:
            UserError: as for `log_prob_terms`.
        """
        levels, conditions = checks.check_frames(self.config, frames, conditions)
        length, size = self.config.num_frames, self.config.image_size
        past_frames = checks.check_levels(self.config, "past_frames", past_frames, length, size)
        if levels.shape[0] == 0:
            return self.log_prob_terms(levels, conditions)
        return _sum_time(rollout.log_prob_by_frame(self, levels, conditions, past_frames))

    def sampled_past(
        self, frames: Array, uniforms: Array, chosen: Array, conditions: Conditions = None
    ) -> Tensor:
        """Replaces chosen frames by the model's samples, each predicted from the frames before it.

        Use the result as `past_frames` of `log_prob_terms_given` in training. One pass that
        replaces all frames predicts each of them one frame ahead.

        Args:
            frames: `[B, T, H, W, C]` integers in 0…num_levels-1.
            uniforms: `[B, P, T, H, W, C]` in [0, 1), for each of P passes; those of the given
                frames are not used.
            chosen: bool `[B, P, T]`, the frames that each pass replaces; the others are the true
                ones.
            conditions: see the class.

        Returns:
            `[B, T, H, W, C]` int32 levels. Each pass predicts from the result of the previous pass,
            so a frame is up to P samples away from true frames. The given frames stay unchanged.

        Raises:
            UserError: as for `log_prob_terms`; for `uniforms` or `chosen` of a wrong shape, dtype
                or range; and for a model of `OT_upscaler`.
        """
        self._check_upscales(False)
        levels, conditions = checks.check_frames(self.config, frames, conditions)
        uniforms, chosen = checks.check_draws(self.config, uniforms, chosen, levels.shape[0])
        if levels.shape[0] == 0:
            return levels
        return rollout.sampled_past(self, levels, conditions, uniforms, chosen)

    def cropped_log_prob_terms(
        self,
        frames: Array,
        conditions: Conditions,
        crop_size: int | None,
        offsets: Tensor,
        halo: int = 0,
    ) -> dict[str, Tensor]:
        """An estimate of `log_prob_terms` for training; it scores `OT_upscaler` on crops.

        All frames of a clip have the same crop, at even offsets, and the terms are scaled up by the
        ratio of the areas; see the image models. Other variants read the whole frame through their
        ConvLSTM, so they are scored on whole frames.

        Args:
            frames, conditions: as for `log_prob_terms`.
            crop_size: side of the crops, pixels, even; None: no crops.
            offsets: `[B, 2]` uniforms in [0, 1) that place the crop (row, column).
            halo: must be 0; only image models take a halo.

        Raises:
            UserError: as for `log_prob_terms`, for a halo, and, with `OT_upscaler`, for an odd
                `crop_size`.
        """
        if halo:
            raise UserError(f"crop_halo is {halo}; valid for models of videos: 0")
        levels, conditions = checks.check_frames(self.config, frames, conditions)
        if levels.shape[0] == 0:
            return self.log_prob_terms(levels, conditions)
        if not self.upscales:
            return _sum_time(rollout.log_prob_by_frame(self, levels, conditions))
        crop = Crop(self.config.image_size, crop_size, offsets)
        # `Crop` takes images, so time is folded into the channels.
        length, channels = self.config.num_frames, self.config.channels
        maps = ops.transpose(levels, (0, 2, 3, 1, 4))
        maps = crop.cut_image(ops.reshape(maps, (-1, *maps.shape[1:3], length * channels)))
        maps = ops.reshape(maps, (-1, *maps.shape[1:3], length, channels))
        levels = ops.transpose(maps, (0, 3, 1, 2, 4))
        terms = _sum_time(rollout.log_prob_by_frame(self, levels, {}))
        return {name: term * crop.area_ratio for name, term in terms.items()}

    # -- sampling ---------------------------------------------------------------------------------

    def sample(self, given_frames: Array, conditions: Conditions = None, seed: int = 0) -> Levels:
        """Samples one future per row of `given_frames`, the same for the same seed.

        Args:
            given_frames: `[B, G, H, W, C]` integer levels; repeat a row for several futures.
            conditions: see the class.
            seed: seed of the uniforms.

        Returns:
            `[B, T - G, H, W, C]` uint8 levels (numpy).
        """
        self._check_upscales(False)
        given, conditions = checks.check_given(self.config, given_frames, conditions)
        return self._decode_in_parts(given, conditions, self.config.predicted_frames, seed=seed)

    def decode(
        self,
        uniforms: Array,
        given_frames: Array,
        conditions: Conditions = None,
        sampler: str = "cached",
    ) -> Levels:
        """Decodes the predicted frames from uniforms by inverse CDF.

        Args:
            uniforms: `[B, T - G, H, W, C]` floats in [0, 1).
            given_frames: `[B, G, H, W, C]` integer levels.
            conditions: see the class.
            sampler: "cached" (one compiled call per part of the batch, which carries the ConvLSTM's
                state from frame to frame), "stepwise" (one compiled call per frame) or "naive"
                (reads the whole past again for each frame, and evaluates the networks again for
                each sub-pixel, or for each pixel with a DMOL).

        Returns:
            `[B, T - G, H, W, C]` uint8 levels (numpy).
        """
        uniforms, given, conditions = self._checked(uniforms, given_frames, conditions)
        length = self.config.predicted_frames
        return self._decode_in_parts(given, conditions, length, uniforms, sampler=sampler)

    def decode_with_log_prob(
        self,
        uniforms: Array,
        given_frames: Array,
        conditions: Conditions = None,
        sampler: str = "cached",
    ) -> tuple[Levels, np.ndarray]:
        """`decode` of all videos at once, and log p of each, summed while decoding: `[B]` nats
        (numpy)."""
        return self._decode(sampler, *self._checked(uniforms, given_frames, conditions))

    def upscale(
        self,
        low_frames: Array,
        given_frames: Array,
        uniforms: Array | None = None,
        seed: int = 0,
        sampler: str = "cached",
    ) -> Levels:
        """Super-resolution: samples videos of twice the size that keep the given pixels.

        Args:
            low_frames: `[B, T, H/2, W/2, C]` integer levels. They are every second pixel of every
                second row of the result, unchanged.
            given_frames: `[B, G, H, W, C]`: the first G frames at full size. T and G may differ
                from those of training; G is from 1 to T - 1.
            uniforms: `[B, T - G, H, W, C]` in [0, 1); those of given pixels are not used. None:
                drawn.
            seed: seed of the uniforms that are drawn.
            sampler: as for `decode`.

        Returns:
            `[B, T, H, W, C]` uint8 levels (numpy); the first G frames are the given ones.
        """
        self._check_upscales(True)
        low, given = checks.check_low(self.config, low_frames, given_frames)
        length = low.shape[1] - given.shape[1]
        if uniforms is not None:
            uniforms = checks.check_uniforms(self.config, uniforms, given.shape[0], length)
        frames = self._decode_in_parts(given, {"low": low}, length, uniforms, seed, sampler)
        given = ops.convert_to_numpy(given).astype("uint8")
        return np.concatenate([given, frames], axis=1)

    def _checked(self, uniforms, given_frames, conditions):
        self._check_upscales(False)
        given, conditions = checks.check_given(self.config, given_frames, conditions)
        uniforms = checks.check_uniforms(self.config, uniforms, given.shape[0])
        return uniforms, given, conditions

    def _check_upscales(self, wanted):
        self.check_held()
        if self.upscales != wanted:
            right = "use upscale" if self.upscales else "use decode or sample"
            raise UserError(f"this model is of variant {self.config.variant}; {right}")

    def _decode_in_parts(self, given, sequences, length, uniforms=None, seed=0, sampler="cached"):
        """Decodes `length` frames after the given ones; draws the uniforms if they are None."""
        check_seed(seed)
        shape = (length, *self.config.image_size, self.config.channels)
        at_once = videos_at_once(self.config, self.decoder.distribution.num_params, length)

        def decode(part, uniforms):
            own = {name: values[part] for name, values in sequences.items()}
            uniforms = checks.check_uniforms(self.config, uniforms, len(uniforms), length)
            return self._decode(sampler, uniforms, given[part], own, score=False)[0]

        return decode_in_parts(decode, given.shape[0], shape, at_once, seed, uniforms)

    def _decode(self, sampler, uniforms, given, sequences, score=True) -> tuple[Levels, Any]:
        """uint8 frames and their log p, numpy; without `score` the log p may be None."""
        if sampler not in SAMPLERS:
            raise UserError(f"unknown sampler {sampler!r}; valid: {', '.join(SAMPLERS)}")
        if sampler == "cached" or not uniforms.shape[0]:  # only graphs take an empty batch
            decode = self.graphs.decode(uniforms.shape[1], score)
            decoded = decode(uniforms, given, sequences)
            levels, log_prob = decoded if score else (decoded, None)
        else:
            roll = {"stepwise": rollout.decode_stepwise, "naive": rollout.decode_naive}[sampler]
            levels, log_prob = roll(self, uniforms, given, sequences)
        to_numpy = ops.convert_to_numpy
        return to_numpy(levels), None if log_prob is None else to_numpy(log_prob)

    # -- construction -----------------------------------------------------------------------------

    @property
    def past(self) -> PastEncoder | None:
        """The encoder of the past, the first if there are several; None for OT_upscaler."""
        return next(iter(self.pasts.values()), None)

    def variables_of(self, scales: Sequence[str]) -> list[keras.Variable]:
        """Trainable variables of `scales` and of the encoders of the past that they use."""
        groups = self.config.encoder_groups().items()
        owners = {name for name, own in groups if set(own) & set(scales)}
        owners |= {("decoder", scale) for scale in scales}
        return [v for v in self.trainable_variables if self._owner(v) in owners]

    def networks(self) -> list[list[keras.Variable]]:
        """The trainable variables in lists: one list per scale of a frame, and one list per encoder
        of the past."""
        groups = {}
        for variable in self.trainable_variables:
            groups.setdefault(self._owner(variable), []).append(variable)
        return list(groups.values())

    def _owner(self, variable):
        """The name of an encoder of the past, or the pair "decoder" and the name of a scale."""
        owner, part, *_ = variable.path.split("/")
        if owner != "decoder":
            return owner
        number = part.removeprefix("scale") if part.startswith("scale") else ""
        return owner, self.config.scale_names[int(number or 0)]

    def start_at_marginal(self, histogram: Array) -> None:
        """Starts a softmax with a tent at the data's marginal; see `marginal`."""
        start_at_marginal(self.config, self.decoder.output_biases(), histogram)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "VideoPixelCNN":
        return cls(replace(VideoConfig(), **config["config"]), name=config["name"])


def _sum_time(terms):
    """Sums terms over time: name → `[B, T - G]` becomes name → `[B]`."""
    return {name: ops.sum(term, axis=1) for name, term in terms.items()}


def _recomputing(config):
    """A scope: with `recompute_blocks`, blocks that are made in it keep only their inputs for the
    backward pass."""
    if not config.recompute_blocks:
        return contextlib.nullcontext()
    most = max(config.frame_blocks, config.frame_decoder_blocks, config.residual_blocks)
    names = [f"block{index}" for index in range(most)]
    return keras.RematScope(mode="list_of_layers", layer_names=names)
