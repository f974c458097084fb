"""Writes the conditioning report: how often samples show what their conditions ask for."""

import pathlib

import numpy as np

import machine
from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.data.batches import pipeline
from ms_pixelcnn_tf.data.procedural.shapes_scene import COLOUR_NAMES
from ms_pixelcnn_tf.drawing import contact_sheet, grids
from ms_pixelcnn_tf.generation.prompts import Names, Prompt
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.run import Run, trained_parts
from parts import detector
from parts.batches import in_batches
from parts.prompts import SPLIT, prompts
from parts.tables import markdown_table, write_results

NAME = "conditioning"
GOAL = 0.90  # of colours at their place
DETECTOR_GOAL = 0.99
BATCH = 100
READ_BACK = 200  # pictures whose colours are guessed from their likelihood
SAMPLES = 4  # per prompt, in the figure
SCALE = 3  # magnification
OUTCOMES = ("right", "exchanged", "other", "none")


def write(options, runs):
    """Measures, writes the page, its JSON and its picture; returns the page.

    Args:
        options: `workdir`, `out`, `note`, and the numbers `prompts`, `examples` and `rows`.
        runs: name → fields of its configuration; exactly one has no conditions.
    """
    folder, results, rows = pathlib.Path(options.workdir), [], []
    models = {name: Run(folder / name).model() for name in runs}
    (plain,) = [name for name in runs if not models[name].config.conditions]
    plain_nats = nats(models[plain], options.examples)
    for name, model in models.items():
        if name == plain:
            continue
        found = {"run": name, "stages": stages(folder / name)}
        found |= answers(model, options.prompts) | score(model, options.examples)
        results.append(found | {"unconditional_nats": plain_nats})
        rows.append(figure_rows(model, options.rows))
    results = {
        "machine": machine.describe(),
        "prompts": options.prompts,
        "examples": options.examples,
        "notes": options.note,
        "runs": results,
        "unconditional": stages(folder / plain),
    }
    page = markdown(results)
    write_results(options.out, NAME, page, results)
    grids.write_png(pathlib.Path(options.out) / f"{NAME}.png", np.concatenate(padded(rows)))
    return page


def stages(workdir):
    """The cost and the result of each stage of a run, from its validation curve."""
    found = []
    parts = trained_parts(workdir).items()
    for folder, run in sorted(parts, key=lambda part: _first_scale(part[1].model)):
        last = read_metrics(folder)[-1]
        found.append(
            {
                "scales": run.model.scale,
                "steps": last["step"],
                "examples": last["examples"],
                "minutes": last["seconds"] / 60,
                "processor_minutes": last["cpu_seconds"] / 60,
                "training_bits": last["train_bits"],
                "validation_bits": last["validation_bits"],
            }
        )
    return found


def _first_scale(config):
    """The number of the smallest scale that a model holds."""
    return config.scale_names.index(config.held_scales[0])


def source_of(config):
    """`shapes` in a model's image size and channels."""
    return data.load("shapes", image_size=config.image_size, channels=config.channels)


def kind_of(config):
    """The kind of map that conditions a model, in addition to captions."""
    (kind,) = [name for name in config.conditions if name != "text"]
    return kind


def answers(model, num):
    """How often samples show what held-out prompts ask for, with comparisons and controls."""
    source = source_of(model.config)
    asked = prompts(source, num, kind_of(model.config))
    usual = prompts(source, num, kind_of(model.config), "validation")
    related, usual_related = (
        prompts(source, num, kind_of(model.config), split, "relation")
        for split in (SPLIT, "validation")
    )
    real = source.examples(SPLIT, asked.indices, ("image",))["image"]
    levels = model.config.num_levels
    real = pixels.dequantise(pixels.quantise(real, levels), levels)
    own = samples(model, asked.conditions)
    captions = samples(model, asked.conditions | {"text": shifted(asked.conditions["text"])})
    of_usual, of_relations = samples(model, usual.conditions), samples(model, related.conditions)
    return {
        "detector": hits(real, asked.asked),
        "own": hits(own, asked.asked),
        "usual": hits(of_usual, usual.asked),
        "by_order": by_order(own, asked.asked),
        "usual_by_order": by_order(of_usual, usual.asked),
        "related": hits(of_relations, related.asked),
        "related_exchanged": hits(of_relations, exchanged(related.asked)),
        "usual_related": hits(samples(model, usual_related.conditions), usual_related.asked),
        "captions_of_others": hits(captions, asked.asked),
        "all_of_others": hits(np.roll(own, -1, axis=0), asked.asked),
        "chance": chance(asked.asked),
        "related_chance": chance(related.asked),
        "read_back": both_read_back(model, source, asked, SPLIT),
        "usual_read_back": both_read_back(model, source, usual, "validation"),
    }


def read_back(model, source, asked, split, which=0):
    """How often a picture is most likely under its own caption, compared with captions that name
    the same shape in each of the other colours. This tests how the model reads captions, without
    the noise of sampling.

    Args:
        asked: `Prompts` for examples of `split`.
        which: the number of a shape among those that a caption names; 0 is the main one.

    Returns:
        dict: "all" → share right by the whole likelihood; and each scale, such as "base" or
        "8to16" → share right by its terms alone.
    """
    rows = [row for row, shapes in enumerate(asked.asked) if len(shapes) > which][:READ_BACK]
    images = source.examples(split, asked.indices[rows], ("image",))["image"]
    levels = pixels.quantise(images, model.config.num_levels)
    own = np.array([asked.asked[row][which][0] for row in rows])
    found = {}  # scale → by colour, `[rows]`
    for name in COLOUR_NAMES:
        captions = [
            asked.conditions["text"][row].replace(COLOUR_NAMES[colour], name, 1)
            for row, colour in zip(rows, own, strict=True)
        ]
        given = {k: np.asarray(v)[rows] for k, v in asked.conditions.items() if k != "text"}
        for scale, log_prob in by_scale(model, levels, given | {"text": captions}).items():
            found.setdefault(scale, []).append(log_prob)
    found["all"] = np.sum(list(found.values()), axis=0)
    return {scale: float(np.mean(np.argmax(lp, axis=0) == own)) for scale, lp in found.items()}


def both_read_back(model, source, asked, split):
    """`read_back` for the main shape and for the second one."""
    return {
        shape: read_back(model, source, asked, split, which)
        for which, shape in enumerate(("main", "second"))
    }


def by_scale(model, levels, conditions):
    """log p of pictures by scale: dict, such as "base" or "8to16" → `[n]` nats."""
    found = []
    for rows in in_batches(len(levels), BATCH):
        own = {name: values[rows] for name, values in conditions.items()}
        sums = {}
        for term, log_prob in model.log_prob_terms(levels[rows], own).items():
            scale = term.split("/")[0]
            sums[scale] = sums.get(scale, 0) + np.asarray(log_prob, "float64")
        found.append(sums)
    return {scale: np.concatenate([sums[scale] for sums in found]) for scale in found[0]}


def samples(model, conditions):
    """One sample per prompt, uint8 0…255 for display."""
    num, found = len(conditions["text"]), []
    for rows in in_batches(num, BATCH):
        own = {name: values[rows] for name, values in conditions.items()}
        found.append(model.sample(rows.stop - rows.start, own, seed=rows.start))
    return pixels.dequantise(np.concatenate(found), model.config.num_levels)


def shifted(values):
    """Gives each prompt the value of the next one."""
    return [*values[1:], values[0]]


def exchanged(asked):
    """Exchanges the two colours that each prompt of related shapes asks for."""
    return [[(second[0], *first[1:]), (first[0], *second[1:])] for first, second in asked]


def shown(images, asked):
    """The colours at the places asked for, prompt by prompt, shape by shape: int64 `[n]`."""
    which = np.repeat(np.arange(len(asked)), [len(shapes) for shapes in asked])
    return detector.colour_at(images[which], [shape[1:] for shapes in asked for shape in shapes])


def hits(images, asked):
    """Shares of the shapes asked for: "right" (their place shows their colour), the same for main
    and for other shapes, and "none" (their place shows no colour); and "asked", their number."""
    rows = [(number, shape[0]) for shapes in asked for number, shape in enumerate(shapes)]
    numbers, colours = np.array(rows).T
    is_main, found = numbers == 0, shown(images, asked)
    return {
        "asked": len(rows),
        "right": float(np.mean(found == colours)),
        "right_main": float(np.mean(found[is_main] == colours[is_main])),
        "right_others": float(np.mean(found[~is_main] == colours[~is_main])),
        "none": float(np.mean(found == -1)),
    }


def by_order(images, asked):
    """The colours at the place of the n-th of several listed shapes, such as "2 of 3": dict of
    "asked", their number, and the shares of "right", "exchanged" (the colour of another shape of
    the list), "other" and "none"."""
    found, seen = {}, iter(shown(images, asked).tolist())
    for shapes in asked:
        named = [shape[0] for shape in shapes]
        for number, (colour, own) in enumerate(zip(named, seen, strict=False), start=1):
            what = "right" if own == colour else "exchanged" if own in named else "other"
            found.setdefault(f"{number} of {len(shapes)}", []).append("none" if own < 0 else what)
    return {
        order: {"asked": len(what)} | {kind: what.count(kind) / len(what) for kind in OUTCOMES}
        for order, what in sorted(found.items(), key=lambda pair: pair[0][::-1])
    }


def chance(asked):
    """The chance that a random shape of the same rank, main or other, has the colour asked for."""
    found = []
    for mains in (True, False):
        colours = [s[0] for shapes in asked for s in (shapes[:1] if mains else shapes[1:])]
        shares = np.bincount(colours, minlength=len(COLOUR_NAMES)) / max(len(colours), 1)
        found += [shares[colour] for colour in colours]
    return float(np.mean(found))


def validation(config, num):
    """The first `num` validation images as levels, with one caption each and their maps."""
    fields = ("image", *config.conditions)
    source = source_of(config)
    repeats = source.num_captions if "text" in fields else 1
    batches = pipeline.evaluation_batches(
        source,
        split="validation",
        batch_size=BATCH,
        num_levels=config.num_levels,
        fields=fields,
        limit=num,
    )
    rows = {field: [] for field in fields}
    for batch in pipeline.iterate(batches):
        for field in fields:
            rows[field].append(np.asarray(batch[field]))
    # Captions in turn: the first of the first image, the second of the second …
    chosen = np.arange(num) * repeats + np.arange(num) % repeats
    return {field: np.concatenate(values)[chosen] for field, values in rows.items()}


def nats(model, num, shift=0):
    """Mean −log p of the validation images, in nats per image, each given the conditions of the
    image `shift` places further on."""
    batch = validation(model.config, num)
    images = batch.pop("image")
    total = 0.0
    batch = {name: np.roll(values, -shift, axis=0) for name, values in batch.items()}
    for rows in in_batches(num, BATCH):
        own = {name: values[rows] for name, values in batch.items()}
        total -= float(np.sum(np.asarray(model.log_prob(images[rows], own), "float64")))
    return total / num


def score(model, num):
    """Nats per image with the images' own conditions, and with those of the next image."""
    return {"nats": nats(model, num), "nats_of_others": nats(model, num, shift=1)}


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
        maps = (
            {"keypoints": points[row]}
            if kind == "keypoints"
            else {kind: asked.conditions[kind][row]}
        )
        prompt = Prompt(text=asked.conditions["text"][row], **maps)
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


def order_table(runs):
    """The section on the colours at the place of each listed shape, as Markdown."""
    rows = [
        (
            run["run"],
            pairs,
            order,
            f"{shares['asked']}",
            *(f"{shares[kind]:.3f}" for kind in OUTCOMES),
        )
        for run in runs
        for pairs, key in (("held out", "by_order"), ("shown", "usual_by_order"))
        for order, shares in run[key].items()
    ]
    header = ("model", "pairs", "shape", "asked", *OUTCOMES)
    return (
        "\n## By order in the list\n\nWhat stands at the place of the n-th of so many shapes: its "
        "colour (right), that of another shape of the list (exchanged), another colour or none.\n\n"
    ) + markdown_table(header, rows)


def read_back_table(runs):
    """The section on colours guessed from the likelihood, as Markdown."""
    scales = list(runs[0]["read_back"]["main"])
    rows = [
        (
            run["run"],
            shape,
            f"{1 / len(COLOUR_NAMES):.3f}",
            *(
                f"{run[key][shape][scale]:.3f}"
                for key in ("read_back", "usual_read_back")
                for scale in scales
            ),
        )
        for run in runs
        for shape in ("main", "second")
    ]
    header = (
        "model",
        "shape",
        "chance",
        *(f"{pairs}: {scale}" for pairs in ("held out", "shown") for scale in scales),
    )
    return (
        "\n## Read back\n\nThe colour of a shape, guessed as the one of the "
        f"{len(COLOUR_NAMES)} whose name in the caption gives the real picture the highest "
        f"likelihood: share right, of up to {READ_BACK} pictures, held-out pairs and pairs that "
        "training shows; by the likelihood of each scale alone, and by all of it.\n\n"
    ) + markdown_table(header, rows)


def markdown(results):
    """The page as Markdown."""
    described = results["machine"]
    parts = [
        "# Do conditions condition?\n\n`bin/benchmark conditioning report`: "
        f"{machine.sentences(described)} Models of `shapes`, 32×32 RGB, 32 levels, each trained on "
        "one core.\n\n"
        f"{results['prompts']} held-out prompts a model, of split novel: each names a pair of kind "
        "and colour that no training image shows. Its caption lists all shapes of the picture with "
        'their colours ("a large red circle and a small blue square"), its maps say where they '
        "are. Beside them as many of split validation, whose pairs training shows; and as many "
        'whose captions relate two shapes ("a red circle above a blue square"). The detector looks '
        "for the asked colour at the asked place.\n\n## Asked and shown\n\n"
    ]
    rows = []
    for run in results["runs"]:
        for label, key in (
            ("the pictures described (detector's own accuracy)", "detector"),
            ("samples", "own"),
            ("samples for pairs that training shows", "usual"),
            ("samples for captions that relate", "related"),
            ("the same, held against the two colours exchanged", "related_exchanged"),
            ("samples for captions that relate, pairs that training shows", "usual_related"),
            ("control: captions of other prompts", "captions_of_others"),
            ("control: all conditions of other prompts", "all_of_others"),
        ):
            found = run[key]
            target = {
                "detector": f"≥ {DETECTOR_GOAL:.2f}",
                "own": f"≥ {GOAL:.2f}",
                "related": f"≥ {GOAL:.2f}; chance {run['related_chance']:.2f}",
                "captions_of_others": f"chance {run['chance']:.2f}",
            }.get(key, "")
            shares = [f"{found[k]:.3f}" for k in ("right", "right_main", "right_others", "none")]
            rows.append((run["run"], label, *shares, target))
    header = (
        "model",
        "what was read",
        "right",
        "main shape",
        "other shapes",
        "no shape there",
        "target",
    )
    parts.append(markdown_table(header, rows))
    asked, usual, related = (
        results["runs"][0][kind]["asked"] for kind in ("own", "usual", "related")
    )
    parts.append(
        f"\nRight: of {asked} shapes ({usual} of validation, {related} of captions that relate) "
        "whose colour the captions name, the share whose place shows it. Chance: how often another "
        "prompt's shape, main or other, has the same colour.\n"
    )
    parts += [f"\n{note}\n" for note in results["notes"]]
    parts += [order_table(results["runs"]), read_back_table(results["runs"])]
    parts.append(
        f"\n## Nats\n\nMean −log p, nats an image, over {results['examples']} validation images, "
        "one caption each.\n\n"
    )
    rows = [
        (
            run["run"],
            *(f"{run[key]:.1f}" for key in ("nats", "nats_of_others", "unconditional_nats")),
            f"{run['unconditional_nats'] - run['nats']:+.1f}",
        )
        for run in results["runs"]
    ]
    header = ("model", "own conditions", "conditions of others", "model without", "gain")
    parts += [markdown_table(header, rows), "\n## Training\n\n"]
    named = [(run["run"], run["stages"]) for run in results["runs"]]
    named.append(("unconditional", results["unconditional"]))
    rows = [
        (
            name,
            stage["scales"],
            f"{stage['steps']:,}",
            f"{stage['examples']:,}",
            f"{stage['minutes']:.1f}",
            f"{stage['processor_minutes']:.1f}",
            f"{stage['training_bits']:.3f}",
            f"{stage['validation_bits']:.3f}",
        )
        for name, found in named
        for stage in found
    ]
    header = (
        "model",
        "scales",
        "steps",
        "images seen",
        "minutes",
        "of processor",
        "training, bits",
        "validation, bits",
    )
    parts += [
        markdown_table(header, rows),
        "\n![prompts, pyramids and samples](conditioning.png)\n\nEach row: the prompt, the "
        "pyramid of one sample, and further samples.\n",
    ]
    return "".join(parts)
