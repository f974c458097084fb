"""Writes the video report: Table 2, the effect of the actions, and whether pushes move objects."""

import pathlib

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.data.procedural import raster
from ms_pixelcnn_tf.data.procedural.shapes_push import SEEN_CAMERA
from ms_pixelcnn_tf.drawing import film, grids
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.runs.run import Run
from parts.pages import markdown_table, publish, shown, table
from parts.scores import in_batches, mean_nats

SPLITS = ("train", "validation", "test_seen", "test_novel")
# Table 2: nats per sub-pixel on SPLITS; None where the paper has no number.
PAPER = {
    "OT_baseline": (None, 2.06, 2.08, 2.07),
    "OTN": (None, 0.62, 0.64, 0.64),
    "OT": (1.03, 1.04, 1.04, 1.04),
    "OTlogN": (0.74, 0.74, 1.06, 0.97),
}
NONE = (None,) * len(SPLITS)
ORDER = ("OTN", "OTlogN", "OT", "OT_baseline")  # as the paper has them, best first
BATCH = 10
SWAPPED = {"actions": ("actions",), "actions and states": ("actions", "states")}
PUSHED = 0.35  # displacement of an object that counts as a push, table units
PUSH_KINDS = {"real_": "real", "copied_": "frame before", "ahead_": "a frame ahead", "": "samples"}
PUSH_PLACES = {"at_front": "front", "at_push": "moved", "at_end": "end"}
EDGE = 0.7  # place ahead of an object's centre, near its front edge, in radii
SCALE = 3
AUGMENTED = "-augmented"  # ends the name of a run that differs from another by augmentation


def write(options, runs):
    """Measures, and writes the page `video` and the film strip.

    Args:
        options: `workdir`, `out`, and the numbers `examples`, `pushes` and `rows`.
        runs: names of the runs.
    """
    found, models = {}, {}
    for name in runs:
        run = Run(pathlib.Path(options.workdir) / name)
        model, last = run.model(), run.curve[-1]
        source = data.load(
            "shapes_push", image_size=model.config.image_size, num_frames=model.config.num_frames
        )
        found[name] = {
            "parameters": int(model.count_params()),
            "past_samples": run.config.train.past_samples,
            "steps": last["step"],
            "clips": last["examples"],
            "cpu_minutes": last["cpu_seconds"] / 60,
            "nats": {
                split: evaluate(model, source, split, BATCH, options.examples).nats_per_dim
                for split in SPLITS
            },
            "nats_of_others": {
                kind: swapped(model, source, options.examples, fields)
                for kind, fields in SWAPPED.items()
            },
            "pushes": pushes(model, source, options.pushes),
        }
        if name in PAPER:
            models[name] = model
    results = {"description": source.description, "runs": found}
    publish(options, "video", "Video: Table 2 on shapes_push", results, body)
    picture = strip(models, source, options.rows)
    grids.write_png(pathlib.Path(options.out) / "video.png", picture)


def clips_of(model, source, indices):
    """Clips of test_seen: frames as levels, and conditions."""
    clips = source.examples("test_seen", indices, ("frames", *model.config.conditions))
    return pixels.quantise(clips.pop("frames"), model.config.num_levels), clips


def swapped(model, source, num, fields):
    """Nats per sub-pixel of test_seen, each clip scored with some fields of the next clip.

    A clip keeps its own states up to the last given frame, and its own actions before that frame.

    Args:
        fields: the fields to swap, of "actions" and "states".
    """
    frames, clips = clips_of(model, source, np.arange(num))
    given, conditions = model.config.given_frames, dict(clips)
    for field, first in (("actions", given - 1), ("states", given)):
        if field in fields and field in clips:
            others = np.roll(clips[field], -1, axis=0)
            conditions[field] = np.concatenate([clips[field][:, :first], others[:, first:]], axis=1)
    return mean_nats(model, frames, conditions, BATCH) / sum(model.term_dims.values())


def pushes(model, source, num):
    """Tests whether objects that the arm pushed move in the samples.

    Takes clips of test_seen in which an object moves by PUSHED or more after the given frames, and
    gives the model their given frames, actions and states. Then looks for the object's colour:

    * "at_front": near its front edge, in the frame in which it moves most;
    * "at_push": around its true place, in the first frame in which it has moved by PUSHED;
    * "at_end": around its true place, in the last frame.

    Returns:
        dict: "objects", their number, and for each place the share of the frames that show the
        colour there: "at_front", … of the samples; "real_at_front", … of the real frames;
        "ahead_at_front", … of samples one frame ahead, given all true frames before; and
        "copied_at_front", … of the frame before, in place of such a sample.
    """
    given = model.config.given_frames
    wanted = pushed_clips(source, given, num)
    frames, clips = clips_of(model, source, [index for index, *_ in wanted])
    sampled, ahead = [], []
    a_frame_ahead = tf.function(model.sampled_past, autograph=False)
    for rows in in_batches(len(wanted), BATCH):
        own = {name: values[rows] for name, values in clips.items()}
        sampled.append(model.sample(frames[rows, :given], own, seed=rows.start))
        drawn = np.random.default_rng(rows.start).random(frames[rows, None].shape, dtype="float32")
        chosen = np.ones(drawn.shape[:3], bool)
        ahead.append(a_frame_ahead(frames[rows], drawn, chosen, own).numpy().astype("uint8"))
    sampled = np.concatenate([frames[:, :given], np.concatenate(sampled)], axis=1)
    found = {"objects": len(wanted)}
    shown_clips = {
        "real_": frames,
        "copied_": np.roll(frames, 1, axis=1),
        "ahead_": np.concatenate(ahead),
        "": sampled,
    }
    for prefix, levels in shown_clips.items():
        clips = pixels.dequantise(levels, model.config.num_levels)
        shown = {place: [] for place in PUSH_PLACES}
        for clip, (index, which, pushed) in zip(clips, wanted, strict=True):
            episode = source.episode("test_seen", index)
            path = episode.positions[:, which]
            fastest, front = front_of(path, episode.objects[which].radius, given)
            for name, seen, place, reach in (
                ("at_front", fastest, front, 0),
                ("at_push", pushed, path[pushed], 0.5),
                ("at_end", -1, path[-1], 0.5),
            ):
                shown[name].append(shows(clip[seen], episode.objects[which], place, reach))
        found |= {prefix + place: float(np.mean(values)) for place, values in shown.items()}
    return found


def pushed_clips(source, given, num):
    """The first clips of test_seen in which an object moves by PUSHED or more after the given
    frames: (index of the clip, number of the object, first frame in which it has moved so far)."""
    found = []
    for index in range(source.size("test_seen")):
        positions = source.episode("test_seen", index).positions
        moved = np.linalg.norm(positions - positions[given - 1], axis=-1)
        moved[:given] = 0
        if len(found) == num:
            break
        if moved[-1].max() >= PUSHED:
            which = int(moved[-1].argmax())
            found.append((index, which, int((moved[:, which] >= PUSHED).argmax())))
    return found


def front_of(path, radius, given):
    """The frame after the given ones in which an object moves most, and the place on the table near
    its front edge in that frame.

    Args:
        path: `[T, 2]`, its place in each frame.
        radius: of the object.
        given: number of given frames.
    """
    moves = np.diff(path, axis=0)[given - 1 :]
    lengths = np.linalg.norm(moves, axis=1)
    most = int(lengths.argmax())
    return given + most, path[given + most] + EDGE * radius * moves[most] / lengths[most]


def shows(image, thing, place, reach=0.5):
    """Whether an image shows the colour of an object around a place on the table, within `reach`
    times its radius and at least within a pixel; False if that is off the picture."""
    height, width = image.shape[:2]
    pixels_a_unit = min(height, width) / SEEN_CAMERA.view  # the seen camera is not turned
    place = (place - np.array(SEEN_CAMERA.centre)) * pixels_a_unit
    column, row = place + np.array([width, height]) / 2
    radius = max(1.0, reach * thing.radius * pixels_a_unit)
    rows, columns = np.mgrid[:height, :width] + 0.5
    near = np.hypot(rows - row, columns - column) <= radius
    if not near.any():
        return False
    colours = list(raster.COLOURS)
    shades = np.array(list(raster.COLOURS.values()))
    mean = image[near].reshape(-1, 3).mean(0).astype("float64")
    # The direction of a colour does not depend on the light.
    cosines = shades @ mean / (np.linalg.norm(shades, axis=1) * max(np.linalg.norm(mean), 1e-9))
    return colours[int(cosines.argmax())] == thing.colour


def strip(models, source, num):
    """A film strip of clips of test_seen in which an object is pushed: each real clip, and how each
    model continues its first frames.

    Args:
        models: name → model, of frames of one size.
    """
    model = next(iter(models.values()))
    given = model.config.given_frames
    rows = [index for index, *_ in pushed_clips(source, given, num)]
    frames, clips = clips_of(model, source, rows)
    shown = [frames] + [
        np.concatenate([frames[:, :given], model.sample(frames[:, :given], clips, seed=1)], axis=1)
        for model in models.values()
    ]
    shown = pixels.dequantise(np.stack(shown, axis=1), model.config.num_levels)
    return film.strip(shown, ("real", *models), given, SCALE, every=2)


def body(results):
    """The page's paragraphs."""
    runs = results["runs"]
    order = sorted((n for n in runs if n in PAPER), key=lambda n: runs[n]["nats"]["test_seen"])
    name_column = ("variant", lambda name: name)
    nats = [
        name_column,
        *((split, lambda name, s=split: f"{runs[name]['nats'][s]:.3f}") for split in SPLITS),
        *(
            (f"paper: {split}", lambda name, i=i: shown(PAPER.get(name, NONE)[i], ".2f"))
            for i, split in enumerate(SPLITS)
        ),
    ]
    others = [
        name_column,
        ("own", lambda name: f"{runs[name]['nats']['test_seen']:.3f}"),
        *(
            (f"others' {kind}", lambda name, k=kind: f"{runs[name]['nats_of_others'][k]:.3f}")
            for kind in SWAPPED
        ),
        *((f"worse by, {kind}", lambda name, k=kind: _worse(runs[name], k)) for kind in SWAPPED),
    ]
    pushed = [
        name_column,
        ("objects", lambda name: runs[name]["pushes"]["objects"]),
        *(
            (
                f"{PUSH_KINDS[kind]}: {PUSH_PLACES[place]}",
                lambda name, key=kind + place: f"{runs[name]['pushes'][key]:.2f}",
            )
            for kind in PUSH_KINDS
            for place in PUSH_PLACES
        ),
    ]
    training = [
        name_column,
        ("parameters", lambda name: f"{runs[name]['parameters']:,}"),
        ("past_samples", lambda name: runs[name]["past_samples"]),
        ("steps", lambda name: f"{runs[name]['steps']:,}"),
        ("clips seen", lambda name: f"{runs[name]['clips']:,}"),
        ("CPU minutes", lambda name: f"{runs[name]['cpu_minutes']:.1f}"),
    ]
    return [
        f"Nats per sub-pixel, {results['settings']['examples']} clips a split, of: "
        f"{results['description']}. The paper's columns are of Google's robot pushing and compare "
        "with one another only.",
        table(nats, runs),
        f"Order here, best first: {' < '.join(order)}; in the paper: {' < '.join(ORDER)}.",
        "## Effect of the actions",
        "Nats per sub-pixel of test_seen, each clip with the actions of another one from the last "
        "given frame on, its own states kept; and with the other one's states after the given "
        "frames as well.",
        table(others, runs),
        *augmented(runs),
        "## Effect of a push",
        "Objects that truly move far after the given frames: the share of clips that show the "
        "object's colour near its front edge, in the frame to which it moves most (front), where "
        f"it is in the first frame after it has moved by {PUSHED} of half the table's side "
        "(moved), and where it is in the last frame (end). A frame ahead: each frame is sampled "
        "given the true ones before it; frame before: the last of these, copied, shows what needs "
        "no model. Runs with `past_samples` were trained to look back at their own samples.",
        table(pushed, runs),
        "## Training",
        table(training, runs),
        "![film strips](video.png)",
        "Clips of test_seen and how each model continues their first frames (orange border), given "
        "the arm's actions and states; every second frame.",
    ]


def _worse(run, kind):
    return f"{run['nats_of_others'][kind] - run['nats']['test_seen']:+.3f}"


def augmented(runs):
    """Yields a section on jitter and mirror for each run with them, against the run without."""
    for name, found in runs.items():
        plain = runs.get(name.removesuffix(AUGMENTED))
        if name.endswith(AUGMENTED) and plain:
            yield "## Effect of jitter and mirror"
            yield (
                f"`--augment=jitter,mirror`, both together, on {name.removesuffix(AUGMENTED)}: "
                "nats per sub-pixel more than without, after as many steps."
            )
            changes = [f"{found['nats'][s] - plain['nats'][s]:+.3f}" for s in SPLITS]
            gaps = [f["nats"]["test_novel"] - f["nats"]["test_seen"] for f in (plain, found)]
            yield markdown_table(
                (*SPLITS, "novel less seen, without", "with"),
                [(*changes, *(f"{gap:.3f}" for gap in gaps))],
            )
