"""Measures how fast built data reaches the training step, compared with the decoder alone.

    bin/benchmark input --data_dir=DIR

Measures each data set that is built in --data_dir in rounds, in images/s (each frame of a video
counts): the decoder alone on the same bytes in memory, with as many threads; `training_batches`
with its shuffling, crops, captions and maps; the same images once they are decoded and kept in
memory (not for videos); and a training step of the `small` preset on 32x32 crops.
"""

import concurrent.futures
import io
import math
import statistics
import sys
import time

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.data.tfrecords.source import THREADS
from ms_pixelcnn_tf.errors import UserError
from parts import machine
from parts.pages import publish, table
from parts.parser import Parser
from parts.rounds import seconds_of, spread

BUILT = ("cub", "mpii", "coco", "imagenet", "robot_pushing")


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = Parser("input", __doc__)
    parser.add_argument("--data_dir", required=True, metavar="DIR", help="where data is built")
    parser.name("--datasets", ",".join(BUILT), "data sets, as far as they are built there")
    parser.number("--size", 64, "side of the images, pixels")
    parser.number("--batch", 32, "examples a batch")
    parser.number("--examples", 512, "examples a reading")
    parser.number("--repeats", 5, "rounds")
    return parser.parse(arguments)


class Subject:
    """One data set to measure."""

    def __init__(self, name, options):
        self.name, self._options = name, options
        source = self._load()
        self.description, self._is_video = source.description, source.is_video
        self._feature = "frames" if source.is_video else "image"
        count = min(options.examples, source.size("train"))
        encoded = [source.raw("train", index)[self._feature] for index in range(count)]
        self._encoded = sum(map(list, encoded), []) if source.is_video else encoded
        self.readings = {"decoder": [], "pipeline": [], "kept": []}

    def measure(self):
        """Measures one round, in images/s."""
        seconds = seconds_of(self._decode_alone)
        self.readings["decoder"].append(len(self._encoded) / seconds)
        fresh = self._load()
        self.readings["pipeline"].append(self._rate(fresh, fresh.fields, random_crop=True))
        if not self._is_video:
            self._rate(fresh, ("image",), random_crop=False)
            self.readings["kept"].append(self._rate(fresh, ("image",), random_crop=False))

    def _load(self):
        options = self._options
        return data.load(self.name, data_dir=options.data_dir, image_size=options.size)

    def _decode_alone(self):
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(_decode, self._encoded))

    def _rate(self, source, fields, random_crop):
        """Images/s of reading, without the first batch, which starts the threads."""
        from ms_pixelcnn_tf.data.batches.pipeline import training_batches

        size = self._options.batch
        steps = max(2, self._options.examples // size)  # repeats a small data set
        batches = training_batches(
            source, batch_size=size, seed=0, fields=fields, random_crop=random_crop
        )
        batches = batches.take(steps + 1).as_numpy_iterator()
        next(batches)
        started, axes = time.perf_counter(), 2 if self._is_video else 1
        images = sum(math.prod(batch[self._feature].shape[:axes]) for batch in batches)
        return images / (time.perf_counter() - started)

    def results(self):
        """A summary of the rounds, as a dict for JSON."""
        pairs = zip(self.readings["pipeline"], self.readings["decoder"], strict=True)
        return {
            "dataset": self.name,
            "description": self.description,
            "decoder_images_per_second": spread(self.readings["decoder"]),
            "pipeline_images_per_second": spread(self.readings["pipeline"]),
            "pipeline_over_decoder": spread([ours / ceiling for ours, ceiling in pairs]),
            "kept_images_per_second": self.readings["kept"] and spread(self.readings["kept"]),
        }


def _decode(content):
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image.load()


def appetite(options):
    """Images/s that a training step of the `small` preset consumes."""
    from parts.subjects import TrainedSubject

    fields = {"image_size": options.size, "batch_size": options.batch, "crop_size": 32}
    model = TrainedSubject({"preset": "small"} | fields)
    model.train()  # traces
    seconds = [seconds_of(model.train) for _ in range(options.repeats)]
    return options.batch / statistics.median(seconds)


def main(arguments):
    """Measures, and writes the page `input`."""
    options = parse(arguments)
    machine.start_tensorflow()
    subjects = []
    for name in options.datasets.split(","):
        try:
            subjects.append(Subject(name, options))
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
    if not subjects:
        raise UserError(f"nothing is built in {options.data_dir}; see bin/make_tfrecords --help")
    for _ in range(options.repeats):
        for subject in subjects:
            subject.measure()
    results = {
        "threads": THREADS,
        "training_images_per_second": appetite(options),
        "datasets": [subject.results() for subject in subjects],
    }
    publish(options, "input", "Input pipeline", results, body)


def body(results):
    """The page's paragraphs."""
    size, found = results["settings"]["size"], results["datasets"]
    columns = [
        ("data set", lambda one: one["dataset"]),
        ("decoder alone", lambda one: _rate(one["decoder_images_per_second"])),
        ("pipeline", lambda one: _rate(one["pipeline_images_per_second"])),
        ("ratio", lambda one: f"**{one['pipeline_over_decoder']['median']:.2f}**"),
        ("once decoded", lambda one: _rate(one["kept_images_per_second"])),
    ]
    return [
        f"Images/s at {size}x{size}, {results['threads']} threads; medians of rounds, a ratio is "
        "the median of the rounds' own.",
        table(columns, found),
        "The pipeline reads records, checks their checksums, decodes, crops at random, resizes and "
        "makes maps, shuffled; the decoder alone gets the same bytes from memory. Once decoded: "
        "central crops are kept in memory. A video's frames count one by one.",
        "A training step of the `small` preset takes "
        f"{results['training_images_per_second']:.0f} images/s here.",
        "\n".join(f"- {one['dataset']}: {one['description']}" for one in found),
    ]


def _rate(reading):
    return f"{reading['median']:,.0f}" if reading else "–"


if __name__ == "__main__":
    flags.run(main)
