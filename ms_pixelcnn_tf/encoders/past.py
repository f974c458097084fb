"""The memory of a video model: frames and poses, encoded and read by a ConvLSTM over time.

Reference: Reed et al. (2017), section 4.3; Kalchbrenner et al. (2016b), sections 3.1 and 3.2.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from ms_pixelcnn_tf.configs import VideoConfig
from ms_pixelcnn_tf.encoders.frames import FrameEncoder
from ms_pixelcnn_tf.encoders.poses import PoseEncoder
from ms_pixelcnn_tf.layers.conv_lstm import ConvLSTM, make_norm
from ms_pixelcnn_tf.types import Shape, Tensor


class PastEncoder(keras.layers.Layer):
    """Frames, actions and states so far → one map of features: the ConvLSTM's hidden state.

    Each frame is encoded by itself. Its action and state are encoded as maps and concatenated in
    depth, and the ConvLSTM takes one step. Both parts are layer-normalised, so that the few numbers
    of a pose count as much as the frame, unless `memory_norms` is "none", as in the paper.
    `input_gates` computes all that does not depend on the previous step, for any number of frames
    at once. The state is a dict with "hidden" and "cell", each `[B, h, w, F]`, where h = H/stride
    and F is `config.lstm_features`.

    Args:
        config: a `configs.VideoConfig`.
    """

    def __init__(self, config: VideoConfig, **kwargs: Any) -> None:
        super().__init__(dtype=config.dtype, **kwargs)
        policy = self.dtype_policy
        self.fields = config.conditions
        self.size = tuple(side // config.frame_stride for side in config.image_size)
        self.frames = FrameEncoder(
            config.num_levels,
            config.channels,
            config.frame_features,
            config.frame_blocks,
            config.frame_stride,
            config.pixel_inputs,
            config.encoder_dilation,
            dtype=policy,
            name="frames",
        )
        self.poses, self.widths = None, {"frames": 2 * config.frame_features}
        if self.fields:
            self.widths["poses"] = config.lstm_features
            self.poses = PoseEncoder(
                self.widths["poses"],
                config.action_size + config.state_size,
                self.size,
                config.pose_places,
                dtype=policy,
                name="poses",
            )
        self.norms = {
            name: make_norm(config.memory_norms, f"{name}_norm", policy) for name in self.widths
        }
        self.memory = ConvLSTM(
            config.lstm_features,
            sum(self.widths.values()),
            norms=config.memory_norms,
            dtype=policy,
            name="memory",
        )

    def build(self, frames_shape: Shape = None) -> None:
        self.frames.build()
        if self.poses is not None:
            self.poses.build()
        for name, norm in self.norms.items():
            norm.build((None, None, None, self.widths[name]))
        self.memory.build()

    def input_gates(self, frames: Tensor, conditions: Mapping[str, Tensor]) -> Tensor:
        """Each frame's share of the ConvLSTM's gates.

        Args:
            frames: `[N, H, W, C]` levels.
            conditions: dict with the model's fields, each `[N, size]`.

        Returns:
            `[N, h, w, 4F]`.
        """
        inputs = self.norms["frames"](self.frames(frames))
        if self.poses is not None:
            poses = [ops.cast(conditions[name], self.compute_dtype) for name in self.fields]
            maps = self.norms["poses"](self.poses(ops.concatenate(poses, axis=-1)))
            inputs = ops.concatenate([inputs, maps], axis=-1)
        return self.memory.input_gates(inputs)

    def step(self, share: Tensor, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state after one more frame, given its share of the gates (`input_gates`)."""
        hidden, cell = self.memory.step(share, (state["hidden"], state["cell"]))
        return {"hidden": hidden, "cell": cell}

    def initial_state(self, batch: int | Tensor) -> dict[str, Tensor]:
        """The state before the first frame."""
        return dict(
            zip(("hidden", "cell"), self.memory.initial_state(batch, self.size), strict=True)
        )

    def states(self, frames: Tensor, conditions: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """The state after each frame; all frames are encoded at once.

        The steps are unrolled in Python: clips are short, and gradients flow on every backend.

        Args:
            frames: `[B, T, H, W, C]` levels.
            conditions: dict, each `[B, T, size]`.

        Returns:
            A list of T states.
        """
        shares = self.input_gates(
            fold(frames), {name: fold(conditions[name]) for name in self.fields}
        )
        shares = unfold(shares, frames.shape[1])
        states = [self.initial_state(ops.shape(frames)[0])]
        for time in range(frames.shape[1]):
            states.append(self.step(shares[:, time], states[-1]))
        return states[1:]


def fold(values: Tensor) -> Tensor:
    """`[B, T, ...]` → `[B·T, ...]`: time folded into the batch."""
    return ops.reshape(values, (-1, *values.shape[2:]))


def unfold(values: Tensor, length: int) -> Tensor:
    """`[B·T, ...]` → `[B, T, ...]`: the inverse of `fold`; `length` is T."""
    return ops.reshape(values, (-1, length, *values.shape[1:]))
