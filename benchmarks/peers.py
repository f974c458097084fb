"""Compares this project with TensorFlow Probability's PixelCNN++ at equal numbers of parameters.

    pip install -e '.[peers]'
    bin/benchmark peers

The peer is TensorFlow Probability's `PixelCNN`, a PixelCNN++ (Salimans et al., 2017), with its
defaults except for the width and the dropout. A training step with Adam, `log_prob` and `sample`
each run in a `tf.function`. This project's models are `OlogN` of type A and cached `ON`, at the
depths of the paper's text models, with a DMOL of as many components, and at the width that gives
the peer's number of parameters. All models see the same images. No PyTorch package with a
PixelCNN++ that samples was found, so none is compared.
"""

import machine
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import rounds
from parts.tables import add_out, markdown_table, shown_command, write_results
from parts.timing import format_spread, spread

PEER = "tfp PixelCNN++"
GOAL = 300  # OlogN's speed for one image over the peer's, at least
MODELS = {
    "OlogN, type A": {"variant": "OlogN", "upscaler": "A", "base_layers": 4},
    "ON, cached": {"variant": "ON", "base_layers": 15},
}


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = flags.Parser("benchmark peers", __doc__)
    number = {"type": flags.positive, "metavar": "N"}
    parser.add_argument("--filters", default=42, help="width of the peer (42)", **number)
    parser.add_argument("--size", default=32, help="side of the images, pixels (32)", **number)
    parser.add_argument(
        "--blocks", default=12, help="residual blocks a group of OlogN (12)", **number
    )
    parser.add_argument(
        "--batch", default=30, help="images of a step, and of a likelihood (30)", **number
    )
    parser.add_argument(
        "--many", default=4, help="images sampled at a time, beside one (4)", **number
    )
    parser.add_argument("--repeats", default=3, help="rounds (3)", **number)
    add_out(parser)
    return parser.parse(arguments)


def own_fields(name, width, options):
    """Fields of `make_run` for one of `MODELS`."""
    widths = dict.fromkeys(("base_features", "features", "head_features"), width)
    shared = {
        "preset": "large",
        "output": "dmol",
        "residual_blocks": options.blocks,
        "crop_size": 0,
    }
    return shared | MODELS[name] | widths


def matched_width(name, parameters, options):
    """The width whose number of parameters is nearest to `parameters`."""
    from ms_pixelcnn_tf.models import make_model

    def count(width):
        run = make_run(**own_fields(name, width, options), image_size=options.size)
        return int(make_model(run.model).count_params())

    low, high = 4, 1024
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= parameters else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - parameters))


def measure(options):
    """Measures every model; returns a dict for JSON, name → numbers."""
    shared = options.size, options.batch, options.many
    subject = "parts.peer_subjects"
    peer = {PEER: (f"{subject}:TfpSubject", options.filters, *shared)}
    _, facts = rounds.run(peer, 0)
    parameters = facts[PEER]["parameters"]
    widths = {name: matched_width(name, parameters, options) for name in MODELS}
    subjects = peer | {
        name: (f"{subject}:OwnSubject", own_fields(name, width, options), *shared)
        for name, width in widths.items()
    }
    times, facts = rounds.run(subjects, options.repeats)
    found = {}
    for name in subjects:
        own, slow = times[name], times[PEER]
        found[name] = {
            "parameters": facts[name]["parameters"],
            "width": widths.get(name, options.filters),
            "training_images_per_second": _rates(own, "training", options.batch),
            "likelihood_images_per_second": _rates(own, "likelihood", options.batch),
            "one_seconds": rounds.spread_of(own, "one"),
            "many_seconds": own[0]["many"],
            "one_faster": rounds.ratios(slow, own, "one"),
            "many_faster": slow[0]["many"] / own[0]["many"],
        }
    return found


def _rates(times, name, batch):
    return spread([batch / one[name] for one in times])


def main(arguments):
    """Measures, prints the page and writes `peers.md` and `peers.json`."""
    options = parse(arguments)
    machine.require_tensorflow()
    machine.require_extra("peers", "tensorflow_probability", "tf_keras")
    with flags.quiet_start():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")
    results = {
        "command": shown_command("peers", arguments),
        "machine": machine.describe()
        | {"tensorflow_probability": machine.version("tensorflow_probability")},
        "settings": {k: v for k, v in vars(options).items() if k != "out"},
        "models": measure(options),
    }
    page = markdown(results)
    print(page)
    write_results(options.out, "peers", page, results)


def markdown(results):
    """The page as Markdown."""
    settings, models = results["settings"], results["models"]
    header = (
        "model",
        "parameters",
        "training, images/s",
        "likelihood, images/s",
        "one sample, s",
        "× peer",
        f"{settings['many']} samples, s",
        "× peer",
    )
    table = [
        (
            f"{name} ({one['width']} wide)",
            f"{one['parameters'] / 1e6:.2f} M",
            format_spread(one["training_images_per_second"], 1),
            format_spread(one["likelihood_images_per_second"], 1),
            format_spread(one["one_seconds"], 3),
            format_spread(one["one_faster"], 0),
            f"{one['many_seconds']:.2f}",
            f"{one['many_faster']:,.0f}",
        )
        for name, one in models.items()
    ]
    version = results["machine"]["tensorflow_probability"]
    faster = models["OlogN, type A"]["one_faster"]
    met = "met" if faster["median"] >= GOAL else "not met"
    return "\n".join(
        [
            "# Beside other projects\n",
            f"`{results['command']}`: {machine.sentences(results['machine'])} "
            f"tensorflow-probability {version}.\n",
            f"{settings['size']}×{settings['size']} RGB, 256 levels, DMOL, batch "
            f"{settings['batch']} for training and likelihood. Medians of {settings['repeats']} "
            f"rounds (smallest–largest), compiled, tracing not counted; {settings['many']} "
            f"samples at a time were timed once. {PEER} is `tfp.distributions.PixelCNN` with its "
            "defaults but for width and dropout (0).\n",
            markdown_table(header, table),
            f"OlogN against the peer, one image: {format_spread(faster, 0)}×, goal ≥ {GOAL}×: "
            f"{met}.\n",
            "The likelihoods of the two are not compared here: that takes training both; see "
            "`bin/benchmark density` for ours.\n",
        ]
    )


if __name__ == "__main__":
    flags.run(main)
