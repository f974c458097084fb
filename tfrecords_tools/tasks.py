"""The unit of a conversion, and how many are done at once.

A plan lists, for each split, one `Task` an image (or a file of many examples). Turning a task into
examples is a pure function of the task and its file's content, so it can run here, in processes, or
on a Beam runner, and gives the same examples everywhere.
"""

import collections
import concurrent.futures
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools.archives import Content

JOBS_AHEAD = 8  # a worker: enough to keep it busy, few enough to keep memory flat


class Task(NamedTuple):
    """What is to become one example, or several.

    Attributes:
        key: unique in its split; where several examples come of it, they append to it.
        name: the file of the source that holds it.
        annotation: what else is known of it; small, and fit to be sent to another process.
    """

    key: str
    name: str
    annotation: dict[str, Any]


Keyed: TypeAlias = "tuple[str, dict[str, Any] | Skipped]"  # an example, or why there is none
Examples: TypeAlias = Iterator[Keyed]
Convert: TypeAlias = Callable[[Task, Content], Iterable[Keyed]]
Skip: TypeAlias = Callable[..., None]  # counts what is left out: reason, and number (default 1)


class Plan(NamedTuple):
    """What is to be converted, and what the source told on the way.

    Attributes:
        tasks: dict split → list of `Task`.
        metadata: dict of what goes beside the built data.
    """

    tasks: dict[str, list[Task]]
    metadata: dict[str, Any]


class Skipped(Exception):
    """Why a task, or a part of it, gives no example, in a few words that many have in common."""


def fewest(captions: Mapping[Any, Sequence[str]] | None) -> int:
    """The least number of captions of an image that has any; 0 where none has.

    Args:
        captions: dict image → list of its captions; None without.
    """
    return min(filter(None, map(len, (captions or {}).values())), default=0)


def counts_told(skipped: Mapping[str, int]) -> str:
    """What was left out and why, a dict reason → number, in one line."""
    return "; ".join(f"{count:,} {reason}" for reason, count in skipped.items()) or "none"


def converted(convert: Convert, task: Task, content: Content) -> list[Keyed]:
    """What comes of a task: a list of `(key, example)`, with `Skipped` in an example's place.

    Args:
        convert: `(task, content bytes or path-like Member) → iterable of (key, example)`; raises
            `Skipped`.
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
        convert: as for `converted`; a module's function, or a partial of one.
        jobs: iterable of `(Task, content)`; taken a few at a time.
        workers: processes; 1: this one.

    Raises:
        UserError: as `convert` does, or if a worker dies.
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
