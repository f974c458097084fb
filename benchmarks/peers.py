"""Compares this project with TensorFlow Probability's PixelCNN++ at equal numbers of parameters.

    pip install -e '.[peers]'
    bin/benchmark peers

The peer is TensorFlow Probability's `PixelCNN`, a PixelCNN++ (Salimans et al., 2017), with its
defaults except for the width and the dropout. This project's models are `OlogN` of type A and
cached `ON`, at the depths of the paper's text models, with a DMOL of as many components, and at the
width that gives the peer's number of parameters.
"""

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import machine, rounds
from parts.pages import goals_table, publish, table
from parts.parser import Parser
from parts.rounds import format_spread, spread

PEER = "tfp PixelCNN++"
MODELS = {
    "OlogN, type A": {"variant": "OlogN", "upscaler": "A", "base_layers": 4},
    "ON, cached": {"variant": "ON", "base_layers": 15},
}


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = Parser("peers", __doc__)
    parser.number("--filters", 42, "width of the peer")
    parser.number("--size", 32, "side of the images, pixels")
    parser.number("--blocks", 12, "residual blocks a group of OlogN")
    parser.number("--batch", 30, "images of a step, and of a likelihood")
    parser.number("--many", 4, "images sampled at a time, besides one")
    parser.number("--repeats", 3, "rounds")
    return parser.parse(arguments)


def own_fields(name, width, options):
    """Fields of `make_run` for one of `MODELS`."""
    shared = {
        "preset": "large",
        "output": "dmol",
        "image_size": options.size,
        "residual_blocks": options.blocks,
        "crop_size": 0,
        "batch_size": options.batch,
        "optimizer": "adam",
        "learning_rate": 1e-3,
    }
    widths = dict.fromkeys(("base_features", "features", "head_features"), width)
    return shared | MODELS[name] | widths


def matched_width(name, parameters, options):
    """The width whose number of parameters is nearest to `parameters`."""
    from ms_pixelcnn_tf.models import make_model

    def count(width):
        run = make_run(**own_fields(name, width, options))
        return int(make_model(run.model).count_params())

    low, high = 4, 1024
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= parameters else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - parameters))


def measure(options):
    """Measures every model: dict name → numbers."""
    subject, many = "parts.peer_subjects", options.many
    peer = {PEER: (f"{subject}:TfpSubject", options.filters, options.size, options.batch, many)}
    _, facts = rounds.run(peer, 0)
    parameters = facts[PEER]["parameters"]
    widths = {name: matched_width(name, parameters, options) for name in MODELS}
    own = {
        name: (f"{subject}:OwnSubject", own_fields(name, width, options), many)
        for name, width in widths.items()
    }
    times, facts = rounds.run(peer | own, options.repeats)
    slow, found = times[PEER], {}
    for name, each in times.items():
        found[name] = facts[name] | {
            "width": widths.get(name, options.filters),
            "training": spread([options.batch / one["training"] for one in each]),
            "likelihood": spread([options.batch / one["likelihood"] for one in each]),
            "one_seconds": rounds.spread_of(each, "one"),
            "one_faster": rounds.ratios(slow, each, "one"),
            "many_seconds": each[0]["many"],
            "many_faster": slow[0]["many"] / each[0]["many"],
        }
    return found


def main(arguments):
    """Measures, and writes the page `peers`."""
    options = parse(arguments)
    machine.start_tensorflow()
    machine.require_extra("peers", "tensorflow_probability", "tf_keras")
    version = machine.version("tensorflow_probability")
    results = {"tensorflow_probability": version, "models": measure(options)}
    publish(options, "peers", "Comparison with other projects", results, body)


def body(results):
    """The page's paragraphs."""
    settings, models = results["settings"], results["models"]
    many = settings["many"]
    columns = [
        ("model", lambda one: f"{one[0]} ({one[1]['width']} wide)"),
        ("parameters", lambda one: f"{one[1]['parameters'] / 1e6:.2f} M"),
        ("training, images/s", lambda one: format_spread(one[1]["training"], 1)),
        ("likelihood, images/s", lambda one: format_spread(one[1]["likelihood"], 1)),
        ("one sample, s", lambda one: format_spread(one[1]["one_seconds"], 3)),
        ("× peer", lambda one: format_spread(one[1]["one_faster"], 0)),
        (f"{many} samples, s", lambda one: f"{one[1]['many_seconds']:.2f}"),
        ("× peer", lambda one: f"{one[1]['many_faster']:,.0f}"),
    ]
    faster = format_spread(models["OlogN, type A"]["one_faster"], 0)
    return [
        f"{settings['size']}×{settings['size']} RGB, 256 levels, DMOL, batch {settings['batch']} "
        f"for training and likelihood. Medians of {settings['repeats']} rounds (smallest–largest), "
        f"compiled, tracing not counted; {many} samples at a time were timed once. {PEER} is "
        f"`tfp.distributions.PixelCNN` {results['tensorflow_probability']} with its defaults "
        "except for width and dropout (0).",
        table(columns, models.items()),
        goals_table([("OlogN against the peer, one image", "≥ 300×", faster)]),
        "The likelihoods of the two are not compared here: that takes training both; see "
        "`bin/benchmark density` for ours.",
    ]


if __name__ == "__main__":
    flags.run(main)
