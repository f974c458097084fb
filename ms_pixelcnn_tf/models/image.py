"""Image models: `OlogN`, the multiscale PixelCNN, and `ON`, the same with no scale but its base.

log p(x) = log p(x_base) + Σ over scales Σ over groups 2, 3, 4 of log p(x_group | groups before it)

Reference: Reed et al. (2017), section 3, equations 1 to 3. Departures are listed in README.md.
"""

import dataclasses
import functools

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import ModelConfig, replace
from ms_pixelcnn_tf.distributions import make_distribution
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models.compiled import compile_function
from ms_pixelcnn_tf.models.inputs import (
    check_images,
    check_request,
    check_uniforms,
    uniforms_dtype,
)
from ms_pixelcnn_tf.networks import GatedPixelCNN, UpscalerA, UpscalerB
from ms_pixelcnn_tf.networks.cached_pixelcnn import CachedPixelCNN
from ms_pixelcnn_tf.sampling import decode_group, decode_naive, decode_raster

SAMPLERS = ("cached", "naive")
SAMPLES_AT_ONCE = 256


@keras.saving.register_keras_serializable("ms_pixelcnn_tf")
class MultiscalePixelCNN(keras.Model):
    """Exact likelihood and sampling of images of integer levels.

    Sampling is decoding: `decode` maps one uniform a sub-pixel to that sub-pixel by the inverse CDF
    of its own conditional. `sample` draws the uniforms; nothing else is random.

    Args:
        config: a `configs.ModelConfig`.

    All variables exist after construction. `conditions` is None or, if `config.num_classes` > 0,
    `{"label": [B] integers}`.
    """

    def __init__(self, config: ModelConfig, **kwargs):
        super().__init__(dtype=config.dtype, **kwargs)
        self.config = config
        self.distribution = make_distribution(
            config.output, config.num_levels, config.channels, config.num_mixtures
        )
        self.sizes = config.sizes
        shared = {
            "conditioning_features": config.label_features if config.num_classes else 0,
            "dtype": config.dtype,
        }
        self.base = GatedPixelCNN(
            self.distribution, config.base_layers, config.base_features, config.head_features,
            config.first_kernel, name="base", **shared,
        )
        self.upscalers = []
        self.term_dims = {"base": self.sizes[0][0] * self.sizes[0][1] * config.channels}
        for size, larger in zip(self.sizes, self.sizes[1:]):
            for group in (2, 3, 4):
                term = f"{pixels.format_size(size)}to{pixels.format_size(larger)}/group{group}"
                self.term_dims[term] = size[0] * size[1] * config.channels
                self.upscalers.append(self._make_upscaler(size, group, term, shared))
        self.label_embedding = None
        if config.num_classes:
            self.label_embedding = keras.layers.Embedding(
                config.num_classes, config.label_features, dtype=config.dtype, name="label"
            )
        self._build_all()
        self._compile_all()

    # -- likelihood -------------------------------------------------------------------------------

    def log_prob_terms(self, images, conditions=None):
        """The terms of log p(images), in nats.

        Args:
            images: `[B, H, W, C]` integers in 0…num_levels-1.
            conditions: see the class.

        Returns:
            `{"base": [B], "8to16/group2": [B], …}` float32, keys as in `self.term_dims`.

        Raises:
            UserError: for images or conditions of a wrong shape, dtype or range.
        """
        return self._log_prob_terms(*check_images(self.config, images, conditions))

    def log_prob(self, images, conditions=None):
        """`[B]` float32 log p(images) in nats: the sum of `log_prob_terms`."""
        return sum(self.log_prob_terms(images, conditions).values())

    def call(self, images, conditions=None):
        """`log_prob_terms`."""
        return self.log_prob_terms(images, conditions)

    def cropped_log_prob_terms(self, images, conditions, crop_size, offsets):
        """An estimate of `log_prob_terms` to train on, whose cost does not grow with the target.

        A scale larger than `crop_size` is scored on one crop an image, at even offsets so that the
        2x2 blocks stay whole, and its terms are scaled up by the ratio of the areas. It is a little
        biased: pixels near the image's border fall into fewer crops, and a crop's own border hides
        what lies beyond it. Compare it with nothing but itself.

        Args:
            images, conditions: as for `log_prob_terms`.
            crop_size: side of the crops, pixels, even.
            offsets: `[B, 2]` uniforms in [0, 1) that place the crop (row, column).

        Reference: Reed et al. (2017), section 4: 32x32 crops.
        """
        images, conditions = check_images(self.config, images, conditions)
        return self._terms(images, conditions, lambda x: _crop(x, crop_size, offsets))

    def _terms(self, images, conditions, crop=lambda scale: (scale, 1.0)):
        conditioning = self._embed(conditions)
        base, *larger = pixels.pyramid(images, len(self.sizes))
        terms = {"base": self._score(self.base(base, conditioning), base)}
        names = iter(list(self.term_dims)[1:])
        upscalers = iter(self.upscalers)
        for scale in larger:
            scale, area_ratio = crop(scale)
            groups = pixels.split_groups(scale)
            for group in (2, 3, 4):
                upscaler = next(upscalers)
                context, target = ops.concatenate(groups[: group - 1], axis=-1), groups[group - 1]
                known = upscaler.trunk(context, conditioning)
                terms[next(names)] = self._score(upscaler(known, target), target) * area_ratio
        return terms

    def _score(self, params, levels):
        """Σ over sub-pixels of log p, `[B]`."""
        return _sum_image(self.distribution.log_prob(params, levels))

    # -- sampling ---------------------------------------------------------------------------------

    def sample(self, num, conditions=None, seed=0):
        """`num` images, uint8 levels `[num, H, W, C]`; the same for the same seed.

        More than `SAMPLES_AT_ONCE` are decoded in parts, so that memory does not grow with them.
        """
        shape = self.config.image_size + (self.config.channels,)
        conditions = check_request(self.config, num, conditions, seed)
        generator, images = np.random.default_rng(seed), np.empty((num, *shape), "uint8")
        for start in range(0, num, SAMPLES_AT_ONCE):
            part = slice(start, min(start + SAMPLES_AT_ONCE, num))
            uniforms = generator.random((part.stop - start, *shape), dtype="float32")
            own = {name: values[part] for name, values in conditions.items()}
            images[part] = self.decode(uniforms, own)
        return images

    def decode(self, uniforms, conditions=None, sampler="cached"):
        """Images from uniforms, by inverse CDF.

        Args:
            uniforms: `[B, H, W, C]` floats in [0, 1).
            conditions: see the class.
            sampler: "cached", or "naive" (one full network evaluation a sub-pixel).

        Returns:
            `[B, H, W, C]` uint8 levels (numpy).
        """
        if sampler == "cached":
            inputs = check_uniforms(self.config, uniforms, conditions)
            return ops.convert_to_numpy(self._decode(*inputs))
        return self.decode_with_log_prob(uniforms, conditions, sampler)[0]

    def decode_with_log_prob(self, uniforms, conditions=None, sampler="cached"):
        """`decode`, and log p of each image as accumulated on the way: `[B]`, nats (numpy)."""
        if sampler not in SAMPLERS:
            raise UserError(f"unknown sampler {sampler!r}; valid: {', '.join(SAMPLERS)}")
        decode = self._decode_scored if sampler == "cached" else self._decode_naive
        levels, log_prob = decode(*check_uniforms(self.config, uniforms, conditions))
        return ops.convert_to_numpy(levels), ops.convert_to_numpy(log_prob)

    def trajectory(self, images):
        """The pyramid of sampled images: a list of uint8 arrays `[B, h, w, C]`, base … target."""
        return [np.asarray(scale) for scale in pixels.pyramid(np.asarray(images), len(self.sizes))]

    def _decode_cached_steps(self, uniforms, conditions, score=True):
        def base(uniforms, conditioning):
            size = self.sizes[0]
            steps = CachedPixelCNN(self.base, ops.shape(uniforms)[0], size, conditioning)
            return decode_raster(steps, uniforms, score)

        def group(upscaler, known, uniforms):
            return decode_group(upscaler, known, uniforms, score)

        levels, log_probs = self._decode_scales(uniforms, conditions, base, group)
        return (levels, sum(_sum_image(part) for part in log_probs)) if score else levels

    def _decode_naive_steps(self, uniforms, conditions):
        def base(uniforms, conditioning):
            return decode_naive(self.distribution, lambda x: self.base(x, conditioning), uniforms)

        def group(upscaler, known, uniforms):
            return decode_naive(self.distribution, lambda x: upscaler(known, x), uniforms)

        levels, log_probs = self._decode_scales(uniforms, conditions, base, group)
        return levels, sum(_sum_image(part) for part in log_probs)

    def _decode_scales(self, uniforms, conditions, decode_base, decode_one_group):
        """uint8 levels, and the list of what the decoders return beside them."""
        conditioning = self._embed(conditions)
        base, *larger = pixels.pyramid(uniforms, len(self.sizes))
        levels, log_probs = decode_base(base, conditioning)
        log_probs = [log_probs]
        upscalers = iter(self.upscalers)
        for scale in larger:
            groups = [levels]
            for own in pixels.split_groups(scale)[1:]:
                upscaler = next(upscalers)
                known = upscaler.trunk(ops.concatenate(groups, axis=-1), conditioning)
                decoded, group_log_probs = decode_one_group(upscaler, known, own)
                groups.append(decoded)
                log_probs.append(group_log_probs)
            levels = pixels.merge_groups(groups)
        return ops.cast(levels, "uint8"), log_probs

    # -- construction -----------------------------------------------------------------------------

    def start_at_marginal(self, histogram):
        """Sets a softmax's free logits to the data's marginal, on which its tent is laid.

        Args:
            histogram: `[C, L]` counts of each channel's levels. A DMOL starts at a spread of its
                own and is left alone.
        """
        if self.config.output != "softmax":
            return
        counts = np.asarray(histogram, "float64") + 1.0
        logits = np.log(counts / counts.sum(axis=1, keepdims=True))
        for network in (self.base, *self.upscalers):
            variable = network.output_bias
            bias = np.array(ops.convert_to_numpy(variable)).reshape(self.config.channels, -1)
            bias[:, : self.config.num_levels] = logits
            variable.assign(bias.reshape(variable.shape))

    def get_config(self):
        return {"name": self.name, "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config):
        return cls(replace(ModelConfig(), **config["config"]), name=config["name"])

    def _make_upscaler(self, size, group, term, shared):
        config = self.config
        arguments = {
            "distribution": self.distribution, "group": group,
            "num_blocks": config.residual_blocks, "features": config.features,
            "head_features": config.head_features, "name": term.replace("/", "_"), **shared,
        }
        if config.upscaler == "A":
            return UpscalerA(**arguments)
        patch_size = tuple(min(config.patch_size, side) for side in size)
        return UpscalerB(
            **arguments, patch_size=patch_size, decoder_layers=config.decoder_layers,
            decoder_features=config.decoder_features,
        )

    def _build_all(self):
        self.base.build()
        for upscaler in self.upscalers:
            upscaler.build()
        if self.label_embedding is not None:
            self.label_embedding.build((None,))
        self.built = True

    def _compile_all(self):
        shape = (*self.config.image_size, self.config.channels)
        labels = {"label": ((), "int32")} if self.config.num_classes else {}
        dtype = uniforms_dtype(self.config)
        self._log_prob_terms = compile_function(
            self._terms, images=(shape, "int32"), conditions=labels
        )
        self._decode = compile_function(
            functools.partial(self._decode_cached_steps, score=False),
            uniforms=(shape, dtype), conditions=labels,
        )
        self._decode_scored = compile_function(
            self._decode_cached_steps, uniforms=(shape, dtype), conditions=labels
        )
        self._decode_naive = compile_function(
            self._decode_naive_steps, uniforms=(shape, dtype), conditions=labels
        )

    def _embed(self, conditions):
        """Conditions → `[B, 1, 1, E]`, or None."""
        if self.label_embedding is None:
            return None
        return self.label_embedding(conditions["label"])[:, None, None]


def _sum_image(log_probs):
    """Σ over an image's sub-pixels: `[B, H, W, C]` → `[B]`."""
    return ops.sum(log_probs, axis=(1, 2, 3))


def _crop(scale, crop_size, offsets):
    """One crop an image at even offsets, and the ratio of the areas; small scales stay whole."""
    _, height, width, _ = scale.shape
    sides = min(crop_size, height), min(crop_size, width)
    for axis, (side, full) in enumerate(zip(sides, (height, width))):
        if side < full:
            places = (full - side) // 2 + 1
            start = 2 * ops.cast(ops.floor(offsets[:, axis] * places), "int32")
            index = start[:, None] + ops.arange(side)
            shape = (-1, side, 1, 1) if axis == 0 else (-1, 1, side, 1)
            scale = ops.take_along_axis(scale, ops.reshape(index, shape), axis=axis + 1)
    return scale, height * width / (sides[0] * sides[1])
