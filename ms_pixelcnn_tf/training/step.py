"""The compiled training step: a function of batch and step, so that a resumed run repeats it."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from ms_pixelcnn_tf.configs import TrainConfig
from ms_pixelcnn_tf.pixels import bits_per_dim
from ms_pixelcnn_tf.training import scheduled_sampling
from ms_pixelcnn_tf.training.replicas import Replicas, sum_over_replicas
from ms_pixelcnn_tf.types import Tensor


def train_log_prob_terms(
    model: keras.Model, batch: Mapping[str, Tensor], offsets: Tensor, config: TrainConfig
) -> dict[str, Tensor]:
    """The terms of the log-likelihood to maximise. Examples larger than the crop are scored on
    random crops; with "past_frames" in the batch, frames are predicted from those.

    Args:
        model: an image or a video model.
        batch: the model's `example_field`, integer levels `[B, …, H, W, C]`, and its conditions.
        offsets: `[B, 2]` uniforms in [0, 1) that place the crops (`crop_offsets`).
        config: a `TrainConfig`.

    Returns:
        dict name → `[B]` float32, nats.
    """
    examples = batch[model.example_field]
    conditions = {field: batch[field] for field in model.config.conditions}
    if "past_frames" in batch:
        return model.log_prob_terms_given(examples, batch["past_frames"], conditions)
    return model.cropped_log_prob_terms(
        examples, conditions, config.crop_size or None, offsets, config.crop_halo
    )


def crop_offsets(count: int, step: Tensor, seed: int) -> Tensor:
    """`[count, 2]` float32 in [0, 1): a function of step and seed alone."""
    seeds = tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])
    return tf.random.stateless_uniform([count, 2], seeds)


def make_train_step(
    model: keras.Model,
    averaged: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    config: TrainConfig,
    replicas: Replicas | None = None,
) -> Callable[..., dict[str, Any]]:
    """Builds the training step.

    Args:
        model: the model to train.
        averaged: a model of the same configuration that takes the moving average of the weights, or
            `model` itself for none.
        optimizer: a Keras optimizer, built on the model's trainable variables.
        config: a `TrainConfig`. With `micro_batch_size`, the gradient is summed over parts of the
            batch, one after another, each of that many examples per replica.
        replicas: the `Replicas` in whose strategy's scope all of these were made; None:
            `Replicas()`.

    Returns:
        `(batch, step, stop=False) → metrics`, where `batch` holds this process's rows. It updates
        the weights, the optimizer and the averages. It changes nothing if a term, the gradient or
        an updated weight is not finite, or if any process gave `stop`. Metrics are float32 scalars,
        of the weights before the update: "bits" (bits per sub-pixel of the whole example),
        "gradient_norm" (of the loss weighted by `loss_weights`, over all variables, before
        clipping), "learning_rate", "terms" (a dict name → bits per sub-pixel of that term),
        "skipped" (1 or 0) and "stop" (above 0 if any process gave `stop`).
    """
    replicas = replicas or Replicas()
    strategy = replicas.strategy
    num_subpixels = sum(model.term_dims.values())
    variables = model.trainable_variables
    loss_parts = _loss_parts(model.term_dims, config.loss_weights)
    clipped_together = [variables] if config.clip_by == "all" else model.networks()

    def contribution(batch, offsets):
        """The part of some rows in the gradient of the loss and in each term's mean nats."""
        batch = scheduled_sampling.sample_past(model, batch)
        with tf.GradientTape() as tape:
            terms = train_log_prob_terms(model, batch, offsets, config)
            nats = {
                name: -tf.reduce_sum(log_prob) / config.batch_size
                for name, log_prob in terms.items()
            }
            loss = _total(
                [_total([nats[name] for name in names]) / dims for names, dims in loss_parts]
            )
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        return [_dense(*pair) for pair in zip(gradients, variables, strict=True)], nats

    def on_replica(batch, first, step, stop):
        count, batch = (
            batch[model.example_field].shape[0],
            scheduled_sampling.choose(batch, step, config),
        )
        offsets = crop_offsets(config.batch_size, step, config.seed)[first : first + count]
        found = _sum_over_parts(contribution, (batch, offsets), config.micro_batch_size or count)
        return sum_over_replicas((*found, stop))

    def clip(gradients):
        by_path = {variable.path: g for variable, g in zip(variables, gradients, strict=True)}
        for network in clipped_together:
            paths = [variable.path for variable in network]
            clipped, _ = tf.clip_by_global_norm(
                [by_path[path] for path in paths], config.gradient_clip_norm
            )
            by_path |= zip(paths, clipped, strict=True)
        return [by_path[variable.path] for variable in variables]

    def update(gradients, step):
        """Updates, and returns whether the new weights are finite; if not, restores all variables.
        This needs a copy of the weights and the optimizer's variables during the update."""
        held = [variable.value for variable in (*variables, *optimizer.variables)]
        before = [tf.identity(variable) for variable in held]

        def keep():
            if averaged is not model:
                update_average(averaged, model, step, config.ema_decay)
            return tf.constant(True)

        def put_back():
            for variable, value in zip(held, before, strict=True):
                variable.assign(value)
            return tf.constant(False)

        optimizer.apply(gradients, variables)
        finite = [tf.reduce_all(tf.math.is_finite(variable.value)) for variable in variables]
        return tf.cond(tf.reduce_all(finite), keep, put_back)

    # AutoGraph would first read and rewrite the source of every layer.
    @tf.function(autograph=False)
    def whole_step(batch, first, step, stop):
        reduced = strategy.run(on_replica, (batch, first, step, stop))
        gradients, nats, stop = tf.nest.map_structure(
            lambda values: strategy.experimental_local_results(values)[0], reduced
        )
        gradient_norm = tf.linalg.global_norm(gradients)
        loss = _total(list(nats.values())) / num_subpixels
        finite = tf.math.is_finite(loss) & tf.math.is_finite(gradient_norm)
        metrics = {
            "bits": bits_per_dim(loss, 1),
            "gradient_norm": gradient_norm,
            "learning_rate": tf.convert_to_tensor(optimizer.learning_rate),
            "terms": {name: bits_per_dim(nats[name], model.term_dims[name]) for name in nats},
            "stop": stop,
        }
        if config.gradient_clip_norm:
            gradients = clip(gradients)
        kept = tf.cond(
            finite & (stop == 0), lambda: update(gradients, step), lambda: tf.constant(True)
        )
        return metrics | {"skipped": 1.0 - tf.cast(finite & kept, tf.float32)}

    def train_step(batch, step, stop=False):
        shared = replicas.share(batch, config.batch_size)
        return whole_step(*shared, step, tf.constant(float(stop)))

    return train_step


def _loss_parts(term_dims, loss_weights):
    """The parts of the loss, `(names of terms, sub-pixels)`. The loss divides each part's nats by
    its sub-pixels. A part is the whole example, or a scale ("8to16" of "8to16/group2")."""
    parts = {}
    for name, dims in term_dims.items():
        scale = name.rpartition("/")[0] if loss_weights == "per_scale" else ""
        names, total = parts.get(scale, ([], 0))
        parts[scale] = [*names, name], total + dims
    return list(parts.values())


def _total(terms):
    """The sum of scalars. (Not `add_n`: TensorFlow's graph optimizer may change its order from one
    trace to the next, and with it the last bit.)"""
    return tf.reduce_sum(tf.stack(terms))


def _sum_over_parts(function, rows, size):
    """The sum of `function(*part)`, a structure of tensors, over parts of up to `size` rows.

    The graph runs one part after another, so that memory holds only one.

    Args:
        function: takes the structures in `rows`, with the rows of one part.
        rows: tuple of structures of tensors `[n, …]`.
        size: rows of a part; the first part may be smaller.
    """
    count = tf.nest.flatten(rows)[0].shape[0]
    start = count % size or min(size, count)

    def part(first, length):
        return tf.nest.map_structure(lambda values: values[first : first + length], rows)

    total = function(*part(0, start))
    if start == count:
        return total
    function = tf.function(function, autograph=False)  # one trace for all parts in the loop

    def add(first, total):
        own = tf.nest.map_structure(
            lambda values: tf.ensure_shape(values, (size, *values.shape[1:])), part(first, size)
        )
        return first + size, tf.nest.map_structure(tf.add, total, function(*own))

    _, total = tf.while_loop(
        lambda first, _: first < count, add, (tf.constant(start), total), parallel_iterations=1
    )
    return total


def _dense(gradient, variable):
    """A gradient as a dense tensor; zeros if it is None. (A lookup's gradient is sparse, and the
    norm would count its rows separately.)"""
    if gradient is None:
        return tf.zeros(variable.shape, variable.dtype)
    return tf.ensure_shape(tf.convert_to_tensor(gradient), variable.shape)


def update_average(averaged: keras.Model, model: keras.Model, step: Tensor, decay: float) -> None:
    """averaged ← d·averaged + (1-d)·model with d = min(decay, (1+step)/(10+step)).

    The warm-up lets the average leave the initial weights behind quickly.
    """
    step = tf.cast(step, tf.float32)
    keep = tf.minimum(decay, (1.0 + step) / (10.0 + step))
    for mean, new in zip(averaged.trainable_variables, model.trainable_variables, strict=True):
        mean.assign_add(tf.cast(1.0 - keep, mean.dtype) * (new - mean))


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies all variables of `source` into `target`."""
    for new, old in zip(source.variables, target.variables, strict=True):
        old.assign(new)
