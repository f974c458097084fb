"""Tasks, the units of a conversion, and their conversion in one process or several.

A plan lists the tasks of each split: one `Task` per image, or per part of a file with many
examples. A conversion is a pure function of the task and its file's content. So it gives the same
examples in this process, in others and on a Beam runner.
"""

import collections
import concurrent.futures
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools.archives import Content, Tree

COUNTERS = "ms_pixelcnn_tf skipped"  # namespace of a Beam pipeline's counters, one per reason
JOBS_AHEAD = 8  # per worker: enough to keep it busy, few enough to bound memory


class Task(NamedTuple):
    """The description of one example, or of several in one file.

    Attributes:
        key: unique in its split. `convert` uses it for a single example and makes one key for each
            of several.
        name: the file of the source that holds the content.
        annotation: everything else that `convert` needs; small, and can be sent to another process.
    """

    key: str
    name: str
    annotation: dict[str, Any]


Keyed: TypeAlias = "tuple[str, dict[str, Any] | Skipped]"  # an example, or why there is none
Examples: TypeAlias = Iterator[Keyed]
Convert: TypeAlias = Callable[[Task, Content], Iterable[Keyed]]
Skip: TypeAlias = Callable[..., None]  # counts what is left out: reason and number (default 1)


class Plan(NamedTuple):
    """The tasks of a data set and the metadata found in its source.

    Attributes:
        tasks: dict split → list of `Task`.
        metadata: dict that is stored with the built data.
    """

    tasks: dict[str, list[Task]]
    metadata: dict[str, Any]


class Skipped(Exception):
    """The reason why a task, or a part of it, gives no example: a short phrase to count by."""


def fewest(captions: Mapping[Any, Sequence[str]] | None) -> int:
    """The smallest number of captions per image, over images with captions; 0 if there are none.

    Args:
        captions: dict image → list of its captions, or None.
    """
    return min(filter(None, map(len, (captions or {}).values())), default=0)


def counts_told(skipped: Mapping[str, int]) -> str:
    """One line on what was left out and why, from a dict reason → number."""
    return "; ".join(f"{count:,} {reason}" for reason, count in skipped.items()) or "none"


def converted(convert: Convert, task: Task, content: Content) -> list[Keyed]:
    """The examples of a task: a list of `(key, example or Skipped)`.

    Args:
        convert: `(task, content) → iterable of (key, example or Skipped)`; may raise `Skipped`,
            which then ends the list.
        task: a `Task`.
        content: an `archives.Member`, or the file's bytes.
    """
    found = []
    try:
        for key, example in convert(task, content):
            found.append((key, example))
    except Skipped as reason:
        found.append((task.key, reason))
    return found


def convert_all(
    convert: Convert, jobs: Iterable[tuple[Task, Content]], workers: int
) -> Iterator[Keyed]:
    """Yields `(key, example or Skipped)` of all jobs, in their order.

    Args:
        convert: see `converted`. It must be picklable: a function of a module, or a partial of one.
        jobs: iterable of `(Task, content)`; only a few are read ahead.
        workers: number of processes; 1: this process converts.

    Raises:
        UserError: if `convert` raises it or a worker dies.
    """
    if workers <= 1:
        for task, content in jobs:
            yield from converted(convert, task, content)
        return
    jobs, context = iter(jobs), multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=context)
    try:
        pending = collections.deque(
            pool.submit(converted, convert, *job)
            for job in itertools.islice(jobs, workers * JOBS_AHEAD)
        )
        while pending:
            yield from pending.popleft().result()
            pending.extend(
                pool.submit(converted, convert, *job) for job in itertools.islice(jobs, 1)
            )
    except concurrent.futures.process.BrokenProcessPool as error:
        raise UserError(
            "a worker process died, perhaps of want of memory; lower --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def jobs_of(tree: Tree, tasks: Iterable[Task]) -> Iterator[tuple[Task, Content]]:
    """Yields `(Task, Member or bytes)` of each task, in the order of `Tree.contents`."""
    by_name = collections.defaultdict(list)
    for task in tasks:
        by_name[task.name].append(task)
    for name, content in tree.contents(by_name):
        for task in by_name[name]:
            yield task, content
