"""Configuration of the image models: `ON`, a Gated PixelCNN, and `OlogN`, a multiscale PixelCNN."""

import dataclasses

from ms_pixelcnn_tf.configs.checks import check_at_least
from ms_pixelcnn_tf.configs.shared import DensityConfig, departure, doc, doubled_sizes
from ms_pixelcnn_tf.errors import UserError

VARIANTS = ("ON", "OlogN")
CONDITIONS = ("label", "text", "keypoints", "segmentation")


@dataclasses.dataclass(frozen=True)
class ModelConfig(DensityConfig):
    """Configuration of an image model. Variant ON ignores the fields of the upscalers."""

    valid_variants = VARIANTS

    num_classes: int = doc("classes to condition on; 0 for none", 0)
    text: bool = doc("whether to condition on captions", False)
    num_keypoints: int = doc("parts whose keypoints to condition on; 0 for none", 0)
    num_segments: int = doc("classes of the segmentation to condition on; 0 for none", 0)
    label_features: int = doc("width of the class embedding", 64)
    text_features: int = doc("width of the code of a caption", 64)
    text_width: int = doc("width of the text encoder's second convolution", 128)
    spatial_features: int = doc("width of the features of keypoints or a segmentation", 32)
    spatial_blocks: int = doc("residual blocks of their encoder", 4)
    map_resizing: str = departure(
        "how keypoints and segmentations are resized to a network's size: tf1 (as TensorFlow 1 "
        "did), corners (averaged around the pixels that a smaller scale keeps) or centres (around "
        "the centres of their blocks, half a block off; for runs from before this field)",
        "centres",
        "tf1",
        "A pixel of a smaller scale is its block's upper-left corner, and so must its map be.",
        ("centres", "corners", "tf1"),
        ours="corners",
    )
    joint_features: int = doc("width of the product of captions or labels and maps", 64)
    encoder_shared_to: int = doc(
        "of the scales trained together, the base and those up to this size share their encoders "
        "of the conditions, each above has its own",
        32,
    )
    condition_join: str = departure(
        "how captions or labels meet maps: depth (concatenated, without joint_features) or product "
        "((1 + maps) · vectors)",
        "product",
        "depth",
        "A product binds a colour to the shape that it is said of.",
        ("product", "depth"),
    )
    text_average: str = departure(
        "over which time steps the caption's code is averaged: all, or caption (those that see it)",
        "caption",
        "all",
        "What follows the caption's end does not dilute a short caption.",
        ("caption", "all"),
    )
    encoder_sharing: str = departure(
        "what the scales up to encoder_shared_to share: text (the text encoder, among upscalers) "
        "or all (every encoder, with the base)",
        "all",
        "text",
        "One encoder of the maps learns from every scale and is computed once.",
        ("all", "text"),
    )

    def __post_init__(self):
        super().__post_init__()
        check_at_least(
            self,
            0,
            "num_classes",
            "num_keypoints",
            "num_segments",
            "spatial_blocks",
            "encoder_shared_to",
        )
        check_at_least(
            self,
            1,
            "label_features",
            "text_features",
            "text_width",
            "spatial_features",
            "joint_features",
        )
        self.check_orders_channels("base_features", "head_features")
        if self.variant == "OlogN":
            if self.conditions and not self.residual_blocks:
                raise UserError("residual_blocks is 0; a conditional upscaler needs at least 1")
            self.check_patches(self.sizes[:-1])
        self.check_scale()

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions in use, from label, text, keypoints and segmentation."""
        taken = {
            "label": self.num_classes,
            "text": self.text,
            "keypoints": self.num_keypoints,
            "segmentation": self.num_segments,
        }
        return tuple(name for name, value in taken.items() if value)

    @property
    def vector_features(self) -> int:
        """Total width of the encoded label and caption; 0 without either."""
        return self.label_features * bool(self.num_classes) + self.text_features * self.text

    @property
    def map_features(self) -> int:
        """Total width of the encoded keypoints and segmentation; 0 without either."""
        return self.spatial_features * (bool(self.num_keypoints) + bool(self.num_segments))

    @property
    def conditioning_features(self) -> int:
        """Width of the conditioning that the networks receive; 0 without conditions."""
        if self.vector_features and self.map_features and self.condition_join == "product":
            return self.joint_features
        return self.vector_features + self.map_features

    def encoder_groups(self) -> dict[str, list[str]]:
        """The held scales, grouped by the encoder of the conditions that they share.

        With `encoder_sharing` "all", scales share a whole encoder; with "text", only its text
        encoder. Among scales that are trained together, those up to `encoder_shared_to` share one;
        each larger scale has its own. With "text" the base also has its own, as in the paper; with
        "all" it may share. Parts that are trained apart cannot share, so each has an encoder of its
        own (a departure).

        Returns:
            Name of the encoder (with "text": the one that holds the text encoder) → names of its
            scales; empty without conditions. "encoder" is the one that the base shares or may
            share; any other is named after its smallest scale. A part's weights therefore have the
            same names in every model assembled from it.
        """
        groups = {}
        for part in self.scale_parts if self.conditions else ():
            sharing = [name for name in part if self._shares(name)]
            for name in part:
                first = sharing[0] if name in sharing else name
                encoder = "encoder" if name in sharing and first == "base" else f"encoder_{first}"
                groups.setdefault(encoder, []).append(name)
        return groups

    def _shares(self, name):
        """Whether a scale may share with others that are trained together with it."""
        if name == "base":
            return self.encoder_sharing == "all" and self.encoder_shared_to > 0
        size = self.sizes[self.scale_names.index(name)]
        anything = self.encoder_sharing == "all" or self.text
        return anything and max(size) <= self.encoder_shared_to

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """`[(height, width)]` from base to target, each twice the previous one; one size for ON.

        Raises:
            UserError: as in `doubled_sizes`.
        """
        if self.variant == "ON":
            return [self.image_size]
        return doubled_sizes(self.base_size, self.image_size, self.variant)
