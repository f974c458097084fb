"""Measures how fast built data reaches the training step, compared with the decoder alone.

    bin/benchmark input --data_dir=DIR

Each data set that is built in --data_dir is measured in rounds, so that a drift of the machine
affects all measurements alike:

* the ceiling: libjpeg (or the PNG decoder) alone, on the encoded bytes of the same examples, held
  in memory, with as many threads;
* the pipeline: `training_batches` with its shuffling, crops, captions and maps, in images/s (each
  frame of a video counts);
* repeated reading: the same images once they are decoded and kept in memory (not for videos);
* the demand: images/s of a training step of the `small` preset on 32x32 crops of such images.
"""

import concurrent.futures
import io
import statistics
import sys
import time

import numpy as np

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.data.tfrecords.source import THREADS
from ms_pixelcnn_tf.errors import UserError
from parts.tables import add_out, markdown_table, shown_command, write_results
from parts.timing import seconds_of, spread

BUILT = ("cub", "mpii", "coco", "imagenet", "robot_pushing")


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = flags.Parser("benchmark input", __doc__)
    number = {"type": flags.positive, "metavar": "N"}
    parser.add_argument("--data_dir", required=True, metavar="DIR", help="where data is built")
    parser.add_argument(
        "--datasets", default=",".join(BUILT), metavar="NAMES", help="of what is built there (all)"
    )
    parser.add_argument("--size", default=64, help="side of the images, pixels (64)", **number)
    parser.add_argument("--batch", default=32, help="examples a batch (32)", **number)
    parser.add_argument("--examples", default=512, help="examples a reading (512)", **number)
    parser.add_argument("--repeats", default=5, help="rounds (5)", **number)
    add_out(parser)
    return parser.parse(arguments)


class Subject:
    """One data set to measure."""

    def __init__(self, name, options):
        self.name = name
        self._options = options
        self._source = data.load(name, data_dir=options.data_dir, image_size=options.size)
        self._feature = "frames" if self._source.is_video else "image"
        count = min(options.examples, self._source.size("train"))
        self._indices = np.arange(count)
        encoded = [self._source.raw("train", i)[self._feature] for i in self._indices]
        self._encoded = [b for e in encoded for b in (e if self._source.is_video else [e])]
        self._images = len(self._encoded)
        self.description = self._source.description
        self.readings = {"decoder": [], "pipeline": [], "kept": []}

    def measure(self):
        """Measures one round, in images/s."""
        self.readings["decoder"].append(self._images / seconds_of(self._decode_alone))
        fresh = data.load(self.name, data_dir=self._options.data_dir, image_size=self._options.size)
        fields = fresh.fields
        seconds, images = self._stream(fresh, fields, random_crop=True)
        self.readings["pipeline"].append(images / seconds)
        if not fresh.is_video:
            self._stream(fresh, ("image",), random_crop=False)
            seconds, images = self._stream(fresh, ("image",), random_crop=False)
            self.readings["kept"].append(images / seconds)

    def _decode_alone(self):
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(_decode, self._encoded))

    def _stream(self, source, fields, random_crop):
        """Seconds of reading and images read, without the first batch, which starts the threads."""
        from ms_pixelcnn_tf.data.batches.pipeline import training_batches

        steps = max(2, self._options.examples // self._options.batch)  # repeats a small data set
        batches = (
            training_batches(
                source,
                batch_size=self._options.batch,
                seed=0,
                fields=fields,
                random_crop=random_crop,
            )
            .take(steps + 1)
            .as_numpy_iterator()
        )
        next(batches)
        started = time.perf_counter()
        images = sum(
            np.prod(b[self._feature].shape[: 2 if source.is_video else 1]) for b in batches
        )
        return time.perf_counter() - started, int(images)

    def results(self):
        """A summary of the rounds, as a dict for JSON."""
        pairs = zip(self.readings["pipeline"], self.readings["decoder"], strict=True)
        return {
            "dataset": self.name,
            "description": self.description,
            "decoder_images_per_second": spread(self.readings["decoder"]),
            "pipeline_images_per_second": spread(self.readings["pipeline"]),
            "pipeline_over_decoder": spread([ours / ceiling for ours, ceiling in pairs]),
            "kept_images_per_second": spread(self.readings["kept"])
            if self.readings["kept"]
            else None,
        }


def _decode(content):
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image.load()


def appetite(options):
    """Images/s that a training step of the `small` preset consumes."""
    from parts.floor_subject import FloorSubject

    fields = {"image_size": options.size, "batch_size": options.batch, "crop_size": 32}
    model = FloorSubject({"preset": "small"} | fields, samples=False)
    seconds = [model.measure()["training"] for _ in range(options.repeats)]
    return options.batch / statistics.median(seconds)


def main(arguments):
    """Measures, prints the page and writes `input.md` and `input.json`."""
    options = parse(arguments)
    with flags.quiet_start():
        import tensorflow as tf

        import machine
    tf.get_logger().setLevel("ERROR")
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
        "command": shown_command("input", arguments),
        "machine": machine.describe(),
        "threads": THREADS,
        "size": options.size,
        "batch": options.batch,
        "training_images_per_second": appetite(options),
        "datasets": [subject.results() for subject in subjects],
    }
    page = markdown(results, machine.sentences(results["machine"]))
    print(page)
    write_results(options.out, "input", page, results)


def markdown(results, where):
    """The page as Markdown."""
    rows = [
        [
            entry["dataset"],
            _rate(entry["decoder_images_per_second"]),
            _rate(entry["pipeline_images_per_second"]),
            f"**{entry['pipeline_over_decoder']['median']:.2f}**",
            _rate(entry["kept_images_per_second"]),
        ]
        for entry in results["datasets"]
    ]
    notes = "\n".join(
        f"- {entry['dataset']}: {entry['description']}" for entry in results["datasets"]
    )
    return "\n".join(
        [
            "# Input pipeline\n",
            f"`{results['command']}`. {where} Images/s at {results['size']}x{results['size']}, "
            f"{results['threads']} threads; medians of rounds, a ratio is the median of the "
            "rounds' own.\n",
            markdown_table(
                ["data set", "decoder alone", "pipeline", "ratio", "once decoded"], rows
            ),
            "The pipeline reads records, proves their checksums, decodes, crops at random, "
            "resizes and makes maps, shuffled; the decoder alone gets the same bytes from memory. "
            "Once decoded: central crops are kept in memory. A video's frames count one by one.\n",
            "A training step of the `small` preset takes "
            f"{results['training_images_per_second']:.0f} images/s here.\n",
            notes + "\n",
        ]
    )


def _rate(reading):
    return "–" if reading is None else f"{reading['median']:,.0f}"


if __name__ == "__main__":
    flags.run(main)
