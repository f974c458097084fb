"""One training on many devices, or many machines: which rows of a batch are whose, and who writes.

The batch is the configuration's, whatever the number R of replicas: replica r takes rows
⌊r·B/R⌋ … ⌊(r+1)·B/R⌋ of it, and the gradient is the sum of their parts. So the loss curve is the
one of a single process, but for the rounding of sums.
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

CHECKED_DIGITS = 6  # hexadecimal, of a hash: sums of its square are exact in float64

LOSSES = (  # what TensorFlow raises when a peer of a collective operation is lost
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


class Replicas:
    """What a process has to know of the others. To be made before TensorFlow does anything.

    Args:
        strategy: a `tf.distribute.Strategy`. By default several workers in TF_CONFIG make it a
            `MultiWorkerMirroredStrategy`, several GPUs a `MirroredStrategy`; otherwise it is
            TensorFlow's own default, which does nothing.

    Attributes:
        strategy: the strategy.
        number: of replicas, R.
        workers: how many processes there are.
        worker: this process's number, from 0.
        is_chief: whether this process writes what the run leaves; the first one does.

    Raises:
        UserError: for a TF_CONFIG that is no cluster's.
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
        """`(first, stop)`: the rows of each batch that this process's replicas take.

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
        """This process's rows, shared out among its replicas.

        Args:
            batch: dict of tensors, the rows of `rows`.
            batch_size: rows of all replicas.

        Returns:
            `(rows, first)` as `strategy.run` takes them: each replica's rows, and the number of
            its first one in the whole batch.
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
    def told_of_losses(self) -> Iterator[None]:
        """Turns TensorFlow's errors about a worker that is gone into a UserError."""
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
        """Returns when all workers have come here: before that none may end."""
        if self.workers > 1:
            self.sum([0.0])

    def check_agreement(self, what: str, text: str) -> None:
        """Raises UserError unless all workers give the same text. Waits for the last of them."""
        own = float(int(hashlib.sha256(text.encode()).hexdigest()[:CHECKED_DIGITS], 16))
        # All are the same just if their mean is this one's, and their variance 0.
        total, squares = self.sum([own, own**2])
        if (total, squares) != (self.number * own, self.number * own**2):
            raise UserError(
                f"the {self.workers} workers have not the same {what}; start all of them with the "
                "same flags, and a workdir that all see"
            )

    def sum(self, numbers: Sequence[float]) -> np.ndarray:
        """The sums of numbers over all replicas, float64. Waits for all workers."""

        @tf.function(autograph=False)
        def total(values):
            reduced = self.strategy.run(sum_over_replicas, (values,))
            return self.strategy.experimental_local_results(reduced)[0]

        return total(tf.constant(numbers, tf.float64)).numpy()


def sum_over_replicas(tensors: Any) -> Any:
    """In a replica: a structure of tensors, summed over all of them."""
    # What came as an argument has no device yet, and TensorFlow asks it for the place of the sum.
    tensors = tf.nest.map_structure(tf.identity, tensors)
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def _reason(error):
    """What TensorFlow's error says first, in up to 200 characters."""
    lines = [
        line
        for line in str(error).splitlines()
        if line.strip() and not line.startswith("Graph exec")
    ]
    return lines[0].strip()[:200] if lines else type(error).__name__


def _bound(replica, batch_size, number):
    return replica * batch_size // number


def _place_in_cluster():
    """This worker's number, 0 for the chief, and how many TF_CONFIG names; (0, 1) without one."""
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
