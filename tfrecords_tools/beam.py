"""Conversion of tasks on Apache Beam (extra `[beam]`), on one machine or many."""

import apache_beam as beam
from apache_beam.metrics.metric import Metrics

from tfrecords_tools.archives import Tree
from tfrecords_tools.tasks import COUNTERS, Convert, Skipped, Task, converted, jobs_of


def conversion(convert: Convert, tree: Tree, tasks: list[Task]) -> beam.PTransform:
    """A transform that takes no input and gives `(key, example)` of all tasks.

    Args:
        convert: see `tasks.converted`.
        tree: the source, which every worker must reach by the same path.
        tasks: list of `Task`.
    """
    members = tree.members
    apart = [(task, members[task.name]) for task in tasks if not members[task.name].in_order_only]
    in_order = [task for task in tasks if members[task.name].in_order_only]
    parts = []
    if apart:
        parts.append("Members" >> beam.Create(apart))
    if in_order:  # one worker reads the compressed tars in order, all convert
        parts.append(
            "Archives" >> beam.Create([str(tree.source)])
            | "Read" >> beam.FlatMap(_read_in_order, tasks=in_order)
        )
    return _Conversion(convert, parts)


class _Conversion(beam.PTransform):
    def __init__(self, convert, parts):
        super().__init__()
        self._convert, self._parts = convert, parts

    def expand(self, pipeline):
        jobs = [pipeline | part for part in self._parts]
        jobs = jobs[0] if len(jobs) == 1 else jobs | beam.Flatten()
        return jobs | beam.Reshuffle() | "Convert" >> beam.FlatMap(_examples, convert=self._convert)


def _read_in_order(source, tasks):
    return jobs_of(Tree(source), tasks)


def _examples(job, convert):
    task, content = job
    for key, example in converted(convert, task, content):
        if isinstance(example, Skipped):
            Metrics.counter(COUNTERS, str(example)).inc()
        else:
            yield key, example
