"""One training step: a function of (batch, step), compiled, so that a resumed run repeats it."""

import tensorflow as tf

from ms_pixelcnn_tf.pixels import bits_per_dim


def train_log_prob_terms(model, batch, offsets, config):
    """The terms to maximise; on random crops where the examples are larger than the crop.

    Args:
        model: an image or a video model.
        batch: the model's `example_field`, integer levels `[B, …, H, W, C]`, and the fields that
            condition it.
        offsets: `[B, 2]` uniforms in [0, 1) that place the crops (`crop_offsets`).
        config: `TrainConfig`.

    Returns:
        dict name → `[B]` float32, nats.
    """
    examples = batch[model.example_field]
    conditions = {field: batch[field] for field in model.config.conditions}
    crop_size = config.crop_size
    if not crop_size or max(model.config.image_size) <= crop_size:
        return model.log_prob_terms(examples, conditions)
    return model.cropped_log_prob_terms(examples, conditions, crop_size, offsets)


def crop_offsets(count, step, seed):
    """`[count, 2]` float32 in [0, 1): a function of step and seed alone."""
    seeds = tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])
    return tf.random.stateless_uniform([count, 2], seeds)


def make_train_step(model, averaged, optimizer, config):
    """Builds the step.

    Args:
        model: the model that is trained.
        averaged: a model of the same build whose weights follow as a moving average, or `model`
            itself for none.
        optimizer: a Keras optimizer, built on the model's trainable variables.
        config: `TrainConfig`. With `micro_batch_size` the gradient is summed over parts of the
            batch in turn, each of so many examples.

    Returns:
        A compiled `(batch, step) → metrics`. It updates the weights, the optimizer and the
        averages. Metrics are float32 scalars of the weights before the update: "bits" (bits per
        sub-pixel), "gradient_norm" (of the loss in nats per sub-pixel, before clipping),
        "learning_rate" and "terms", a dict name → bits per sub-pixel of that term.
    """
    num_subpixels = sum(model.term_dims.values())
    variables = model.trainable_variables

    def gradients_of(batch, offsets):
        """Gradients of the loss, one a variable, and the mean nats of each term."""
        with tf.GradientTape() as tape:
            terms = train_log_prob_terms(model, batch, offsets, config)
            nats = {name: -tf.reduce_mean(log_prob) for name, log_prob in terms.items()}
            loss = tf.add_n(list(nats.values())) / num_subpixels
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        return [_dense(*pair) for pair in zip(gradients, variables, strict=True)], nats

    @tf.function
    def train_step(batch, step):
        count = batch[model.example_field].shape[0]
        offsets = crop_offsets(count, step, config.seed)
        if config.micro_batch_size in (0, count):
            gradients, nats = gradients_of(batch, offsets)
        else:
            parts = _in_parts((batch, offsets), config.micro_batch_size)
            gradients, nats = _mean_over_parts(gradients_of, parts)
        gradient_norm = tf.linalg.global_norm(gradients)
        if config.gradient_clip_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, config.gradient_clip_norm, use_norm=gradient_norm
            )
        loss = tf.add_n(list(nats.values())) / num_subpixels
        metrics = {
            "bits": bits_per_dim(loss, 1),
            "gradient_norm": gradient_norm,
            "learning_rate": tf.convert_to_tensor(optimizer.learning_rate),
            "terms": {name: bits_per_dim(nats[name], model.term_dims[name]) for name in nats},
        }
        optimizer.apply(gradients, variables)
        if averaged is not model:
            update_average(averaged, model, step, config.ema_decay)
        return metrics

    return train_step


def _in_parts(tensors, size):
    """A structure of tensors `[B, …]` → of `[B/size, size, …]`."""
    return tf.nest.map_structure(
        lambda values: tf.reshape(values, (-1, size, *values.shape[1:])), tensors
    )


def _mean_over_parts(function, parts):
    """The mean of `function(*part)`, a structure of tensors, over the parts, one after the other.

    The loop is the graph's, so that one part at a time is in memory.
    """
    number = tf.nest.flatten(parts)[0].shape[0]
    function = tf.function(function)  # traced once, for the first part and those in the loop

    def part(index):
        return tf.nest.map_structure(lambda values: values[index], parts)

    def add(index, total):
        more = function(*part(index))
        return index + 1, tf.nest.map_structure(tf.add, total, more)

    first = function(*part(0))
    _, total = tf.while_loop(
        lambda index, _: index < number, add, (tf.constant(1), first), parallel_iterations=1
    )
    return tf.nest.map_structure(lambda values: values / number, total)


def _dense(gradient, variable):
    """A gradient as a tensor: a lookup's is sparse, and its rows would count apart in the norm;
    where there is none it is 0."""
    if gradient is None:
        return tf.zeros(variable.shape, variable.dtype)
    return tf.ensure_shape(tf.convert_to_tensor(gradient), variable.shape)


def update_average(averaged, model, step, decay):
    """averaged ← d·averaged + (1-d)·model with d = min(decay, (1+step)/(10+step)).

    The warm-up lets the average leave the initial weights behind quickly.
    """
    step = tf.cast(step, tf.float32)
    keep = tf.minimum(decay, (1.0 + step) / (10.0 + step))
    for mean, new in zip(averaged.trainable_variables, model.trainable_variables, strict=True):
        mean.assign_add(tf.cast(1.0 - keep, mean.dtype) * (new - mean))


def copy_weights(source, target):
    """Gives `target` the weights of `source`, variable by variable."""
    for new, old in zip(source.variables, target.variables, strict=True):
        old.assign(new)
