"""The image models of the speed benchmarks, by default as wide as the paper's text models."""


def add_flags(parser, number):
    """Adds the flags that `fields` reads; `number` holds the options that they share."""
    parser.add_argument("--base", default=8, help="side of OlogN's base, pixels (8)", **number)
    parser.add_argument("--width", default=128, help="features of every layer (128)", **number)
    parser.add_argument("--blocks", default=12, help="residual blocks a group (12)", **number)
    parser.add_argument(
        "--layers", default=4, help="gated layers of OlogN's base and B's decoder (4)", **number
    )
    parser.add_argument("--on_layers", default=15, help="gated layers of ON (15)", **number)


def fields(options, variant, size, **own):
    """Fields of `make_run` for an `ON` or `OlogN` of images of side `size`, and those in `own`."""
    if variant == "ON":
        base = {"base_layers": options.on_layers}
    else:
        base = {"base_layers": options.layers, "base_size": options.base}
    return (
        {
            "preset": "large",
            "variant": variant,
            "image_size": size,
            "base_features": options.width,
            "features": options.width,
            "head_features": options.width,
            "decoder_features": options.width,
            "residual_blocks": options.blocks,
            "decoder_layers": options.layers,
        }
        | base
        | own
    )
