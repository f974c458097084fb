"""How long sampling takes beside one evaluation of the likelihood, and training beside the machine.

    bin/benchmark sampling

For type A, type B and the cached ON, each with a softmax and with a DMOL, this times

* the likelihood: `log_prob_terms`, compiled, of the very images that were sampled;
* sampling: `decode` of given uniforms, compiled. Tracing is told apart;
* training: the project's own step with its optimiser.

Naive ON, one full evaluation of the network a sub-pixel (of a DMOL, which does not order the
channels, a pixel), is timed over a few evaluations in one compiled loop and extrapolated to all. It
leaves out the decoding of the sub-pixels themselves, which flatters it.

All of it is run in rounds, every model once a round, so that a drift of the machine meets all
alike. A ratio is the median of the rounds' own ratios. Weights are as constructed: time does not
depend on them. Widths and depths are those of Reed et al. (2017), section 4.
"""

import sys

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import paper_models
from parts.tables import add_out, shown_command, write_results
from parts.timing import spread

MODELS = {
    "A": {"variant": "OlogN", "upscaler": "A"},
    "B": {"variant": "OlogN", "upscaler": "B"},
    "ON": {"variant": "ON"},
}


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = flags.Parser("benchmark sampling", __doc__)
    number = {"type": flags.positive, "metavar": "N"}
    parser.add_argument("--batch", default=30, help="images at a time (30)", **number)
    parser.add_argument("--size", default=32, help="their side, pixels (32)", **number)
    paper_models.add_flags(parser, number)
    parser.add_argument("--repeats", default=5, help="rounds (5)", **number)
    parser.add_argument(
        "--naive_evaluations", default=4, help="evaluations timed for naive ON (4)", **number
    )
    parser.add_argument(
        "--outputs", default="softmax,dmol", metavar="NAMES", help="output laws (softmax,dmol)"
    )
    add_out(parser)
    return parser.parse(arguments)


def configurations(options):
    """(model's name, output) → `RunConfig`, from the paper's recipe."""
    runs = {}
    for output in options.outputs.split(","):
        for name, own in MODELS.items():
            own = own | {"output": output, "batch_size": options.batch}
            runs[name, output] = make_run(**paper_models.fields(options, size=options.size, **own))
    return runs


def measure_all(options):
    """Every number, as a dict for JSON."""
    import machine
    from parts.subject import Subject

    shape = options.batch, options.size // 2, options.width
    description = machine.measure(*shape)
    subjects = {}
    for key, run in configurations(options).items():
        naive_evaluations = options.naive_evaluations if key[0] == "ON" else 0
        subjects[key] = Subject(run, naive_evaluations)
        print(f"traced {' '.join(key)}", file=sys.stderr)
    for repeat in range(options.repeats):
        for subject in subjects.values():
            subject.measure()
        print(f"round {repeat + 1} of {options.repeats}", file=sys.stderr)
    # The machine may have been disturbed the first time; a ceiling is the best that was ever seen.
    again = machine.measure(*shape)
    for name in ("conv_gflops", "matmul_gflops"):
        description[name] = max(description[name], again[name])
    results = [
        {"model": name, "output": output, **subject.results(description["conv_gflops"])}
        for (name, output), subject in subjects.items()
    ]
    _add_speed_ups(results, subjects)
    return {"machine": description, "settings": _settings(options), "models": results}


def _add_speed_ups(results, subjects):
    for result in results:
        subject, baseline = (subjects[name, result["output"]] for name in (result["model"], "ON"))
        for sampler, seconds in (("naive", baseline.naive), ("cached", baseline.sampling)):
            pairs = zip(seconds, subject.sampling, strict=True)
            result[f"speed_up_over_{sampler}_on"] = spread([slow / fast for slow, fast in pairs])


def _settings(options):
    return {name: value for name, value in vars(options).items() if name != "out"}


def main(arguments):
    """Measures, prints the tables and writes them as `sampling.md` and `sampling.json`."""
    options = parse(arguments)
    configurations(options)  # a wrong value shows before TensorFlow is loaded
    with flags.quiet_start():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")  # models of one class are not one function traced anew
    results = {"command": shown_command("sampling", arguments)} | measure_all(options)
    from parts import sampling_tables

    markdown = sampling_tables.markdown(results)
    print(markdown)
    write_results(options.out, "sampling", markdown, results)


if __name__ == "__main__":
    flags.run(main)
