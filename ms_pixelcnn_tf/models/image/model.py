"""Image models: `OlogN`, the multiscale PixelCNN, and `ON`, which is only a base at full size.

`factorisation` has the equations and their inverse. docs/departures.md lists the departures from
the paper.
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
from ms_pixelcnn_tf.models.scale import distribution_of, make_scale
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

    Sampling is decoding: `decode` maps one uniform per sub-pixel to a level, by the inverse CDF of
    the sub-pixel's conditional distribution. `sample` draws the uniforms; nothing else is random.

    Args:
        config: a `configs.ModelConfig`.

    All variables exist after construction. `conditions` is a dict with exactly the fields in
    `config.conditions`, or None without any; `checks.check_conditions` describes each field.

    Scales can be trained apart, so a model may hold only some of them (`config.scale`). It then has
    the terms of those scales only, and methods that need another scale raise a UserError that names
    it.
    """

    example_field, input_name = "image", "images"  # keys: in a batch of `data`, in a dict for `fit`
    check_inputs = staticmethod(check_images)
    base: Any  # a GatedPixelCNN, or None if the model does not hold the base

    def __init__(self, config: ModelConfig, **kwargs: Any) -> None:
        super().__init__(dtype=config.dtype, **kwargs)
        self.config = config
        self.distribution = distribution_of(config)
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
        self.scales = {  # index in `self.sizes` → `Scale`
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
            `{"base": [B], "8to16/group2": [B], …}` with the keys of `self.term_dims`; float32, or
            float64 for a model of that dtype.

        Raises:
            UserError: for images or conditions of a wrong shape, dtype or range.
        """
        return self.graphs.log_prob_terms(*check_images(self.config, images, conditions))

    def log_prob(self, images: Array, conditions: Conditions = None) -> Tensor:
        """`[B]` log p(images) in nats: the sum of `log_prob_terms`."""
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
        """An estimate of `log_prob_terms` for training: large scales are scored on crops.

        A scale larger than `crop_size` is scored on one crop per image, so its cost does not grow
        with its size. Crops lie at even offsets so that the 2x2 blocks stay whole, and the terms
        are scaled up by the ratio of the areas. Without a halo the estimate is slightly biased:
        pixels near the image's border fall into fewer crops, and a crop hides what lies beyond its
        border. Compare such estimates only with one another. With a halo the crops are the image's
        tiles, and the estimate is unbiased if the halo covers the receptive field (for type A
        2 · (1 + residual_blocks) pixels; blocks of two 3x3 convolutions count twice).

        Args:
            images, conditions: as for `log_prob_terms`.
            crop_size: side of the crops, pixels, even; None: no crops.
            offsets: `[B, 2]` uniforms in [0, 1) that place the crop (row, column).
            halo: pixels around a crop that are read but not scored, even; fewer on a side where
                the image ends.

        Raises:
            UserError: as for `log_prob_terms`, and for a crop or a halo of a wrong size.

        Reference: Reed et al. (2017), section 4: 32x32 crops.
        """
        levels, conditions = check_images(self.config, images, conditions)
        if levels.shape[0] == 0:
            return self.log_prob_terms(levels, conditions)
        return factorisation.log_prob_terms(self, levels, conditions, crop_size, offsets, halo)

    def log_prob_by_pixel(self, images: Array, conditions: Conditions = None) -> Tensor:
        """log p of each sub-pixel given those before it: `[B, H, W, C]` nats that sum to
        `log_prob`. The negative is the surprise."""
        self.check_held()
        return self.graphs.log_prob_by_pixel(*check_images(self.config, images, conditions))

    # -- sampling ---------------------------------------------------------------------------------

    def sample(self, num: int, conditions: Conditions = None, seed: int = 0) -> Levels:
        """Samples `num` images: uint8 levels `[num, H, W, C]`, the same for the same seed.

        Many images are decoded in parts, which limits the memory.
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
        """Decodes images from uniforms by inverse CDF.

        Args:
            uniforms: `[B, H, W, C]` floats in [0, 1).
            conditions: see the class.
            sampler: "cached", or "naive", which evaluates the networks again for each sub-pixel, or
                for each pixel with a DMOL.

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
        """`decode`, and log p of each image, summed while decoding: `[B]` nats (numpy)."""
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
        """Super-resolution: samples larger images that keep the given pixels.

        Args:
            low_resolution: `[B, h, w, C]` integer levels, of one of `self.sizes`. They are every
                `H/h`-th pixel of every `H/h`-th row of the result, unchanged.
            to: a larger one of `self.sizes`, an int or `(height, width)`; None: the largest.
            conditions: see the class.
            uniforms: `[B, H, W, C]` in [0, 1); those of given pixels are not used. None: drawn.
            seed: seed of the uniforms that are drawn.

        Returns:
            `[B, H, W, C]` uint8 levels (numpy), by one compiled call, or several for a large batch.

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
        """The pyramid of images: a list of arrays `[B, h, w, C]`, from base to full size."""
        return [np.asarray(scale) for scale in pixels.pyramid(np.asarray(images), len(self.sizes))]

    # -- scales and conditions --------------------------------------------------------------------

    def variables_of(self, scales: Sequence[str]) -> list[keras.Variable]:
        """Trainable variables of the networks and encoders of `scales` that the model holds."""
        owners = [self.base] if "base" in scales and self.base is not None else []
        for index, scale in self.scales.items():
            if self.config.scale_names[index] in scales:
                owners += scale.upscalers.values()
        names = {encoder for scale, encoder in self.encoder_of.items() if scale in scales}
        owners += [encoder for encoder in self.encoders if encoder.name in names]
        owned = {id(v) for owner in owners for v in owner.trainable_variables}
        return [v for v in self.trainable_variables if id(v) in owned]

    def networks(self) -> list[list[keras.Variable]]:
        """The trainable variables in lists: one list per scale, for its networks and the encoder
        that it alone uses, and one list per encoder that several scales share."""
        paths = {
            name: {v.path for v in self.variables_of([name])} for name in self.config.held_scales
        }
        groups = {}
        for variable in self.trainable_variables:
            users = tuple(name for name, own in paths.items() if variable.path in own)
            groups.setdefault(users, []).append(variable)
        return list(groups.values())

    def held_indices(self) -> list[int]:
        """Indices in `self.sizes` of the held scales above the base."""
        names = self.config.scale_names
        return [index for index in range(1, len(names)) if names[index] in self.config.held_scales]

    def encode(self, conditions: Mapping[str, Tensor]) -> dict[str, Code]:
        """Encodes the conditions: name of each encoder → its `Code`."""
        return {encoder.name: encoder(conditions) for encoder in self.encoders}

    def conditioning(
        self, codes: Mapping[str, Code], index: int, places: Sequence[Tensor | None] = (None, None)
    ) -> Tensor | None:
        """Conditioning of the networks of the scale at `index`: a vector `[B, 1, 1, E]`, a map of
        the networks' own size (or of `places` in it), or None."""
        name = self.encoder_of.get(self.config.scale_names[index])
        if name is None:
            return None
        # Maps of groups have the next smaller size, whose pixels are the blocks' corners.
        return codes[name].at(
            self.sizes[max(index - 1, 0)],
            places,
            method=self.config.map_resizing,
            image_size=self.config.image_size,
        )

    # -- construction -----------------------------------------------------------------------------

    def start_at_marginal(self, histogram: Array) -> None:
        """Starts a softmax with a tent at the data's marginal; see `marginal`."""
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
        """Makes one encoder per group of scales that share one, or, if the scales share only the
        text encoder, one encoder per scale."""
        self.encoders, self.encoder_of = [], {}  # encoder_of: scale → name of its encoder
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
