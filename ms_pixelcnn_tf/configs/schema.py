"""What a run is made of, as plain frozen data, and the checks that need no tensor.

A run's whole configuration is stored as JSON beside its checkpoints. Sizes are `(height, width)`
in pixels; the text in a field's `doc` is its help on the command line.
"""

import dataclasses
import json
import math

from ms_pixelcnn_tf.configs.checks import check_at_least, check_choice, replace, unknown
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size, parse_size

VARIANTS = ("ON", "OlogN")
CONDITIONS = ("label", "text", "keypoints", "segmentation")


def doc(text, default):
    """A dataclass field with its help text."""
    return dataclasses.field(default=default, metadata={"doc": text})


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The density model. With variant ON the fields of the upscalers are ignored."""

    variant: str = doc("ON (Gated PixelCNN at full size) or OlogN (multiscale)", "OlogN")
    image_size: tuple[int, int] = doc("target size, 32 or 32x48 (height x width)", (32, 32))
    base_size: tuple[int, int] = doc("size of the autoregressive base of OlogN", (8, 8))
    channels: int = doc("image channels", 3)
    num_levels: int = doc("levels of a sub-pixel, 2 to 256", 256)
    num_classes: int = doc("classes to condition on; 0 for none", 0)
    text: bool = doc("whether to condition on captions", False)
    num_keypoints: int = doc("parts whose keypoints to condition on; 0 for none", 0)
    num_segments: int = doc("classes of the segmentation to condition on; 0 for none", 0)
    scale: str = doc(
        "what the model holds of its scales: all, or some by their larger size, as base,8,16", "all"
    )
    output: str = doc("law of a sub-pixel: softmax or dmol", "dmol")
    num_mixtures: int = doc("components of dmol", 10)
    upscaler: str = doc("A (pixels of a group independent) or B (autoregressive patches)", "A")
    patch_size: int = doc("side M of type B's patches", 4)
    base_layers: int = doc("gated layers of the base, or of ON", 4)
    base_features: int = doc("their width", 64)
    first_kernel: int = doc("kernel of the first gated layer, odd", 7)
    residual_blocks: int = doc("residual blocks of each upscaler", 4)
    features: int = doc("width of the upscalers", 64)
    head_features: int = doc("width of the 1x1 layer before the output", 64)
    decoder_layers: int = doc("gated layers of type B's decoder", 2)
    decoder_features: int = doc("their width", 64)
    label_features: int = doc("width of the class embedding", 64)
    text_features: int = doc("width of the code of a caption", 64)
    text_width: int = doc("width of the text encoder's second convolution", 128)
    spatial_features: int = doc("width of the features of keypoints or a segmentation", 32)
    spatial_blocks: int = doc("residual blocks of their encoder", 4)
    encoder_shared_to: int = doc(
        "the base and the scales up to this size share their encoders of the conditions, each above "
        "has its own", 32,
    )
    dtype: str = doc("dtype policy: float32, float64 or mixed_bfloat16", "float32")

    def __post_init__(self):
        check_choice(self, "variant", VARIANTS)
        check_choice(self, "output", ("softmax", "dmol"))
        check_choice(self, "upscaler", ("A", "B"))
        check_choice(self, "dtype", ("float32", "float64", "mixed_bfloat16"))
        for name in ("image_size", "base_size"):
            object.__setattr__(self, name, parse_size(getattr(self, name), name))
        if not 2 <= self.num_levels <= 256:
            raise UserError(f"num_levels is {self.num_levels}; valid: 2 to 256")
        if self.first_kernel % 2 == 0 or self.first_kernel < 3:
            raise UserError(f"first_kernel is {self.first_kernel}; valid: odd numbers from 3")
        check_at_least(
            self, 0, "num_classes", "num_keypoints", "num_segments", "residual_blocks",
            "spatial_blocks", "encoder_shared_to",
        )
        check_at_least(
            self, 1, "channels", "num_mixtures", "patch_size", "base_layers", "base_features",
            "features", "head_features", "decoder_layers", "decoder_features", "label_features",
            "text_features", "text_width", "spatial_features",
        )
        if self.output == "softmax":
            narrow = [
                name for name in ("base_features", "head_features", "decoder_features")
                if getattr(self, name) < self.channels
            ]
            if narrow:
                raise UserError(
                    f"{narrow[0]} is {getattr(self, narrow[0])}; a softmax orders {self.channels} "
                    f"channels and needs at least {self.channels} features"
                )
        if self.variant == "OlogN":
            if self.conditions and not self.residual_blocks:
                raise UserError("residual_blocks is 0; a conditional upscaler needs at least 1")
            self._check_sizes()
        self._check_scale()

    def _check_sizes(self):
        *smaller, _ = self.sizes
        if not smaller:
            raise UserError(
                f"base_size is image_size, {format_size(self.image_size)}, which leaves OlogN no scale; "
                "give a base a power of two smaller, image sides that can be halved, or variant ON"
            )
        if self.upscaler == "A":
            return
        for size in smaller:
            if any(side % min(self.patch_size, side) for side in size):
                raise UserError(
                    f"patch_size {self.patch_size} does not divide the group maps of "
                    f"{format_size(size)}; give one that divides both sides"
                )

    def _check_scale(self):
        held = self.scale.split(",")
        if self.scale == "all":
            return
        for name in held:
            if name not in self.scale_names:
                raise unknown("scale", name, ("all", *self.scale_names))
        in_order = [name for name in self.scale_names if name in held]
        object.__setattr__(self, "scale", ",".join(in_order))
        if len(in_order) == len(self.scale_names):
            object.__setattr__(self, "scale", "all")
        for group in self.encoder_groups().values():
            apart = [name for name in group if name not in held]
            if apart and len(apart) < len(group):
                raise UserError(
                    f"scale is {self.scale}, which shares its encoder with {', '.join(apart)}; train "
                    f"them together (scale={','.join(group)}) or give encoder_shared_to=0"
                )

    @property
    def conditions(self):
        """Names of the conditions: some of label, text, keypoints and segmentation."""
        taken = {
            "label": self.num_classes, "text": self.text, "keypoints": self.num_keypoints,
            "segmentation": self.num_segments,
        }
        return tuple(name for name, value in taken.items() if value)

    @property
    def conditioning_features(self):
        """Width of what the networks are conditioned on; 0 for none."""
        maps = bool(self.num_keypoints) + bool(self.num_segments)
        vectors = self.label_features * bool(self.num_classes) + self.text_features * self.text
        return vectors + maps * self.spatial_features

    @property
    def scale_names(self):
        """Names of the scales: "base", then the larger size of each, such as "16" or "16x24"."""
        return ("base", *(format_size(size) for size in self.sizes[1:]))

    @property
    def held_scales(self):
        """Those of `scale_names` that the model holds."""
        return self.scale_names if self.scale == "all" else tuple(self.scale.split(","))

    def encoder_groups(self):
        """Which scales share an encoder of the conditions: its name → names of the scales; empty
        without conditions."""
        groups = {}
        if self.conditions:
            for name, size in zip(self.scale_names, self.sizes):
                shared = self.encoder_shared_to
                common = shared and (name == "base" or max(size) <= shared)
                groups.setdefault("encoder" if common else f"encoder_{name}", []).append(name)
        return groups

    @property
    def sizes(self):
        """`[(height, width)]` from base to target, each twice the one before; ON has one.

        Raises:
            UserError: if the two are not the same power of two apart in height and width.
        """
        if self.variant == "ON":
            return [self.image_size]
        sizes = [self.base_size]
        while sizes[-1][0] < self.image_size[0]:
            sizes.append((sizes[-1][0] * 2, sizes[-1][1] * 2))
        if sizes[-1] != self.image_size:
            raise UserError(
                f"base_size {format_size(self.base_size)} does not reach image_size "
                f"{format_size(self.image_size)} by doubling both sides; give sizes one power of two "
                "apart, such as 4x6 and 32x48"
            )
        return sizes


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the images come from."""

    dataset: str = doc("name of the data set", "shapes")
    data_dir: str = doc("folder or archive of the data set, if it needs one", "")
    labels: str = doc("folder data: 'folders' takes sub-folders as classes", "none")
    conditions: str = doc(
        "what of the data conditions the model: some of label,text,keypoints,segmentation", "none"
    )
    validation_fraction: float = doc("folder data: the part kept for validation", 0.1)
    data_seed: int = doc("seed of the procedural sets", 0)

    def __post_init__(self):
        check_choice(self, "labels", ("none", "folders"))
        for name in self.condition_names:
            if name not in CONDITIONS:
                raise unknown("condition", name, CONDITIONS)
        check_at_least(self, 0, "data_seed")
        if not 0 < self.validation_fraction < 1:
            raise UserError(
                f"validation_fraction is {self.validation_fraction}; valid: between 0 and 1"
            )


    @property
    def condition_names(self):
        """`conditions` as a tuple; with sub-folders as classes it has the label."""
        names = () if self.conditions == "none" else tuple(self.conditions.split(","))
        return (*names, *(["label"] if self.labels == "folders" and "label" not in names else []))


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How the model is trained. These defaults hold where a preset (`PRESETS`) says nothing."""

    batch_size: int = doc("images a step", 32)
    steps: int = doc("optimiser steps", 2000)
    optimizer: str = doc("adam or rmsprop", "adam")
    learning_rate: float = doc("at the end of the warm-up", 1e-3)
    final_learning_rate: float = doc("at the last step", 1e-5)
    schedule: str = doc("exponential or cosine, from learning_rate to final_learning_rate", "cosine")
    warmup_steps: int = doc("steps of linear warm-up", 100)
    epsilon: float = doc("the optimiser's epsilon", 1e-8)
    gradient_clip_norm: float = doc("largest global gradient norm; 0 for no clipping", 1.0)
    ema_decay: float = doc("decay of the weight average used to evaluate and sample; 0 for none", 0.0)
    crop_size: int = doc("train scales above this size on random crops of it; 0 for none", 0)
    flip: bool = doc("mirror images at random", False)
    random_crop: bool = doc("cut larger images at random places, not at their centres", False)
    seed: int = doc("seed of the weights, the order of examples and the crops", 0)
    log_every: int = doc("steps between training scalars", 50)
    evaluate_every: int = doc("steps between validations", 500)
    evaluation_examples: int = doc("validation examples used during training; 0 for all", 1000)
    checkpoint_every: int = doc("steps between checkpoints", 500)
    sample_every: int = doc("steps between sample grids in TensorBoard; 0 for none", 1000)

    def __post_init__(self):
        check_choice(self, "optimizer", ("adam", "rmsprop"))
        check_choice(self, "schedule", ("exponential", "cosine"))
        check_at_least(
            self, 1, "batch_size", "steps", "log_every", "evaluate_every", "checkpoint_every",
        )
        check_at_least(self, 0, "warmup_steps", "gradient_clip_norm", "crop_size", "sample_every",
                  "evaluation_examples", "seed")
        if self.seed >= 2**32:
            raise UserError(f"seed is {self.seed}; valid: below 2**32")
        if self.crop_size % 2:
            raise UserError(f"crop_size is {self.crop_size}; valid: even numbers, 0 for no crops")
        for name in ("learning_rate", "final_learning_rate", "epsilon"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} is {getattr(self, name)}; valid: finite, above 0")
        if self.final_learning_rate > self.learning_rate:
            raise UserError(
                f"final_learning_rate is {self.final_learning_rate}, above learning_rate "
                f"{self.learning_rate}; give both"
            )
        if not self.gradient_clip_norm < math.inf:
            raise UserError(f"gradient_clip_norm is {self.gradient_clip_norm}; valid: 0 or more")
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"ema_decay is {self.ema_decay}; valid: 0 up to, not including, 1")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One training run."""

    model: ModelConfig
    data: DataConfig
    train: TrainConfig

    def __post_init__(self):
        model, crop = self.model, self.train.crop_size
        if not crop or model.variant == "ON" or model.upscaler == "A":
            return
        for side in model.image_size:  # smaller scales above the crop have the same patches
            patch = min(model.patch_size, side // 2)
            if side > crop and crop // 2 % patch:
                raise UserError(
                    f"crop_size is {crop}, whose groups of {crop // 2} pixels are no whole number "
                    f"of patches of {patch}; valid: multiples of {2 * patch}"
                )

    def to_json(self):
        """Indented JSON, one object a part."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text):
        """The inverse of `to_json`.

        Raises:
            UserError: if the text is not JSON, or has parts or fields this version does not know.
        """
        try:
            parts = json.loads(text)
            return cls(**{
                part.name: replace(part.type(), **parts[part.name])
                for part in dataclasses.fields(cls)
            })
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"not a run's configuration: {error}") from error


def field_table():
    """Every field of a run: name → (part, dataclass field). Names are unique over the parts."""
    table = {}
    for part in dataclasses.fields(RunConfig):
        for field in dataclasses.fields(part.type):
            assert field.name not in table, field.name
            table[field.name] = (part.name, field)
    return table
