"""How much is each departure from the paper worth, at equal time and at equal examples?

    bin/benchmark departures train --only=images --data_dir=tiny-imagenet-200.zip --core=0
    bin/benchmark departures train --only=conditions --only=videos --core=1
    bin/benchmark departures report

The runs come in three groups, each on data that its departures concern: photographs, `shapes` with
captions and keypoints, and the videos of `shapes_push`. A group trains our values (GROUP-ours),
the same with another seed (GROUP-ours-again), the paper's values (GROUP-paper), and for each
departure our values with that one at the paper's (GROUP-ours-less-NAME). The reverse
(GROUP-paper-plus-NAME) is trained only if --only names it. The departures of other groups keep our
values. `bin/train --help` and docs/departures.md say what each one is.

`train` first times 20 steps of every run, then gives each as many steps as fit into --minutes of
processor time. So each learning rate falls to its end within the same time, and once the timing is
done, other work on the machine changes nothing but how long it all takes. Runs go one after the
other on one core; the same command resumes them. `calibrate` does the timing alone.
"""

import json
import os
import pathlib
import tempfile

import conditioning
import density
import video
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import ModelConfig, TrainConfig, VideoConfig, make_run, unknown
from ms_pixelcnn_tf.configs.density import DensityConfig, departures
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import write_text
from parts.processes import pin, train_each
from parts.tables import add_out

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
FIRST, TIMED = 5, 20  # steps of a calibration: those that build the graph, and those timed
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


def configuration(name, steps, data_dir="", **overrides):
    """The `RunConfig` of one of `RUNS`; all that depends on the step scales with `steps`."""
    group, values, seed = RUNS[name]
    often = max(steps // VALIDATIONS, 1)
    scaled = {"steps": steps, "warmup_steps": steps // 10}
    scaled |= {"evaluate_every": often, "checkpoint_every": often}
    if group == "images":
        scaled["data_dir"] = data_dir and os.path.abspath(os.path.expanduser(data_dir))
    if group == "conditions":
        scaled["maps_from"] = steps // 20
    return make_run(**(SHARED[group] | values | scaled | {"seed": seed} | overrides))


def selected(only):
    """Names of the runs that `--only` asks for, by name or by group; None: all but paper-plus."""
    for name in only or ():
        if name not in (*FIELDS, *RUNS):
            raise unknown("run", name, (*FIELDS, *RUNS))
    groups = [name for name in only or FIELDS if name in FIELDS]
    return [
        name
        for name, (group, _, _) in RUNS.items()
        if name in (only or ()) or group in groups and "-paper-plus-" not in name
    ]


def train(options):
    """Calibrates or trains one run in this process, or several in processes of their own."""
    names = selected(options.only)
    if options.data_dir is None and any(RUNS[name][0] == "images" for name in names):
        raise UserError(
            "data_dir is missing; valid: tiny-imagenet-200.zip or its folder, which "
            "the runs of images need"
        )
    if len(names) > 1:
        handed_on = ("workdir", "data_dir", "core", "minutes")
        for mode in ("calibrate", "train")[: 1 if options.mode == "calibrate" else 2]:
            train_each([__file__, mode], names, options, handed_on)
        return
    pin(options.core)
    with flags.quiet_start():
        import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)
    train_one(names[0], options)


def train_one(name, options):
    """Calibrates a run, unless that was done, and trains it if that is the mode."""
    from ms_pixelcnn_tf.training import loop

    data_dir, folder = options.data_dir or "", pathlib.Path(options.workdir)
    source = loop.load_source(configuration(name, 1, data_dir))
    file = folder / f"{name}.json"
    if not file.is_file():
        found = calibrate(
            configuration(
                name, FIRST + TIMED, data_dir, evaluate_every=FIRST, evaluation_examples=1
            ),
            source,
        )
        found |= {"minutes": options.minutes, "steps": steps_in(60 * options.minutes, found)}
        folder.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(found, indent=2) + "\n")
    found = json.loads(file.read_text(encoding="utf-8"))
    if found["minutes"] != options.minutes:
        raise UserError(
            f"minutes is {options.minutes}, but {name} was started with "
            f"{found['minutes']}; valid: that, or another workdir"
        )
    if options.mode == "train":
        loop.train(configuration(name, found["steps"], data_dir), folder / name, source)


def calibrate(run, source):
    """Processor seconds of starting, and of a step, from `FIRST + TIMED` steps; parameters."""
    from ms_pixelcnn_tf.training import loop
    from ms_pixelcnn_tf.training.monitor import read_metrics

    with tempfile.TemporaryDirectory() as folder:
        model = loop.train(run, folder, source)
        first, *_, last = (record["cpu_seconds"] for record in read_metrics(folder))
    each = (last - first) / TIMED
    start = max(first - FIRST * each, 0.0)
    return {"start": start, "seconds_per_step": each, "parameters": int(model.count_params())}


def steps_in(seconds, found):
    """The number of steps that fit into `seconds` of processor time, after what starting takes."""
    return max(int((seconds - found["start"]) / found["seconds_per_step"]), 1)


def report(options):
    """Writes departures.md and departures.json."""
    with flags.quiet_start():
        from parts import departures_report
    print(departures_report.write(options, RUNS, FIELDS, EXCLUDED))


def parse(arguments):
    """Flags → an argparse namespace with `mode`, one of `MODES`."""
    mode = arguments[0] if arguments and arguments[0] in MODES else None
    parser = flags.Parser("benchmark departures", __doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument(
        "--workdir",
        default="runs/departures",
        metavar="DIR",
        help="holds one folder per run (runs/departures)",
    )
    if mode != "report":
        parser.add_argument(
            "--only",
            action="append",
            metavar="NAME",
            help=f"a run, or one of {', '.join(FIELDS)}; may be repeated (all)",
        )
        parser.add_argument(
            "--data_dir", metavar="PATH", help="tiny-imagenet-200.zip or its folder"
        )
        parser.add_argument("--core", type=int, metavar="N", help="the core to run on (the first)")
        parser.add_argument(
            "--minutes",
            type=flags.positive,
            default=10,
            metavar="N",
            help="processor time of each run (10)",
        )
    if mode in (None, "report"):
        add_out(parser)
        parser.add_argument(
            "--note", action="append", default=[], metavar="TEXT", help="a sentence for the page"
        )
    return parser.parse(arguments)


def main(arguments):
    """`calibrate`, `train` or `report`."""
    options = parse(arguments)
    return report(options) if options.mode == "report" else train(options)


if __name__ == "__main__":
    flags.run(main)
