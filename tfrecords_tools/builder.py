"""Base of the five builders: a TFDS builder that converts a plan of tasks into examples.

A data set defines its features, how its source becomes a plan, and how a task becomes examples.
TFDS does the rest: shards, shuffling by key, splits, metadata, and a folder that gets its name only
when it is complete.
"""

import collections
import functools
import itertools
import os
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow_datasets as tfds
from tqdm import tqdm

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools.archives import Tree
from tfrecords_tools.tasks import (
    COUNTERS,
    Examples,
    Plan,
    Skipped,
    convert_all,
    counts_told,
    jobs_of,
)

Description: TypeAlias = tuple[str, tfds.features.FeaturesDict, dict[str, Any]]

VERSION = "1.0.0"
tfds.disable_progress_bar()  # ours knows the total


class Options(tfds.core.BuilderConfig):
    """Options of a build; their name is also that of its folder.

    Attributes:
        image_size: side of the stored images, in pixels; 0: the data set's default.
        variant: one of the builder's `variants`; "" if it has none.
        max_examples: largest number of examples per split; 0: all. It is part of the name, so that
            a part of a data set is never taken for all of it.
    """

    def __init__(self, image_size: int = 0, variant: str = "", max_examples: int = 0) -> None:
        first = f"first{max_examples}" if max_examples else ""
        parts = [variant, first, str(image_size) if image_size else ""]
        super().__init__(name="-".join(filter(None, parts)) or "full", version=VERSION)
        self.image_size = image_size
        self.variant = variant
        self.max_examples = max_examples


class PaperBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of the five builders.

    Args:
        source: folder or archive of the data set.
        options: an `Options`.
        data_dir: parent of the built data, which goes to `data_dir/name/options/version`.
        workers: number of processes that convert.
        beam: convert on an Apache Beam pipeline; `download_and_prepare` gets its runner.

    Raises:
        UserError: for `beam` with `max_examples` if a task gives many examples.

    Subclasses define `name`, `variants` and three static methods (so that a worker needs no
    builder):

    * `describe(options)`: `(line, FeaturesDict, metadata dict)`. The line is printed with every
      score in bits per sub-pixel and says exactly what the pixels are.
    * `plan(tree, options, skip)`: a `Plan`. Calls `skip(reason, count)` to count what is left out.
    * `convert(options, task, content)`: yields `(key, example or Skipped)`, or raises `Skipped`.
    """

    VERSION = tfds.core.Version(VERSION)
    pkg_dir_path = None  # no metadata files next to the module
    variants = ("",)  # the first is the default
    many_examples_a_task = False
    describe: Callable[..., Description]
    plan: Callable[..., Plan]
    convert: Callable[..., Examples]

    def __init__(
        self,
        *,
        source: str | os.PathLike,
        options: Options,
        data_dir: str | os.PathLike,
        workers: int = 1,
        beam: bool = False,
    ) -> None:
        self.source, self.options = source, options
        self.skipped = collections.Counter()
        self._workers, self._max_examples, self._beam = workers, options.max_examples, beam
        self._line, self._features, self._metadata = self.describe(options)
        if options.max_examples:
            self._line += f", at most {options.max_examples} examples a split"
        if beam and options.max_examples and self.many_examples_a_task:
            raise UserError(f"--max_examples of {self.name} works without --runner only")
        super().__init__(data_dir=data_dir, config=options)

    def _info(self):
        metadata = {"description": self._line, "skipped": self.skipped, **self._metadata}
        return self.dataset_info_from_configs(
            description=self._line,
            features=self._features,
            metadata=tfds.core.MetadataDict(metadata),
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The metadata that is stored with the built data."""
        assert self.info.metadata is not None  # `_info` sets it
        return self.info.metadata

    def _split_generators(self, dl_manager):
        del dl_manager
        tree = Tree(self.source)
        self.facts["source"] = tree.fingerprint()
        plan, metadata = self.plan(tree, self.options, self._skip)
        self.facts.update(metadata)
        plan = {split: tasks for split, tasks in plan.items() if tasks}
        if not plan:
            raise UserError(
                f"{self.source} holds no image of {self.name}; skipped: {counts_told(self.skipped)}"
            )
        if self._beam:  # its runners report no progress that we could show
            count = sum(len(tasks[: self._max_examples or None]) for tasks in plan.values())
            line = f"{self.name}: {count:,} work items on Apache Beam …"
            print(line, file=sys.stderr, flush=True)
        return {split: self._generate_examples(tree, tasks) for split, tasks in plan.items()}

    def _generate_examples(self, tree, tasks):
        convert = functools.partial(type(self).convert, self.options)
        if self._beam:
            from tfrecords_tools.beam import conversion

            return conversion(convert, tree, tasks[: self._max_examples or None])
        examples = self._converted(convert, tree, tasks)
        return itertools.islice(examples, self._max_examples or None)

    def _converted(self, convert, tree, tasks):
        total = None if self.many_examples_a_task else len(tasks)
        with tqdm(total=total, desc=self.name, unit=" examples", disable=None) as progress:
            for key, example in convert_all(convert, jobs_of(tree, tasks), self._workers):
                if isinstance(example, Skipped):
                    self._skip(str(example))
                else:
                    yield key, example
                    progress.update()

    def _process_pipeline_result(self, pipeline_result):
        """Adds the counts of what a Beam pipeline left out."""
        for counter in pipeline_result.metrics().query()["counters"]:
            if counter.key.metric.namespace == COUNTERS:
                self._skip(counter.key.metric.name, counter.committed or counter.attempted)

    def _skip(self, reason, count=1):
        if count:
            self.skipped[reason] += count
