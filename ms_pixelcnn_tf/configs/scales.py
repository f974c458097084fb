"""A mixin for configurations of models that may hold only some of their scales."""

import itertools

from ms_pixelcnn_tf.configs.checks import unknown
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size


class HeldScales:
    """Mixin for a configuration with the field `scale` (see its help) and the property `sizes`."""

    scale: str

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """`[(height, width)]` from the smallest scale to the largest."""
        raise NotImplementedError

    def check_scale(self) -> None:
        """Checks `scale`, then sorts the scales in each part and the parts by their smallest scale.

        Raises:
            UserError: for an unknown scale, or a scale in two parts.
        """
        if self.scale == "all":
            return
        parts = [part.split(",") for part in self.scale.split(";")]
        for name in itertools.chain(*parts):
            if name not in self.scale_names:
                raise unknown("scale", name, ("all", *self.scale_names))
        for name in self.scale_names:
            if sum(name in part for part in parts) > 1:
                raise UserError(f"scale is {self.scale}, two parts of which hold {name}; one may")
        parts = [[name for name in self.scale_names if name in part] for part in parts]
        parts.sort(key=lambda part: self.scale_names.index(part[0]))
        scale = "all" if parts == [list(self.scale_names)] else ";".join(map(",".join, parts))
        object.__setattr__(self, "scale", scale)

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Names of the scales: "base", then the larger size of each upscaling: "16" or "16x24"."""
        return ("base", *(format_size(size) for size in self.sizes[1:]))

    @property
    def scale_parts(self) -> tuple[tuple[str, ...], ...]:
        """The held scales, one tuple per part trained together: `(("base", "8"), ("16",))`."""
        if self.scale == "all":
            return (self.scale_names,)
        return tuple(tuple(part.split(",")) for part in self.scale.split(";"))

    @property
    def held_scales(self) -> tuple[str, ...]:
        """Names of the scales that the model holds."""
        held = set(itertools.chain(*self.scale_parts))
        return tuple(name for name in self.scale_names if name in held)

    @property
    def missing_scales(self) -> tuple[str, ...]:
        """Names of the scales that the model does not hold."""
        return tuple(name for name in self.scale_names if name not in self.held_scales)
