"""One training step: a function of (batch, step), compiled, so that a resumed run repeats it."""

import tensorflow as tf

from ms_pixelcnn_tf.pixels import bits_per_dim


def train_log_prob_terms(model, batch, step, config):
    """The terms to maximise; on random crops where the images are larger than the crop.

    Args:
        model: an image model.
        batch: "image", integer levels `[B, H, W, C]`, and the fields that condition the model.
        step: int64 scalar; with `config.seed` it fixes the crops.
        config: `TrainConfig`.

    Returns:
        dict name → `[B]` float32, nats.
    """
    images = batch["image"]
    conditions = {field: batch[field] for field in model.config.conditions}
    crop_size = config.crop_size
    if not crop_size or max(model.config.image_size) <= crop_size:
        return model.log_prob_terms(images, conditions)
    seed = tf.stack([tf.constant(config.seed, tf.int64), tf.cast(step, tf.int64)])
    offsets = tf.random.stateless_uniform([tf.shape(images)[0], 2], seed)
    return model.cropped_log_prob_terms(images, conditions, crop_size, offsets)


def make_train_step(model, averaged, optimizer, config):
    """Builds the step.

    Args:
        model: the model that is trained.
        averaged: a model of the same build whose weights follow as a moving average, or `model`
            itself for none.
        optimizer: a Keras optimizer, built on the model's trainable variables.
        config: `TrainConfig`.

    Returns:
        A compiled `(batch, step) → metrics`. It updates the weights, the optimizer and the
        averages. Metrics are float32 scalars of the weights before the update: "bits" (bits per
        sub-pixel), "gradient_norm" (of the loss in nats per sub-pixel, before clipping),
        "learning_rate" and "terms", a dict name → bits per sub-pixel of that term.
    """
    num_subpixels = sum(model.term_dims.values())

    @tf.function
    def train_step(batch, step):
        with tf.GradientTape() as tape:
            terms = train_log_prob_terms(model, batch, step, config)
            nats = {name: -tf.reduce_mean(log_prob) for name, log_prob in terms.items()}
            loss = tf.add_n(list(nats.values())) / num_subpixels
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        gradient_norm = tf.linalg.global_norm(gradients)
        if config.gradient_clip_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, config.gradient_clip_norm, use_norm=gradient_norm
            )
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
