"""Replicas: one run on several devices or machines, each with a share of every batch's rows.

The batch size B is that of the configuration, for any number R of replicas. Replica r takes the
rows from ⌊r·B/R⌋ up to, but not including, ⌊(r+1)·B/R⌋, and the gradient is the sum of the
replicas' parts. So the loss curve equals that of a single process, except for the rounding of sums.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import Tensor

CHECKED_DIGITS = 6  # of a hexadecimal hash: sums of its square are exact in float64

LOSSES = (  # TensorFlow's errors when a collective operation loses a peer
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


class Replicas:
    """The place of a process among the replicas. Make it before TensorFlow does anything.

    Args:
        strategy: a `tf.distribute.Strategy`. The default is a `MultiWorkerMirroredStrategy` if
            TF_CONFIG names several workers, a `MirroredStrategy` with several GPUs, and otherwise
            TensorFlow's own default, which does nothing.

    Attributes:
        strategy: the strategy.
        number: number of replicas, R.
        workers: number of processes.
        worker: this process's number, from 0.
        is_chief: whether this process writes the run's files; the first one does.

    Raises:
        UserError: if TF_CONFIG does not describe a cluster, or the cluster cannot be joined.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self.worker, self.workers = (0, 1) if strategy else _place_in_cluster()
        if strategy:
            self.strategy = strategy
        elif self.workers > 1:
            try:
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            except (tf.errors.OpError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"cannot join the cluster that TF_CONFIG names: {_reason(error)}; see that its "
                    "ports are free and its hosts can be reached"
                ) from error
        elif len(tf.config.list_logical_devices("GPU")) > 1:
            self.strategy = tf.distribute.MirroredStrategy()
        else:
            self.strategy = tf.distribute.get_strategy()
        self.number = self.strategy.num_replicas_in_sync
        self.is_chief = self.worker == 0

    def rows(self, batch_size: int) -> tuple[int, int]:
        """`(first, stop)`: the rows of each batch for the replicas of this process.

        Raises:
            UserError: if there are more replicas than rows.
        """
        if self.number > batch_size:
            raise UserError(
                f"batch_size is {batch_size}, which {self.number} replicas cannot share; give at "
                f"least {self.number}, or fewer devices"
            )
        here = self.number // self.workers
        first = self.worker * here
        return _bound(first, batch_size, self.number), _bound(first + here, batch_size, self.number)

    def share(self, batch: Mapping[str, Tensor], batch_size: int) -> tuple[Any, Any]:
        """Shares out this process's rows among its replicas.

        Args:
            batch: dict of tensors that hold the rows of `rows`.
            batch_size: number of rows of all replicas.

        Returns:
            `(rows, first)`, arguments for `strategy.run`: each replica's rows, and the number of
            its first row in the whole batch.
        """
        if self.number == 1:
            return batch, tf.constant(0)
        start = self.rows(batch_size)[0]

        def of_replica(context):
            replica = context.replica_id_in_sync_group
            first, stop = (_bound(r, batch_size, self.number) for r in (replica, replica + 1))
            rows = {name: values[first - start : stop - start] for name, values in batch.items()}
            return rows, tf.constant(first)

        return self.strategy.experimental_distribute_values_from_function(of_replica)

    @contextlib.contextmanager
    def reporting_lost_workers(self) -> Iterator[None]:
        """Turns TensorFlow's errors about a lost worker into a UserError."""
        try:
            yield
        except LOSSES as error:
            if self.workers == 1:
                raise
            raise UserError(
                f"a worker is gone or cannot be reached ({_reason(error)}); this one stops as "
                f"well: start all {self.workers} again by the same commands, and they go on from "
                "the last checkpoint"
            ) from error

    def wait_for_all(self) -> None:
        """Returns once all workers have called it: no worker may end before."""
        if self.workers > 1:
            self.sum([0.0])

    def check_agreement(self, what: str, text: str) -> None:
        """Raises UserError unless all workers give the same text. Waits for all workers."""
        own = float(int(hashlib.sha256(text.encode()).hexdigest()[:CHECKED_DIGITS], 16))
        # All are the same if and only if their mean is this one's and their variance is 0.
        total, squares = self.sum([own, own**2])
        if (total, squares) != (self.number * own, self.number * own**2):
            raise UserError(
                f"the {self.workers} workers have not the same {what}; start all of them with the "
                "same flags, and a workdir that all see"
            )

    def sum(self, numbers: Sequence[float]) -> np.ndarray:
        """Sums each number over all replicas, in float64. Waits for all workers."""

        @tf.function(autograph=False)
        def total(values):
            reduced = self.strategy.run(sum_over_replicas, (values,))
            return self.strategy.experimental_local_results(reduced)[0]

        return total(tf.constant(numbers, tf.float64)).numpy()


def sum_over_replicas(tensors: Any) -> Any:
    """Sums a structure of tensors over all replicas; call it in each of them."""
    # An argument has no device yet, and TensorFlow takes the device of the sum from it.
    tensors = tf.nest.map_structure(tf.identity, tensors)
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def _reason(error):
    """The first line of TensorFlow's message, in up to 200 characters."""
    lines = [
        line
        for line in str(error).splitlines()
        if line.strip() and not line.startswith("Graph exec")
    ]
    return lines[0].strip()[:200] if lines else type(error).__name__


def _bound(replica, batch_size, number):
    return replica * batch_size // number


def _place_in_cluster():
    """This worker's number (0: the chief) and the number of workers; (0, 1) without a cluster."""
    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        tasks = [
            (kind, index)
            for kind in ("chief", "worker")
            for index in range(len(config.get("cluster", {}).get(kind, ())))
        ]
        if len(tasks) < 2:
            return 0, 1
        own = config["task"]["type"], int(config["task"]["index"])
        if own not in tasks:
            raise ValueError(f"there is no {own[0]} {own[1]} in the cluster")
        return tasks.index(own), len(tasks)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"TF_CONFIG is no cluster's ({type(error).__name__}: {error}); valid: "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from error
