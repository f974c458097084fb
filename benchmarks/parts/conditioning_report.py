"""Writes the conditioning report: how often samples show what their conditions ask for."""

import pathlib

import numpy as np

from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.data.procedural.shapes_scene import COLOUR_NAMES
from ms_pixelcnn_tf.drawing import contact_sheet, grids
from ms_pixelcnn_tf.generation.prompts import Names, Prompt
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.scales import trained_parts
from parts import detector
from parts.pages import publish, table
from parts.prompts import SPLIT, prompts
from parts.scores import in_batches, mean_nats

BATCH = 100
SAMPLES = 4  # per prompt, in the figure
SCALE = 3  # magnification
READINGS = {  # key of `answers` → what was read
    "detector": "the pictures described (detector's own accuracy)",
    "own": "samples",
    "usual": "samples for pairs that training shows",
    "related": "samples for captions that relate",
    "related_exchanged": "the same, compared with the two colours exchanged",
    "usual_related": "samples for captions that relate, pairs that training shows",
    "captions_of_others": "control: captions of other prompts",
    "all_of_others": "control: all conditions of other prompts",
}


SHARES = {"right": "right", "right_main": "main", "right_others": "others", "none": "no shape"}


def write(options, runs):
    """Measures, and writes the page `conditioning` and its picture.

    Args:
        options: `workdir`, `out`, and the numbers `prompts`, `examples` and `rows`.
        runs: names of the runs; exactly one has no conditions.
    """
    folder = pathlib.Path(options.workdir)
    models = {name: Run(folder / name).model() for name in runs}
    minutes = {name: processor_minutes(folder / name) for name in runs}
    (plain,) = [name for name in runs if not models[name].config.conditions]
    plain_nats, found, rows = nats(models.pop(plain), options.examples), [], []
    for name, model in models.items():
        own = {
            "run": name,
            "nats": nats(model, options.examples),
            "nats_of_others": nats(model, options.examples, shift=1),
            "unconditional_nats": plain_nats,
        }
        found.append(own | answers(model, options.prompts))
        rows.append(figure_rows(model, options.rows))
    results = {"runs": found, "minutes": minutes}
    publish(options, "conditioning", "Do conditions condition?", results, body)
    grids.write_png(pathlib.Path(options.out) / "conditioning.png", np.concatenate(padded(rows)))


def processor_minutes(workdir):
    """The processor time of a run, whose scales may be trained apart, in minutes."""
    last = [read_metrics(folder)[-1] for folder in trained_parts(workdir)]
    return sum(record["cpu_seconds"] for record in last) / 60


def source_of(config):
    """`shapes` in a model's image size and channels."""
    return data.load("shapes", image_size=config.image_size, channels=config.channels)


def kind_of(config):
    """The kind of map that conditions a model, in addition to captions."""
    (kind,) = [name for name in config.conditions if name != "text"]
    return kind


def answers(model, num):
    """How often samples show what held-out prompts ask for, with comparisons and controls."""
    source, kind = source_of(model.config), kind_of(model.config)
    asked = prompts(source, num, kind)
    usual = prompts(source, num, kind, "validation")
    related = prompts(source, num, kind, SPLIT, "relation")
    usual_related = prompts(source, num, kind, "validation", "relation")
    real = source.examples(SPLIT, asked.indices, ("image",))["image"]
    levels = model.config.num_levels
    real = pixels.dequantise(pixels.quantise(real, levels), levels)
    own, of_relations = (samples(model, each.conditions) for each in (asked, related))
    texts = asked.conditions["text"]
    captions = samples(model, asked.conditions | {"text": [*texts[1:], texts[0]]})
    return {
        "detector": hits(real, asked.asked),
        "own": hits(own, asked.asked),
        "usual": hits(samples(model, usual.conditions), usual.asked),
        "related": hits(of_relations, related.asked),
        "related_exchanged": hits(of_relations, exchanged(related.asked)),
        "usual_related": hits(samples(model, usual_related.conditions), usual_related.asked),
        "captions_of_others": hits(captions, asked.asked),
        "all_of_others": hits(np.roll(own, -1, axis=0), asked.asked),
        "chance": chance(asked.asked),
        "related_chance": chance(related.asked),
    }


def samples(model, conditions):
    """One sample per prompt, uint8 0…255 for display."""
    num, found = len(conditions["text"]), []
    for rows in in_batches(num, BATCH):
        own = {name: values[rows] for name, values in conditions.items()}
        found.append(model.sample(rows.stop - rows.start, own, seed=rows.start))
    return pixels.dequantise(np.concatenate(found), model.config.num_levels)


def exchanged(asked):
    """Exchanges the two colours that each prompt of related shapes asks for."""
    return [[(second[0], *first[1:]), (first[0], *second[1:])] for first, second in asked]


def hits(images, asked):
    """Shares of the shapes asked for: "right" (their place shows their colour), the same for main
    and for other shapes, and "none" (their place shows no colour); and "asked", their number."""
    rows = [
        (which, number, *shape)
        for which, shapes in enumerate(asked)
        for number, shape in enumerate(shapes)
    ]
    which, numbers, colours, *places = np.array(rows).T
    is_main = numbers == 0
    found = detector.colour_at(images[which.astype(int)], np.stack(places, axis=1))
    return {
        "asked": len(rows),
        "right": float(np.mean(found == colours)),
        "right_main": float(np.mean(found[is_main] == colours[is_main])),
        "right_others": float(np.mean(found[~is_main] == colours[~is_main])),
        "none": float(np.mean(found == -1)),
    }


def chance(asked):
    """The chance that a random shape of the same rank, main or other, has the colour asked for."""
    found = []
    for mains in (True, False):
        colours = [s[0] for shapes in asked for s in (shapes[:1] if mains else shapes[1:])]
        shares = np.bincount(colours, minlength=len(COLOUR_NAMES)) / max(len(colours), 1)
        found += [shares[colour] for colour in colours]
    return float(np.mean(found))


def nats(model, num, shift=0):
    """Mean −log p of validation images, in nats per image, each given the conditions of the image
    `shift` places further on."""
    config, source = model.config, source_of(model.config)
    kind = kind_of(config) if config.conditions else "text"
    asked = prompts(source, num, kind, "validation")
    images = source.examples("validation", asked.indices, ("image",))["image"]
    given = {name: np.roll(asked.conditions[name], -shift, axis=0) for name in config.conditions}
    if "text" in given:
        given["text"] = given["text"].tolist()
    return mean_nats(model, pixels.quantise(images, config.num_levels), given, BATCH)


def figure_rows(model, num):
    """Draws a row per prompt: the prompt, the pyramid of one sample, and further samples."""
    source, config = source_of(model.config), model.config
    kind = kind_of(config)
    asked = prompts(source, num, kind)
    repeated = {
        name: np.repeat(np.asarray(v), SAMPLES, axis=0) for name, v in asked.conditions.items()
    }
    repeated["text"] = repeated["text"].tolist()
    found = model.sample(num * SAMPLES, repeated, seed=0)
    scales = [pixels.dequantise(scale, config.num_levels) for scale in model.trajectory(found)]
    points = source.examples(SPLIT, asked.indices, ("keypoints",))["keypoints"]
    names = Names((), source.keypoint_names, source.class_names)
    panels, drawn = [], []
    for row in range(num):
        shown_map = points[row] if kind == "keypoints" else asked.conditions[kind][row]
        prompt = Prompt(text=asked.conditions["text"][row], **{kind: shown_map})
        panels.append(contact_sheet.panel(prompt, names, config.image_size, 40 * SCALE))
        own = slice(row * SAMPLES, (row + 1) * SAMPLES)
        pyramid = grids.trajectory([scale[own][:1] for scale in scales], SCALE)
        others = grids.grid(scales[-1][own][1:], SAMPLES - 1, SCALE)
        drawn.append(np.concatenate([pyramid, others], axis=1))
    return contact_sheet.beside(panels, drawn)


def padded(pictures_):
    """Pads pictures to the width of the widest."""
    width = max(picture.shape[1] for picture in pictures_)
    return [
        np.pad(p, ((0, 8), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in pictures_
    ]


def body(results):
    """The page's paragraphs."""
    runs, settings = results["runs"], results["settings"]
    asked, usual, related = (runs[0][kind]["asked"] for kind in ("own", "usual", "related"))
    readings = [
        ("model", lambda row: row[0]["run"]),
        ("what was read", lambda row: READINGS[row[1]]),
        *((head, lambda row, k=key: f"{row[0][row[1]][k]:.3f}") for key, head in SHARES.items()),
        ("goal", lambda row: _goal(*row)),
    ]
    likelihoods = [
        ("model", lambda run: run["run"]),
        ("own conditions", lambda run: f"{run['nats']:.1f}"),
        ("conditions of others", lambda run: f"{run['nats_of_others']:.1f}"),
        ("model without", lambda run: f"{run['unconditional_nats']:.1f}"),
        ("gain", lambda run: f"{run['unconditional_nats'] - run['nats']:+.1f}"),
    ]
    minutes = ", ".join(f"{name} {found:.1f}" for name, found in results["minutes"].items())
    return [
        "Models of `shapes`, 32×32 RGB, 32 levels, each trained on one core.",
        f"{settings['prompts']} held-out prompts a model, of split novel: each names a pair of "
        "kind and colour that no training image shows. Its caption lists all shapes of the picture "
        'with their colours ("a large red circle and a small blue square"), its maps say where '
        "they are. For comparison, as many of split validation, whose pairs training shows; and as "
        'many whose captions relate two shapes ("a red circle above a blue square"). The detector '
        "looks for the requested colour at the requested place.",
        "## Asked and shown",
        table(readings, [(run, key) for run in runs for key in READINGS]),
        f"Right: of {asked} shapes ({usual} of validation, {related} of captions that relate) "
        "whose colour the captions name, the share whose place shows it. Chance: how often another "
        "prompt's shape, main or other, has the same colour.",
        "## Nats",
        f"Mean −log p, nats an image, over {settings['examples']} validation images, each with a "
        "caption that lists its shapes.",
        table(likelihoods, runs),
        f"Processor minutes of training: {minutes}.",
        "![prompts, pyramids and samples](conditioning.png)",
        "Each row: the prompt, the pyramid of one sample, and further samples.",
    ]


def _goal(run, key):
    """The goal of a reading, and the share to expect by chance."""
    return {
        "detector": "≥ 0.99",
        "own": "≥ 0.90",
        "related": f"≥ 0.90; chance {run['related_chance']:.2f}",
        "captions_of_others": f"chance {run['chance']:.2f}",
    }.get(key, "")
