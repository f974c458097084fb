"""What a video model remembers of the past: the frame encoder and the ConvLSTM, over time.

Reference: Reed et al. (2017), section 4.3; Kalchbrenner et al. (2016b), sections 3.1 and 3.2.
"""

import keras
from keras import ops

from ms_pixelcnn_tf.encoders.frames import FrameEncoder
from ms_pixelcnn_tf.layers.conv_lstm import ConvLSTM


class PastEncoder(keras.layers.Layer):
    """Frames, actions and states so far → one map of features: the ConvLSTM's hidden state.

    Args:
        config: a `configs.VideoConfig`.

    A frame is encoded by itself, its action and state are tiled and laid behind the features in
    depth, and the ConvLSTM takes one step. All that does not depend on the step before is `read`,
    for any number of frames at once. Its state is a dict: "hidden" and "cell", each `[B, h, w, F]`
    with h = H/stride; F is `config.lstm_features`.
    """

    def __init__(self, config, **kwargs):
        super().__init__(dtype=config.dtype, **kwargs)
        policy = self.dtype_policy
        self.fields = config.conditions
        self.size = tuple(side // config.frame_stride for side in config.image_size)
        self.frames = FrameEncoder(
            config.num_levels, config.channels, config.frame_features, config.frame_blocks,
            config.frame_stride, dtype=policy, name="frames",
        )
        inputs = 2 * config.frame_features
        inputs += sum(getattr(config, size) for size in ("action_size", "state_size"))
        self.memory = ConvLSTM(config.lstm_features, inputs, dtype=policy, name="memory")

    def build(self, frames_shape=None):
        self.frames.build()
        self.memory.build()

    def read(self, frames, conditions):
        """The share of the ConvLSTM's gates that each frame has, alone.

        Args:
            frames: `[N, H, W, C]` levels.
            conditions: dict of the model's fields, each `[N, size]`.

        Returns:
            `[N, h, w, ·]`.
        """
        inputs = [self.frames(frames)]
        for name in self.fields:
            values = ops.cast(conditions[name], self.compute_dtype)[:, None, None]
            shape = (*ops.shape(inputs[0])[:3], values.shape[-1])
            inputs.append(ops.broadcast_to(values, shape))
        return self.memory.read(ops.concatenate(inputs, axis=-1))

    def step(self, share, state):
        """The state after one more frame, given what was `read` of it."""
        hidden, cell = self.memory.step(share, (state["hidden"], state["cell"]))
        return {"hidden": hidden, "cell": cell}

    def initial_state(self, batch):
        """The state before the first frame."""
        return dict(zip(("hidden", "cell"), self.memory.initial_state(batch, self.size)))

    def states(self, frames, conditions):
        """The state after each frame; all frames are read at once.

        The steps are unrolled in Python: clips are short, and gradients pass through on every
        backend.

        Args:
            frames: `[B, T, H, W, C]` levels.
            conditions: dict, each `[B, T, size]`.

        Returns:
            A list of T states.
        """
        shares = self.read(fold(frames), {name: fold(conditions[name]) for name in self.fields})
        shares = unfold(shares, frames.shape[1])
        states = [self.initial_state(ops.shape(frames)[0])]
        for time in range(frames.shape[1]):
            states.append(self.step(shares[:, time], states[-1]))
        return states[1:]


def fold(values):
    """`[B, T, ...]` → `[B·T, ...]`: time folded into the batch."""
    return ops.reshape(values, (-1, *values.shape[2:]))


def unfold(values, length):
    """`[B·T, ...]` → `[B, T, ...]`: the inverse of `fold`, T being `length`."""
    return ops.reshape(values, (-1, length, *values.shape[1:]))
