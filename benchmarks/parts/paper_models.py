"""The models of the speed benchmarks, by default as wide as the paper's."""


def add_flags(parser):
    """Adds the flags that `fields` reads to a `Parser`."""
    parser.number("--base", 8, "side of OlogN's base, pixels")
    parser.number("--width", 128, "features of every layer")
    parser.number("--blocks", 12, "residual blocks a group")
    parser.number("--layers", 4, "gated layers of OlogN's base and B's decoder")
    parser.number("--on_layers", 15, "gated layers of ON")


def fields(options, variant, size, **own):
    """Fields of `make_run` for an `ON` or `OlogN` of images of side `size`, and those in `own`."""
    base = {"base_layers": options.on_layers}
    if variant != "ON":
        base = {"base_layers": options.layers, "base_size": options.base}
    widths = ("base_features", "features", "head_features", "decoder_features")
    depths = {"residual_blocks": options.blocks, "decoder_layers": options.layers}
    shared = {"preset": "large", "variant": variant, "image_size": size}
    return shared | dict.fromkeys(widths, options.width) | depths | base | own


def video_fields(options, variant, **own):
    """The same for a model of videos, with the widths of `--preset`."""
    return {
        "preset": options.preset,
        "dataset": "shapes_push",
        "variant": variant,
        "image_size": options.video_size,
        "num_frames": options.frames,
    } | own
