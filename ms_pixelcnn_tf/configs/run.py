"""Configuration of a run: its model, data and training, as frozen dataclasses with checks.

The run folder stores the whole configuration as JSON. Sizes are `(height, width)` in pixels; the
text in a field's `doc` is its help on the command line.
"""

import dataclasses
import itertools
import json
import math

from ms_pixelcnn_tf.configs.checks import check_at_least, check_choice, replace, unknown
from ms_pixelcnn_tf.configs.image import CONDITIONS, VARIANTS, ModelConfig
from ms_pixelcnn_tf.configs.shared import check_departures, departure, doc
from ms_pixelcnn_tf.configs.video import VIDEO_VARIANTS, VideoConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import TRAIN_EXAMPLES

AUGMENTATIONS = ("jitter", "mirror")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Configuration of the data: the data set and how it is read."""

    dataset: str = doc("name of the data set", "shapes")
    data_dir: str = doc("folder or archive of the data set, if it needs one", "")
    labels: str = doc(
        "folder data: 'folders' takes sub-folders as classes, 'metadata' the field label of "
        "metadata.jsonl or metadata.csv",
        "none",
    )
    conditions: str = doc(
        "what of the data conditions an image model: some of label,text,keypoints,segmentation",
        "none",
    )
    validation_fraction: float = doc("folder data: the part kept for validation", 0.1)
    split_by: str = doc(
        "folder data: a field of the metadata; images with the same value go to the same split", ""
    )
    background: str = doc(
        "folder data: colour that transparent pixels are laid over, a CSS name or r,g,b", "white"
    )
    data_seed: int = doc("seed of the procedural sets", 0)
    train_examples: int = doc("training examples of the procedural sets", TRAIN_EXAMPLES)
    source_size: int = doc(
        "longer side at which images or frames are read before every n-th pixel is kept, as an "
        "upscaler will be given them; 0 for image_size",
        0,
    )

    def __post_init__(self):
        check_choice(self, "labels", ("none", "folders", "metadata"))
        for name in self.condition_names:
            if name not in CONDITIONS:
                raise unknown("condition", name, CONDITIONS)
        check_at_least(self, 0, "data_seed", "source_size")
        check_at_least(self, 1, "train_examples")
        if not 0 < self.validation_fraction < 1:
            raise UserError(
                f"validation_fraction is {self.validation_fraction}; valid: between 0 and 1"
            )

    @property
    def condition_names(self) -> tuple[str, ...]:
        """`conditions` as a tuple, plus "label" if a folder has labels."""
        names = () if self.conditions == "none" else tuple(self.conditions.split(","))
        return (*names, *(["label"] if self.labels != "none" and "label" not in names else []))


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Configuration of the training. A preset (`PRESETS`) overrides some of these defaults."""

    batch_size: int = doc("images or clips a step", 32)
    micro_batch_size: int = doc(
        "examples whose gradient is computed at once, a divisor of batch_size: less memory for the "
        "same step; 0 for all",
        0,
    )
    steps: int = doc("optimiser steps", 2000)
    optimizer: str = doc("adam or rmsprop", "adam")
    learning_rate: float = doc("at the end of the warm-up", 1e-3)
    final_learning_rate: float = doc("at the last step", 1e-5)
    schedule: str = doc(
        "exponential or cosine, from learning_rate to final_learning_rate; or steps, which "
        "multiplies it by drop_factor at each of drop_steps",
        "cosine",
    )
    drop_steps: str = doc("schedule=steps: when it drops, as 83000,113000", "")
    drop_factor: float = doc("schedule=steps: what it is multiplied by", 0.3)
    warmup_steps: int = doc("steps of linear warm-up", 100)
    epsilon: float = doc("the optimiser's epsilon", 1e-8)
    centered: bool = doc("rmsprop: divide by the gradient's deviation, not its magnitude", False)
    rmsprop_start: float = departure(
        "rmsprop: start of the mean square: 0, or 1, which makes the first hundred steps small",
        0.0,
        1.0,
        "Keras starts at 0, TensorFlow 1 started at 1; Adam, our default, has neither.",
    )
    loss_weights: str = departure(
        "per_scale: each scale's nats are divided by its own sub-pixels, so that it learns as if "
        "trained by itself; per_image: by those of all scales, so that small scales learn slowly "
        "under rmsprop",
        "per_image",
        "per_scale",
        "The sum of the terms is the likelihood itself, and Adam does not mind their sizes.",
        ("per_image", "per_scale"),
    )
    gradient_clip_norm: float = doc("largest gradient norm; 0 for no clipping", 1.0)
    clip_by: str = doc(
        "gradients that gradient_clip_norm limits together: network, those of a scale's networks "
        "and its own encoder, or of an encoder that scales share; all, every gradient",
        "all",
    )
    ema_decay: float = doc(
        "decay of the weight average used to evaluate and sample; 0 for none", 0.0
    )
    crop_size: int = doc("train scales above this size on random crops of it; 0 for none", 0)
    crop_halo: int = doc(
        "pixels around a crop that are read but not scored, so that crops are scored as the whole "
        "image is: 2 * (1 + residual_blocks) is exact (blocks of two 3x3 convolutions count "
        "twice), less costs less; 0 for none",
        0,
    )
    flip: bool = doc("mirror images at random", False)
    map_dropout: float = doc(
        "part of the examples whose keypoints and segmentation are left empty, drawn anew each "
        "epoch",
        0.0,
    )
    maps_from: int = doc(
        "step from which keypoints and segmentations are shown: with captions beside them, which "
        "are hardly learnt where a map tells most, a tenth of the steps",
        0,
    )
    map_noise: float = doc(
        "part of the examples whose segmentation names other classes than are there, and whose "
        "keypoints are moved by up to 2 cells, drawn anew each epoch: where a map goes with "
        "colours in the data, so that captions decide on these",
        0.0,
    )
    past_samples: int = doc(
        "videos: scheduled sampling, passes that replace past frames with the model's own samples; "
        "0 turns it off",
        0,
    )
    past_samples_share: float = doc(
        "share of the past frames that a pass replaces at the end; 0 until half of the steps", 0.7
    )
    augment: str = doc(
        "change clips at random: some of jitter (shifted by up to 1/16 of the side, brighter or "
        "darker by up to 10 % a colour),mirror (with what actions and states tell of sides)",
        "none",
    )
    random_crop: bool = doc(
        "cut larger images at random places, not at their centres, and longer videos at random "
        "starts",
        False,
    )
    seed: int = doc("seed of the weights, the order of examples and the crops", 0)
    log_every: int = doc("steps between training scalars", 50)
    evaluate_every: int = doc("steps between validations", 500)
    evaluation_examples: int = doc("validation examples used during training; 0 for all", 1000)
    checkpoint_every: int = doc("steps between checkpoints", 500)
    checkpoints_kept: int = doc("how many of the last checkpoints stay, beside the best", 3)
    sample_every: int = doc("steps between sample grids in TensorBoard; 0 for none", 1000)
    max_skipped_steps: int = doc(
        "a step whose likelihood, gradient or new weights are not finite is skipped; so many in a "
        "row end the run",
        10,
    )
    max_damaged_examples: int = doc(
        "training examples that may be damaged; others take their places, with a warning", 10
    )
    deterministic: bool = doc(
        "ask TensorFlow for the same bits on every run, perhaps slower", False
    )

    def __post_init__(self):
        check_choice(self, "optimizer", ("adam", "rmsprop"))
        check_choice(self, "schedule", ("exponential", "cosine", "steps"))
        check_departures(self)
        check_choice(self, "rmsprop_start", (0.0, 1.0))
        check_choice(self, "clip_by", ("network", "all"))
        check_at_least(
            self,
            1,
            "batch_size",
            "steps",
            "log_every",
            "evaluate_every",
            "checkpoint_every",
            "checkpoints_kept",
            "max_skipped_steps",
        )
        check_at_least(
            self,
            0,
            "warmup_steps",
            "gradient_clip_norm",
            "crop_size",
            "crop_halo",
            "sample_every",
            "evaluation_examples",
            "seed",
            "micro_batch_size",
            "max_damaged_examples",
            "maps_from",
            "past_samples",
        )
        if not 0 < self.past_samples_share <= 1:
            raise UserError(
                f"past_samples_share is {self.past_samples_share}; valid: above 0, up to 1"
            )
        if self.seed >= 2**32:
            raise UserError(f"seed is {self.seed}; valid: below 2**32")
        if self.crop_size % 2:
            raise UserError(f"crop_size is {self.crop_size}; valid: even numbers, 0 for no crops")
        if self.crop_halo % 2:
            raise UserError(f"crop_halo is {self.crop_halo}; valid: even numbers, 0 for none")
        if self.crop_halo and not self.crop_size:
            raise UserError(f"crop_halo is {self.crop_halo}, without crop_size; give both")
        for name in ("learning_rate", "final_learning_rate", "epsilon"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} is {getattr(self, name)}; valid: finite, above 0")
        self._check_drops()
        self._check_augment()
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise UserError(
                f"micro_batch_size {self.micro_batch_size} does not divide batch_size "
                f"{self.batch_size}"
            )
        if self.schedule != "steps" and self.final_learning_rate > self.learning_rate:
            raise UserError(
                f"final_learning_rate is {self.final_learning_rate}, above learning_rate "
                f"{self.learning_rate}; give both"
            )
        if not self.gradient_clip_norm < math.inf:
            raise UserError(f"gradient_clip_norm is {self.gradient_clip_norm}; valid: 0 or more")
        for name in ("map_dropout", "map_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}; valid: 0 to 1")
        if self.maps_from >= self.steps:
            raise UserError(
                f"maps_from is {self.maps_from}, of {self.steps} steps; valid: below that"
            )
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"ema_decay is {self.ema_decay}; valid: 0 up to, not including, 1")

    def _check_drops(self):
        if not 0 < self.drop_factor < 1:
            raise UserError(f"drop_factor is {self.drop_factor}; valid: between 0 and 1")
        drops = self.drops
        if any(later <= earlier for earlier, later in zip((0, *drops), drops, strict=False)):
            raise UserError(f"drop_steps is {self.drop_steps!r}; valid: rising numbers, 1 or more")
        if self.schedule == "steps" and not drops:
            raise UserError("schedule is steps, without drop_steps; give them, as 83000,113000")

    def _check_augment(self):
        names = self.augmentations
        for name in names:
            if name not in AUGMENTATIONS:
                raise unknown("augment", name, ("none", *AUGMENTATIONS))
        in_order = ",".join(name for name in AUGMENTATIONS if name in names)
        object.__setattr__(self, "augment", in_order or "none")

    @property
    def drops(self) -> tuple[int, ...]:
        """`drop_steps` as a tuple of integers."""
        try:
            return tuple(int(step) for step in self.drop_steps.split(",") if step)
        except ValueError as error:
            raise UserError(
                f"drop_steps is {self.drop_steps!r}; valid: numbers of steps, as 83000,113000"
            ) from error

    @property
    def augmentations(self) -> tuple[str, ...]:
        """`augment` as a tuple."""
        return () if self.augment == "none" else tuple(self.augment.split(","))

    @property
    def examples_at_once(self) -> int:
        """Number of examples scored at once: `micro_batch_size`, or `batch_size` if that is 0."""
        return self.micro_batch_size or self.batch_size


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Configuration of one training run."""

    model: ModelConfig | VideoConfig
    data: DataConfig
    train: TrainConfig

    def __post_init__(self):
        if isinstance(self.model, VideoConfig):
            self._check_video()
            return
        if self.train.augment != "none":
            raise UserError(
                f"augment is {self.train.augment}, which is for videos; flip mirrors images"
            )
        if self.train.past_samples:
            raise UserError(
                f"past_samples is {self.train.past_samples}, which is for videos; leave it out"
            )
        self._check_crops()

    def _check_crops(self):
        model, crop, halo = self.model, self.train.crop_size, self.train.crop_halo
        if not crop or not isinstance(model, ModelConfig) or model.variant != "OlogN":
            return
        for side in itertools.chain(*model.sizes[1:]) if halo else ():
            if side > crop and side % crop:
                raise UserError(
                    f"crop_size is {crop}, which does not divide {side} pixels; with crop_halo "
                    "valid: divisors of the sides of the scales above it"
                )
        self._check_patches()

    def _check_patches(self):
        """Raises UserError for crops that would cut type B's patches."""
        model, crop, halo = self.model, self.train.crop_size, self.train.crop_halo
        if model.upscaler == "A" or not crop:
            return
        for side in model.image_size:  # smaller scales above the crop have the same patches
            patch = min(model.patch_size, side // 2)
            for name, pixels in (("crop_size", crop), ("crop_halo", halo)):
                if side > crop and pixels // 2 % patch:
                    raise UserError(
                        f"{name} is {pixels}, whose groups of {pixels // 2} pixels are no whole "
                        f"number of patches of {patch}; valid: multiples of {2 * patch}"
                    )

    def _check_video(self):
        variant = self.model.variant
        if self.train.flip:
            raise UserError("flip is for images; augment=mirror mirrors videos")
        if self.train.crop_size and variant != "OT_upscaler":
            raise UserError(
                f"crop_size is {self.train.crop_size}; of the video models only OT_upscaler is "
                f"trained on crops: give 0 for {variant}"
            )
        if self.train.crop_halo:
            raise UserError(
                f"crop_halo is {self.train.crop_halo}, which is for images; leave it out"
            )
        self._check_patches()
        if self.train.past_samples and variant == "OT_upscaler":
            raise UserError(
                f"past_samples is {self.train.past_samples}; valid with OT_baseline, OTN, OT and "
                "OTlogN"
            )
        if self.train.past_samples and self.model.missing_scales:
            raise UserError(
                f"past_samples is {self.train.past_samples}; valid with scale {self.model.scale}: "
                "0, as some scales alone sample no frames"
            )
        if self.data.condition_names:
            raise UserError(
                f"conditions name {self.data.condition_names[0]}, which is for images; what "
                "conditions a video is set by action_size and state_size"
            )

    def to_json(self) -> str:
        """Indented JSON, one object per part."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """The inverse of `to_json`.

        Raises:
            UserError: if the text is not JSON, lacks a part, or has unknown fields or invalid
                values.
        """
        try:
            parts = json.loads(text)
            return cls(
                model=replace(model_type(parts["model"]["variant"])(), **parts["model"]),
                data=replace(DataConfig(), **parts["data"]),
                train=replace(TrainConfig(), **parts["train"]),
            )
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"not a run's configuration: {error}") from error


def model_type(variant: str) -> type[ModelConfig] | type[VideoConfig]:
    """`ModelConfig` or `VideoConfig`, by variant.

    Raises:
        UserError: for a name that is a variant of neither.
    """
    if variant not in (*VARIANTS, *VIDEO_VARIANTS):
        raise unknown("variant", variant, (*VARIANTS, *VIDEO_VARIANTS))
    return VideoConfig if variant in VIDEO_VARIANTS else ModelConfig


def field_table() -> dict[str, tuple[str, dataclasses.Field]]:
    """Every field of a run: name → (part, dataclass field).

    A name belongs to one part. A field that image and video models share is that of images.
    """
    table = {}
    for part, types in {
        "model": (ModelConfig, VideoConfig),
        "data": (DataConfig,),
        "train": (TrainConfig,),
    }.items():
        for config in types:
            for field in dataclasses.fields(config):
                assert table.setdefault(field.name, (part, field))[0] == part, field.name
    return table
