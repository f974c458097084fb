"""How long a clip takes to sample: Table 4's rows of videos, and what the paper left out."""

import math
import sys

import numpy as np
import tensorflow as tf
from keras import ops

import machine
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from ms_pixelcnn_tf.models.frame_decoder import Past
from parts.tables import markdown_table, write_results
from parts.timing import format_spread, seconds_of, spread

NAME = "video_speed"
PAPER = {  # Table 4: seconds a frame on a Quadro M4000, not in-graph and in-graph
    "OTN": (1929.8, None), "OT": (0.38, 0.37), "OTlogN": (3.82, 3.07),
}
TARGETS = {"OT": 5000, "OTlogN": 600}  # times faster than naive OTN


def write(options, variants, command):
    """Measures, writes the page and its JSON; returns the page."""
    subjects = {}
    for variant in variants:
        subjects[variant] = Subject(variant, options)
        print(f"traced {variant}", file=sys.stderr, flush=True)
    for repeat in range(options.repeats):
        for subject in subjects.values():
            subject.measure()
        print(f"round {repeat + 1} of {options.repeats}", file=sys.stderr, flush=True)
    slowest = subjects["OTN"]
    results = {
        "command": command, "machine": machine.describe(),
        "settings": {k: v for k, v in vars(options).items() if k not in ("out", "mode")},
        "variants": {name: s.results(slowest) for name, s in subjects.items()},
    }
    page = markdown(results)
    write_results(options.out, NAME, page, results)
    return page


class Subject:
    """A variant with everything traced, ready to be measured in rounds.

    Attributes:
        likelihood, in_graph, stepwise: seconds of each round, of the whole clip. OTN's `in_graph`
            is extrapolated from `cached_frames`, and has no `stepwise`.
        naive: OTN's, extrapolated from `naive_evaluations`.
    """

    def __init__(self, variant, options):
        self._options = options
        fields = {
            "variant": variant, "preset": options.preset, "dataset": "shapes_push",
            "image_size": options.size, "num_frames": options.frames,
            "frame_stride": options.frame_stride,
        }
        config = make_run(**fields).model
        self._is_raster = variant == "OTN"
        self._model, self._config = make_model(config), config
        generator = np.random.default_rng(0)
        shape = (options.batch, *config.image_size, config.channels)
        self._uniforms = generator.random(
            (options.batch, config.predicted_frames, *shape[1:]), dtype="float32"
        )
        self._frames = generator.integers(
            0, config.num_levels, (options.batch, config.num_frames, *shape[1:]), "uint8"
        )
        size = {"actions": config.action_size, "states": config.state_size}
        self._conditions = {
            name: generator.uniform(-1, 1, (options.batch, config.num_frames, size[name])).astype("float32")
            for name in config.conditions
        }
        self.likelihood, self.in_graph, self.stepwise, self.naive = [], [], [], []
        self.first = seconds_of(self._sample)
        seconds_of(self._score)
        if self._is_raster:
            self._evaluate = evaluations(self._model, options.naive_evaluations)
            self._naive()
        else:
            self._sample("stepwise")

    def measure(self):
        """One round."""
        self.likelihood.append(seconds_of(self._score))
        if self._is_raster:
            frames = self._config.predicted_frames
            self.in_graph.append(
                seconds_of(self._sample) * frames / min(self._options.cached_frames, frames)
            )
            evaluations_needed = math.prod(self._uniforms.shape[1:])
            self.naive.append(
                seconds_of(self._naive) * evaluations_needed / self._options.naive_evaluations
            )
        else:
            self.in_graph.append(seconds_of(self._sample))
            self.stepwise.append(seconds_of(lambda: self._sample("stepwise")))

    def results(self, slowest):
        """The rounds in short, as a dict for JSON; `slowest` is OTN's subject."""

        def ratios(above, below):
            return spread([a / b for a, b in zip(above, below)])

        found = {
            "parameters": int(self._model.count_params()),
            "likelihood_seconds": spread(self.likelihood),
            "in_graph_seconds": spread(self.in_graph),
            "in_graph_over_likelihood": ratios(self.in_graph, self.likelihood),
            "first_call_seconds": self.first,
            "faster_than_naive_OTN": ratios(slowest.naive, self.in_graph),
            "faster_than_cached_OTN": ratios(slowest.in_graph, self.in_graph),
        }
        if self.stepwise:
            found["stepwise_seconds"] = spread(self.stepwise)
            found["stepwise_faster_than_naive_OTN"] = ratios(slowest.naive, self.stepwise)
        if self.naive:
            found["naive_seconds"] = spread(self.naive)
        return found

    def _score(self):
        for log_prob in self._model.log_prob_terms(self._frames, self._conditions).values():
            np.asarray(log_prob)

    def _sample(self, sampler="cached"):
        given = self._config.given_frames
        if not self._is_raster:
            self._model.decode(self._uniforms, self._frames[:, :given], self._conditions, sampler)
            return
        # Few frames: one compiled step each.
        state = getattr(self, "_state", None)
        if state is None:
            conditions = {name: tf.constant(v) for name, v in self._conditions.items()}
            start = {name: v[:, :given] for name, v in conditions.items()}
            frames = tf.constant(self._frames[:, :given], tf.int32)
            state = self._state = self._model.graphs.start(frames, start), frames[:, -1], conditions
        state, previous, conditions = state
        for index in range(min(self._options.cached_frames, self._config.predicted_frames)):
            inputs = {name: v[:, given - 1 + index] for name, v in conditions.items()}
            previous, _, state = self._model.graphs.step(
                tf.constant(self._uniforms[:, index]), previous, state, inputs
            )
        np.asarray(previous)

    def _naive(self):
        config = self._config
        hidden = tf.zeros((self._options.batch, *self._model.past.size, config.lstm_features))
        frames = tf.constant(self._frames[:, 0], tf.int32)
        np.asarray(self._evaluate(frames, hidden))


def evaluations(model, count):
    """A compiled function `(frame, hidden)` that evaluates OTN's decoder on a whole frame `count`
    times in a row, each reading what the one before it found."""

    def run(frame, hidden):
        def evaluate(_, levels):
            (factor,) = model.decoder.factors(Past(frame, hidden), levels)
            # True of no parameter, but only the evaluation can tell.
            return levels + ops.cast(factor.params[:, :1, :1, :1] > 1e30, "int32")

        return ops.fori_loop(0, count, evaluate, frame)

    return tf.function(run, autograph=False)


def markdown(results):
    """The page."""
    settings, rows = results["settings"], []
    frames = settings["frames"] - 2
    for name, found in results["variants"].items():
        paper = PAPER.get(name, (None, None))
        if "naive_seconds" in found:
            naive = found["naive_seconds"]["median"]
            rows.append((
                f"{name}, naive", f"{naive:,.0f}*", f"{naive / frames:,.1f}*", "1", "–",
                f"{naive / found['likelihood_seconds']['median']:,.0f}", _shown(paper[0]),
            ))
        if "stepwise_seconds" in found:
            steps = found["stepwise_seconds"]
            rows.append((
                f"{name}, a step a call", f"{steps['median']:.2f}", f"{steps['median'] / frames:.3f}",
                f"{found['stepwise_faster_than_naive_OTN']['median']:,.0f}", "–", "–", _shown(paper[0]),
            ))
        seconds, mark = found["in_graph_seconds"]["median"], "*" if name == "OTN" else ""
        rows.append((
            f"{name}, {'cached' if name == 'OTN' else 'in-graph'}", f"{seconds:,.2f}{mark}",
            f"{seconds / frames:,.3f}{mark}", f"{found['faster_than_naive_OTN']['median']:,.0f}",
            f"{found['faster_than_cached_OTN']['median']:,.1f}",
            format_spread(found["in_graph_over_likelihood"]), _shown(paper[1]),
        ))
    header = (
        "sampler", "s a clip", "s a frame", "× naive OTN", "× cached OTN", "sample / likelihood",
        "paper, s a frame",
    )
    met = "; ".join(
        f"{name} {results['variants'][name]['faster_than_naive_OTN']['median']:,.0f}× (target "
        f"≥ {target:,}×)" for name, target in TARGETS.items()
    )
    return "".join([
        "# Sampling videos\n\n",
        f"`{results['command']}`: {machine.sentences(results['machine'])} {settings['size']}×"
        f"{settings['size']} RGB, {settings['frames']} frames of which 2 are given, batch "
        f"{settings['batch']}, widths of preset {settings['preset']}, frame encoder at 1/"
        f"{settings['frame_stride']}, weights as constructed; medians of {settings['repeats']} rounds; "
        "a ratio is the median of the rounds' own.\n\n",
        markdown_table(header, rows),
        f"\n\\* Extrapolated: naive OTN from {settings['naive_evaluations']} evaluations of its decoder "
        f"to one a sub-pixel of {frames} frames, cached OTN from {settings['cached_frames']} "
        f"frame{'s' * (settings['cached_frames'] > 1)} to {frames}.\n\nFaster than naive OTN: {met}. The "
        "paper's seconds are of a Quadro M4000: set its ratios beside ours, not its times.\n",
    ])


def _shown(seconds):
    return "–" if seconds is None else f"{seconds:,}"
