"""Image models: `OlogN`, the multiscale PixelCNN, and `ON`, the same with no scale but its base.

`factorisation` has the equations and their inverse. Departures are listed in README.md.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import ModelConfig, replace
from ms_pixelcnn_tf.distributions import make_distribution
from ms_pixelcnn_tf.encoders import Code, Encoder
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models.checks import (
    as_array,
    check_conditions,
    check_images,
    check_low_resolution,
    check_plain_uniforms,
    check_request,
    check_uniforms,
)
from ms_pixelcnn_tf.models.image import factorisation
from ms_pixelcnn_tf.models.image.graphs import ImageGraphs
from ms_pixelcnn_tf.models.keras_training import KerasTraining
from ms_pixelcnn_tf.models.marginal import start_at_marginal
from ms_pixelcnn_tf.models.scale import make_scale
from ms_pixelcnn_tf.networks import GatedPixelCNN
from ms_pixelcnn_tf.sampling.batching import decode_in_parts, images_at_once
from ms_pixelcnn_tf.sampling.uniforms import check_seed
from ms_pixelcnn_tf.sizes import format_size, parse_size
from ms_pixelcnn_tf.types import Array, Conditions, Levels, Size, Tensor

SAMPLERS = ("cached", "naive")
SAMPLES_AT_ONCE = 256


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class MultiscalePixelCNN(KerasTraining):
    """Exact likelihood and sampling of images of integer levels.

    Sampling is decoding: `decode` maps one uniform a sub-pixel to that sub-pixel by the inverse CDF
    of its own conditional. `sample` draws the uniforms; nothing else is random.

    Args:
        config: a `configs.ModelConfig`.

    All variables exist after construction. `conditions` is a dict by field, of just the fields in
    `config.conditions` (`checks.check_conditions` says how each looks), or None without any.

    A model may hold some of its scales only (`config.scale`): scales are trained apart. It then has
    the terms of those scales; what needs another one raises a UserError that names it.
    """

    example_field, input_name = "image", "images"  # in a batch of `data`, in a dict given to `fit`
    check_inputs = staticmethod(check_images)
    base: Any  # a GatedPixelCNN; None unless the model holds that scale

    def __init__(self, config: ModelConfig, **kwargs: Any) -> None:
        super().__init__(dtype=config.dtype, **kwargs)
        self.config = config
        self.distribution = make_distribution(
            config.output,
            config.num_levels,
            config.channels,
            config.num_mixtures,
            config.softmax_law,
        )
        self.sizes = config.sizes
        self._build_encoders()
        shared: dict[str, Any] = {
            "conditioning_features": config.conditioning_features,
            "dtype": config.dtype,
            **config.pixel_arguments,
        }
        self.base, self.term_dims = None, {}
        if "base" in config.held_scales:
            self.base = GatedPixelCNN(
                self.distribution,
                config.base_layers,
                config.base_features,
                config.head_features,
                config.first_kernel,
                gated_kernel=config.gated_kernel,
                name="base",
                **shared,
            )
            self.term_dims["base"] = math.prod(self.sizes[0]) * config.channels
        self.scales = {  # number of its size → `Scale`
            index: make_scale(
                config, self.distribution, self.sizes[index], names="{prefix}group{group}", **shared
            )
            for index in self.held_indices()
        }
        for scale in self.scales.values():
            self.term_dims |= scale.term_dims
        self.upscalers = [u for scale in self.scales.values() for u in scale.upscalers.values()]
        self._build_all()
        self.graphs = ImageGraphs(self)

    # -- likelihood -------------------------------------------------------------------------------

    def log_prob_terms(self, images: Array, conditions: Conditions = None) -> dict[str, Tensor]:
        """The terms of log p(images), in nats.

        Args:
            images: `[B, H, W, C]` integers in 0…num_levels-1.
            conditions: see the class.

        Returns:
            `{"base": [B], "8to16/group2": [B], …}` float32, keys as in `self.term_dims`.

        Raises:
            UserError: for images or conditions of a wrong shape, dtype or range.
        """
        return self.graphs.log_prob_terms(*check_images(self.config, images, conditions))

    def log_prob(self, images: Array, conditions: Conditions = None) -> Tensor:
        """`[B]` float32 log p(images) in nats: the sum of `log_prob_terms`."""
        self.check_held()
        return sum(self.log_prob_terms(images, conditions).values())

    def call(self, images: Any, conditions: Conditions = None) -> dict[str, Tensor]:
        """`log_prob_terms`; `images` may be a dict of images and conditions, as in `fit`."""
        if conditions is None:
            images, conditions = self.split_inputs(images)
        return self.log_prob_terms(images, conditions)

    def cropped_log_prob_terms(
        self,
        images: Array,
        conditions: Conditions,
        crop_size: int | None,
        offsets: Tensor,
        halo: int = 0,
    ) -> dict[str, Tensor]:
        """An estimate of `log_prob_terms` to train on, whose cost does not grow with the target.

        A scale larger than `crop_size` is scored on one crop an image, at even offsets so that the
        2x2 blocks stay whole, and its terms are scaled up by the ratio of the areas. Without a halo
        it is a little biased: pixels near the image's border fall into fewer crops, and a crop's
        border hides what lies beyond it. Compare it with nothing but itself. With a halo the crops
        are the image's tiles, and the terms are unbiased if the halo covers the receptive field (of
        type A 2 · (1 + residual_blocks) pixels; blocks of two 3x3 convolutions count twice).

        Args:
            images, conditions: as for `log_prob_terms`.
            crop_size: side of the crops, pixels, even; None: none is cropped.
            offsets: `[B, 2]` uniforms in [0, 1) that place the crop (row, column).
            halo: pixels around a crop that are read but not scored, even; less where the image
                ends.

        Raises:
            UserError: as `log_prob_terms`, and for a crop or a halo of a wrong size.

        Reference: Reed et al. (2017), section 4: 32x32 crops.
        """
        levels, conditions = check_images(self.config, images, conditions)
        if levels.shape[0] == 0:
            return self.log_prob_terms(levels, conditions)
        return factorisation.log_prob_terms(self, levels, conditions, crop_size, offsets, halo)

    def log_prob_by_pixel(self, images: Array, conditions: Conditions = None) -> Tensor:
        """log p of each sub-pixel given those before it: `[B, H, W, C]` float32 nats, which add up
        to `log_prob`. Its negative is the surprise."""
        self.check_held()
        return self.graphs.log_prob_by_pixel(*check_images(self.config, images, conditions))

    # -- sampling ---------------------------------------------------------------------------------

    def sample(self, num: int, conditions: Conditions = None, seed: int = 0) -> Levels:
        """`num` images, uint8 levels `[num, H, W, C]`; the same for the same seed.

        Many are decoded in parts, so that memory does not grow with them.
        """
        self.check_held()
        conditions = check_request(self.config, num, conditions, seed)

        def decode(part, uniforms):
            return self.decode(uniforms, {name: v[part] for name, v in conditions.items()})

        return self._decode_in_parts(decode, num, self.config.image_size, seed)

    def _decode_in_parts(self, decode, num, size, seed, uniforms=None):
        at_once = images_at_once(self.config, self.distribution.num_params, size)
        shape, at_once = (*size, self.config.channels), min(at_once, SAMPLES_AT_ONCE)
        return decode_in_parts(decode, num, shape, at_once, seed, uniforms)

    def decode(
        self, uniforms: Array, conditions: Conditions = None, sampler: str = "cached"
    ) -> Levels:
        """Images from uniforms, by inverse CDF.

        Args:
            uniforms: `[B, H, W, C]` floats in [0, 1).
            conditions: see the class.
            sampler: "cached", or "naive" (one full network evaluation a sub-pixel).

        Returns:
            `[B, H, W, C]` uint8 levels (numpy).
        """
        self.check_held()
        if sampler == "cached":
            inputs = check_uniforms(self.config, uniforms, conditions)
            return ops.convert_to_numpy(self.graphs.decode(*inputs))
        return self.decode_with_log_prob(uniforms, conditions, sampler)[0]

    def decode_with_log_prob(
        self, uniforms: Array, conditions: Conditions = None, sampler: str = "cached"
    ) -> tuple[Levels, np.ndarray]:
        """`decode`, and log p of each image as accumulated on the way: `[B]`, nats (numpy)."""
        if sampler not in SAMPLERS:
            raise UserError(f"unknown sampler {sampler!r}; valid: {', '.join(SAMPLERS)}")
        self.check_held()
        cached = sampler == "cached"
        decode = self.graphs.decode_scored if cached else self.graphs.decode_naive
        levels, log_prob = decode(*check_uniforms(self.config, uniforms, conditions))
        return ops.convert_to_numpy(levels), ops.convert_to_numpy(log_prob)

    def upscale(
        self,
        low_resolution: Array,
        to: Size | None = None,
        conditions: Conditions = None,
        uniforms: Array | None = None,
        seed: int = 0,
    ) -> Levels:
        """Super-resolution: larger images of which the given one is the sub-sampled part.

        Args:
            low_resolution: `[B, h, w, C]` integer levels, of one of `self.sizes`. Its pixels are
                kept exactly: of the result, every `H/h`-th of every `H/h`-th row.
            to: a larger one of `self.sizes`, an int or `(height, width)`; None: the target.
            conditions: see the class.
            uniforms: `[B, H, W, C]` in [0, 1); those of given pixels are not used. None: drawn.
            seed: of the uniforms that are drawn.

        Returns:
            `[B, H, W, C]` uint8 levels (numpy), in one compiled call, or one for each of several
            parts of a batch that is too large for the memory.

        Raises:
            UserError: for sizes that the model does not have, or scales that it does not hold.
        """
        config = self.config
        check_seed(seed)
        low = as_array("low_resolution", low_resolution)
        shape = low.shape
        start = self._index_of("low_resolution", shape[1:3])
        end = self._index_of("to", config.image_size if to is None else parse_size(to, "to"))
        size = self.sizes[end]
        if start >= end:
            raise UserError(
                f"upscaling from {format_size(self.sizes[start])} to {format_size(size)}; give a "
                "larger size to go to"
            )
        self.check_held(config.scale_names[start + 1 : end + 1])
        levels = check_low_resolution(config, low, self.sizes[start])
        conditions = check_conditions(config, conditions, shape[0])
        given = None if uniforms is None else check_plain_uniforms(config, uniforms, size)
        if given is not None and len(given) != shape[0]:
            raise UserError(f"{len(given)} uniforms for {shape[0]} images; give one an image")
        upscale = self.graphs.upscale(start, end)

        def decode(part, uniforms):
            uniforms = check_plain_uniforms(config, uniforms, size)
            own = {name: values[part] for name, values in conditions.items()}
            return ops.convert_to_numpy(upscale(levels[part], uniforms, own))

        return self._decode_in_parts(decode, shape[0], size, seed, given)

    def _index_of(self, name, size):
        if tuple(size) not in self.sizes:
            sizes = ", ".join(map(format_size, self.sizes))
            shown = format_size(size) if len(size) == 2 else size
            raise UserError(f"{name} is of {shown}; the model's sizes: {sizes}")
        return self.sizes.index(tuple(size))

    def trajectory(self, images: Array) -> list[Levels]:
        """The pyramid of sampled images: a list of uint8 arrays `[B, h, w, C]`, base … target."""
        return [np.asarray(scale) for scale in pixels.pyramid(np.asarray(images), len(self.sizes))]

    # -- scales and conditions --------------------------------------------------------------------

    def variables_of(self, scales: Sequence[str]) -> list[keras.Variable]:
        """Variables of the networks of `scales`, and of their encoders, as far as they are held."""
        owners = [self.base] if "base" in scales and self.base is not None else []
        for index, scale in self.scales.items():
            if self.config.scale_names[index] in scales:
                owners += scale.upscalers.values()
        names = {encoder for scale, encoder in self.encoder_of.items() if scale in scales}
        owners += [encoder for encoder in self.encoders if encoder.name in names]
        owned = {id(v) for owner in owners for v in owner.trainable_variables}
        return [v for v in self.trainable_variables if id(v) in owned]

    def networks(self) -> list[list[keras.Variable]]:
        """The trainable variables in lists: of each scale, its networks and the encoder that it
        alone uses; of each encoder that several scales share, its own."""
        paths = {
            name: {v.path for v in self.variables_of([name])} for name in self.config.held_scales
        }
        groups = {}
        for variable in self.trainable_variables:
            users = tuple(name for name, own in paths.items() if variable.path in own)
            groups.setdefault(users, []).append(variable)
        return list(groups.values())

    def held_indices(self) -> list[int]:
        """Numbers in `self.sizes` of the held scales above the base."""
        names = self.config.scale_names
        return [index for index in range(1, len(names)) if names[index] in self.config.held_scales]

    def encode(self, conditions: Mapping[str, Tensor]) -> dict[str, Code]:
        """Conditions → the `Code` of each encoder, by its name."""
        return {encoder.name: encoder(conditions) for encoder in self.encoders}

    def conditioning(
        self, codes: Mapping[str, Code], index: int, places: Sequence[Tensor | None] = (None, None)
    ) -> Tensor | None:
        """Conditioning of the networks that lead to the size of number `index`: a vector
        `[B, 1, 1, E]`, a map of their own size (or of the `places` of it), or None."""
        name = self.encoder_of.get(self.config.scale_names[index])
        if name is None:
            return None
        # Groups work on the maps of the size below, whose pixels are the blocks' corners.
        return codes[name].at(
            self.sizes[max(index - 1, 0)],
            places,
            method=self.config.map_resizing,
            image_size=self.config.image_size,
        )

    # -- construction -----------------------------------------------------------------------------

    def start_at_marginal(self, histogram: Array) -> None:
        """Sets a softmax's free logits to the data's marginal; see `marginal.start_at_marginal`."""
        biases = [network.output_bias for network in self._networks()]
        start_at_marginal(self.config, biases, histogram)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MultiscalePixelCNN":
        return cls(replace(ModelConfig(), **config["config"]), name=config["name"])

    def _networks(self):
        return [*([] if self.base is None else [self.base]), *self.upscalers]

    def _build_encoders(self):
        """One encoder for every group of scales that share one; or, where they share the text
        encoder alone, one for every scale."""
        self.encoders, self.encoder_of = [], {}  # the latter: scale → name of its encoder
        for name, scales in self.config.encoder_groups().items():
            shared = Encoder(self.config, name=name)
            own: dict[str, Encoder] = {scale: shared for scale in scales}
            if self.config.encoder_sharing == "text":
                text = shared.vectors.get("text")
                own |= {s: Encoder(self.config, text, name=f"encoder_{s}") for s in scales[1:]}
            self.encoders += dict.fromkeys(own.values())
            self.encoder_of |= {scale: encoder.name for scale, encoder in own.items()}

    def _build_all(self):
        for layer in (*self.encoders, *self._networks()):
            layer.build()
        self.built = True
