"""Measures what each departure from the paper is worth, at equal time and at equal examples.

    bin/benchmark departures train --only=images --data_dir=tiny-imagenet-200.zip --core=0
    bin/benchmark departures train --only=conditions,videos --core=1
    bin/benchmark departures report

The runs form three groups, each on data that its departures concern: photographs (images), `shapes`
with captions and keypoints (conditions), and the clips of `shapes_push` (videos). A group trains
our values (GROUP-ours), our values with another seed (GROUP-ours-again), the paper's values
(GROUP-paper) and, for each departure, our values except for that one (GROUP-ours-less-NAME). The
reverse, the paper's values except for one (GROUP-paper-plus-NAME), is trained only if --only names
it. The departures of other groups keep our values; docs/departures.md describes each departure.

`train` first measures the cost of a step of each run, alternating with a step of our values. It
gives each run as many steps as fit into --minutes of processor time, so that each learning-rate
schedule ends within the same time. The same command resumes them. `calibrate` only measures the
cost.
"""

import json
import os
import pathlib
import statistics

import conditioning
import density
import video
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import ModelConfig, TrainConfig, VideoConfig, make_run
from ms_pixelcnn_tf.configs.shared import DensityConfig, departures
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import write_text
from parts import rounds, runs

EXCLUDED = {"rmsprop_start": "concerns RMSprop, and every run here trains with Adam"}
EVERY = {**departures(DensityConfig), **departures(TrainConfig)}
FIELDS = {  # group → its departures
    "images": {name: field for name, field in EVERY.items() if name not in EXCLUDED},
    "conditions": {n: f for n, f in departures(ModelConfig).items() if n not in EVERY},
    "videos": {n: f for n, f in departures(VideoConfig).items() if n not in EVERY},
}
SHARED = {
    "images": density.SHARED | {"evaluation_examples": 500},
    "conditions": conditioning.SHARED | conditioning.RUNS["text-keypoints"] | conditioning.MAPS,
    # Four blocks, so that the paper's dilations 1, 2, 4 and 8 all occur.
    "videos": video.SHARED | video.RUNS["OTlogN-short"] | {"frame_blocks": 4},
}
MODES = ("calibrate", "train", "report")
ROUNDS = 10  # of a calibration
VALIDATIONS = 12  # of a run


def _all_runs():
    """Name → (group, values of its departures, seed) of every run."""
    runs = {}
    for group, fields in FIELDS.items():
        ours, paper = ({n: f.metadata[k] for n, f in fields.items()} for k in ("ours", "paper"))
        runs[f"{group}-ours"] = group, ours, 0
        runs[f"{group}-ours-again"] = group, ours, 1
        runs[f"{group}-paper"] = group, paper, 0
        for name in fields:
            runs[f"{group}-ours-less-{name}"] = group, ours | {name: paper[name]}, 0
            runs[f"{group}-paper-plus-{name}"] = group, paper | {name: ours[name]}, 0
    return runs


RUNS = _all_runs()


def configuration(name, steps, data_dir=""):
    """The `RunConfig` of one of `RUNS`; the warm-up and the intervals scale with `steps`."""
    group, values, seed = RUNS[name]
    often = max(steps // VALIDATIONS, 1)
    scaled = {"steps": steps, "warmup_steps": steps // 10}
    scaled |= {"evaluate_every": often, "checkpoint_every": often}
    if group == "images":
        scaled["data_dir"] = data_dir and os.path.abspath(os.path.expanduser(data_dir))
    if group == "conditions":
        scaled["maps_from"] = steps // 20
    return make_run(**(SHARED[group] | values | scaled | {"seed": seed}))


def selected(only):
    """Names of the runs that `--only` selects, by run or by group; None: all but paper-plus."""
    groups = [name for name in only or FIELDS if name in FIELDS]
    return [
        name
        for name, (group, _, _) in RUNS.items()
        if name in (only or ()) or group in groups and "-paper-plus-" not in name
    ]


def train(options):
    """Calibrates or trains one run in this process, or several in one process each."""
    names = selected(options.only)
    if options.data_dir is None and any(RUNS[name][0] == "images" for name in names):
        raise UserError(
            "data_dir is missing; valid: tiny-imagenet-200.zip or its folder, which "
            "the runs of images need"
        )
    if len(names) > 1:
        modes = ("calibrate", "train") if options.mode == "train" else ("calibrate",)
        for options.mode in modes:
            runs.train_each(__file__, options, names)
    else:
        runs.use_one_core(options.core)
        train_one(names[0], options)


def train_one(name, options):
    """Calibrates a run, unless that is done, and trains it if the mode is "train"."""
    found = calibrate(name, options)
    if found["minutes"] != options.minutes:
        raise UserError(
            f"minutes is {options.minutes}, but {name} was started with "
            f"{found['minutes']}; valid: that, or another workdir"
        )
    if options.mode == "train":
        run = configuration(name, found["steps"], options.data_dir or "")
        runs.train_into(pathlib.Path(options.workdir) / name, run)


def calibrate(name, options):
    """Measures the cost of a run's step and derives its number of steps: a dict for JSON.

    Our values are measured alone. Other values are measured as a ratio to ours, with steps of both
    in turn. The result is kept in the folder of the runs, so each run is measured once.
    """
    file = pathlib.Path(options.workdir) / f"{name}.json"
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    group, values, _ = RUNS[name]
    ours = f"{group}-ours"
    found = {"minutes": options.minutes, "over_ours": 1.0}
    if name == ours:
        times, facts = measure_steps([ours], options)
        found["seconds_per_step"] = statistics.median(times[ours])
    elif values == RUNS[ours][1]:
        found, facts = calibrate(ours, options), {}
    else:
        times, facts = measure_steps([ours, name], options)
        each = [own / base for own, base in zip(times[name], times[ours], strict=True)]
        found["over_ours"] = statistics.median(each)
        of_ours = calibrate(ours, options)["seconds_per_step"]
        found["seconds_per_step"] = found["over_ours"] * of_ours
    found |= facts.get(name, {})
    found["steps"] = max(int(60 * options.minutes / found["seconds_per_step"]), 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(found, indent=2) + "\n")
    return found


def measure_steps(names, options):
    """Name → processor seconds per step in each round, and name → facts about its model."""
    subjects = {
        name: ("parts.subjects:StepSubject", configuration(name, 100, options.data_dir or ""))
        for name in names
    }
    times, facts = rounds.run(subjects, ROUNDS)
    return {name: [one["seconds"] for one in times[name]] for name in names}, facts


def parse(arguments):
    """Flags → an argparse namespace with `mode`, one of `MODES`."""
    parser = runs.RunsParser("departures", __doc__, (*FIELDS, *RUNS), MODES)
    parser.add_argument("--data_dir", metavar="PATH", help="tiny-imagenet-200.zip or its folder")
    parser.number("--minutes", 10, "processor time of each run")
    return parser.parse(arguments)


def main(arguments):
    """Runs `calibrate`, `train` or `report`."""
    options = parse(arguments)
    if options.mode != "report":
        return train(options)
    with flags.quiet_start():
        from parts import departures_report
    departures_report.write(options, RUNS, EXCLUDED)


if __name__ == "__main__":
    flags.run(main)
