"""The sampling benchmark's numbers as Markdown."""

import machine
from parts.tables import markdown_table
from parts.timing import format_spread

NAMES = {"A": "OlogN, type A", "B": "OlogN, type B", "ON": "ON, cached"}
RATIO_TARGETS = {"A": 1.3, "B": 1.8, "ON": 1.8}  # sampling time / likelihood time, at most
SPEED_UP_TARGET = 1000  # of OlogN over naive ON, at least
TRAINING_TARGET = 0.5  # of the convolution ceiling, at least


def markdown(results):
    """The whole page from what `sampling.measure_all` returns and the command."""
    settings, models = results["settings"], results["models"]
    naive = [model for model in models if "naive_sampling_seconds" in model]
    return "\n".join(
        [
            "# Sampling and training time\n",
            f"`{results['command']}`: {machine.sentences(results['machine'])}\n",
            f"Batch {settings['batch']}, {settings['size']}×{settings['size']} RGB, 256 levels, "
            f"{settings['width']} features. OlogN: base {settings['base']}×{settings['base']} with "
            f"{settings['layers']} gated layers, {settings['blocks']} residual blocks a group, "
            f"type B with a decoder of {settings['layers']} gated layers on 4×4 patches. ON: "
            f"{settings['on_layers']} gated layers. Seconds are of one whole batch: median of "
            f"{settings['repeats']} rounds (smallest–largest), compiled, tracing not counted.\n",
            "## Sampling beside one evaluation of the likelihood\n",
            _ratios(models),
            "Nobody can sample without evaluating the factors once: the floor of the ratio is "
            "1.0.\n",
            "## Sampling beside ON\n",
            _speed_ups(models),
            "\n".join(_naive_sentence(model) for model in naive),
            "## Training\n",
            _training(models),
            "A step's operations are 3 × those of the likelihood, which `bin/benchmark flops` "
            "counts; the ceiling is that of 3×3 convolutions, above.\n",
        ]
    )


def _ratios(models):
    return markdown_table(
        ["model", "output", "likelihood, s", "sampling, s", "ratio", "target", "tracing, s"],
        [
            [
                *_names(model),
                format_spread(model["likelihood_seconds"]),
                format_spread(model["sampling_seconds"]),
                format_spread(model["sampling_over_likelihood"]),
                f"≤ {RATIO_TARGETS[model['model']]}",
                " + ".join(f"{model['trace_seconds'][k]:.1f}" for k in ("likelihood", "sampling")),
            ]
            for model in models
        ],
    )


def _speed_ups(models):
    return markdown_table(
        ["model", "output", "× naive ON", "target", "× cached ON"],
        [
            [
                *_names(model),
                format_spread(model["speed_up_over_naive_on"], 0),
                "" if model["model"] == "ON" else f"≥ {SPEED_UP_TARGET:,}",
                format_spread(model["speed_up_over_cached_on"], 1),
            ]
            for model in models
        ],
    )


def _naive_sentence(model):
    return (
        f"Naive ON, {model['output']}: {format_spread(model['naive_sampling_seconds'], 0)} s, "
        f"extrapolated from {model['naive_evaluations_timed']} evaluations of the network a round "
        f"to the {model['naive_evaluations_needed']:,} that it takes.\n"
    )


def _training(models):
    return markdown_table(
        ["model", "output", "parameters", "GFLOP an image", "images/s", "of the ceiling", "target"],
        [
            [
                _names(model)[0].removesuffix(", cached"),
                model["output"],
                f"{model['parameters'] / 1e6:.2f} M",
                f"{model['flops_per_image'] / 1e9:.2f}",
                format_spread(model["training_images_per_second"], 1),
                format_spread(model["training_fraction_of_ceiling"]),
                f"≥ {TRAINING_TARGET}",
            ]
            for model in models
        ],
    )


def _names(model):
    return [NAMES[model["model"]], model["output"]]
