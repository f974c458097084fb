"""A video model over time: known frames are scored all at once, unknown ones decoded in order.

`VideoGraphs` compiles some of these functions; `decode_stepwise` and `decode_naive` loop over
compiled ones. Each takes the model, then tensors:

* `frames` `[B, T, H, W, C]` or `given` `[B, G, H, W, C]`, integer levels (or floats holding them);
* `uniforms` `[B, T - G, H, W, C]`;
* `sequences`: a dict of inputs for the whole clip, `[B, T, ...]`: the model's conditions, or, for
  OT_upscaler, "low", the frames at half their size.

Each frame is predicted from the previous frame and the ConvLSTM's state, which has read all earlier
frames, actions and states. A step reads one frame, never the past again (except `decode_naive`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras import ops

from ms_pixelcnn_tf.encoders.past import fold, unfold
from ms_pixelcnn_tf.models.checks import uniforms_dtype
from ms_pixelcnn_tf.models.video.frame_factors import FrameContext
from ms_pixelcnn_tf.sampling import loops
from ms_pixelcnn_tf.types import Tensor

if TYPE_CHECKING:
    from ms_pixelcnn_tf.models.video.model import VideoPixelCNN

# -- known frames ---------------------------------------------------------------------------------


def teacher_forced(
    model: "VideoPixelCNN",
    frames: Tensor,
    sequences: Mapping[str, Tensor],
    past_frames: Tensor | None = None,
) -> tuple[FrameContext, Tensor]:
    """The `FrameContext` of all frames to predict, and those frames; time is folded into the batch.

    They are predicted from `past_frames`, or from the true frames if it is None.
    """
    count, shown = model.config.given_frames, frames if past_frames is None else past_frames
    previous, own = shown[:, count - 1 : -1], frames[:, count:]
    if not model.pasts:
        return FrameContext(fold(previous)), fold(own)
    hidden = {}
    for name, encoder in model.pasts.items():
        states = encoder.states(shown[:, :-1], _until(sequences, -1))[count - 1 :]
        hidden[name] = fold(ops.stack([state["hidden"] for state in states], axis=1))
    return FrameContext(fold(previous), hidden), fold(own)


def log_prob_by_frame(
    model: "VideoPixelCNN",
    frames: Tensor,
    sequences: Mapping[str, Tensor],
    past_frames: Tensor | None = None,
) -> dict[str, Tensor]:
    """The terms of log p of each frame, all scored at once: name → `[B, T - G]` nats.

    `past_frames` is as for `teacher_forced`.
    """
    terms = model.decoder.log_prob_terms(*teacher_forced(model, frames, sequences, past_frames))
    length = frames.shape[1] - model.config.given_frames
    return {name: unfold(term, length) for name, term in terms.items()}


def sampled_past(
    model: "VideoPixelCNN",
    frames: Tensor,
    sequences: Mapping[str, Tensor],
    uniforms: Tensor,
    chosen: Tensor,
) -> Tensor:
    """The frames, with those that are `chosen` `[B, P, T]` replaced by samples, in P passes.

    Each pass samples all frames at once from its part of `uniforms` `[B, P, T, H, W, C]`, and
    predicts each frame from the result of the previous pass. So P passes lead up to P samples away
    from the true frames. The given frames stay unchanged.

    Reference: Bengio et al. (2015), "Scheduled Sampling"; in passes, not frame by frame, as in
    Mihaylova and Martins (2019).
    """
    count, past_frames = model.config.given_frames, frames
    for index in range(uniforms.shape[1]):
        past, _ = teacher_forced(model, frames, sequences, past_frames)
        levels, _ = model.decoder.decode(past, fold(uniforms[:, index, count:]), score=False)
        levels = ops.cast(unfold(levels, frames.shape[1] - count), frames.dtype)
        sampled = ops.concatenate([frames[:, :count], levels], axis=1)
        past_frames = ops.where(chosen[:, index, :, None, None, None], sampled, frames)
    return past_frames


# -- decoding -------------------------------------------------------------------------------------


def start(model: "VideoPixelCNN", given: Tensor, sequences: Mapping[str, Tensor]) -> dict[str, Any]:
    """The state after all given frames but the last: encoder name → state of its ConvLSTM."""
    if not model.pasts or given.shape[1] == 1:  # OT_upscaler's number of frames may be unknown
        return initial_state(model, ops.shape(given)[0])
    count = given.shape[1] - 1
    return {
        name: encoder.states(given[:, :count], _until(sequences, count))[-1]
        for name, encoder in model.pasts.items()
    }


def initial_state(model: "VideoPixelCNN", batch: int | Tensor) -> dict[str, Any]:
    """The state before the first frame."""
    return {name: encoder.initial_state(batch) for name, encoder in model.pasts.items()}


def advance(
    model: "VideoPixelCNN", state: dict[str, Any], previous: Tensor, inputs: Mapping[str, Tensor]
) -> tuple[dict[str, Any], FrameContext]:
    """Reads one frame and prepares the next.

    Args:
        state: the state before the frame.
        previous: the frame to read, `[B, H, W, C]` levels.
        inputs: dict `[B, ...]` of its action and state, or, for OT_upscaler, of "low" of the next
            frame.

    Returns:
        The state after the frame, and the `FrameContext` of the next one.
    """
    if not model.pasts:
        return state, FrameContext(previous, low=inputs["low"])
    state = {
        name: encoder.step(encoder.input_gates(previous, inputs), state[name])
        for name, encoder in model.pasts.items()
    }
    return state, FrameContext(previous, {name: own["hidden"] for name, own in state.items()})


def decode_step(
    model: "VideoPixelCNN",
    uniforms: Tensor,
    previous: Tensor,
    state: dict[str, Any],
    inputs: Mapping[str, Tensor],
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Decodes one frame: int32 levels, their log p `[B]`, and the state after `previous`."""
    state, past = advance(model, state, previous, inputs)
    frame, log_prob = model.decoder.decode(past, uniforms)
    return frame, log_prob, state


def decode_cached(
    model: "VideoPixelCNN",
    uniforms: Tensor,
    given: Tensor,
    sequences: Mapping[str, Tensor],
    score: bool,
) -> Tensor | tuple[Tensor, Tensor]:
    """Decodes the predicted frames, uint8 `[B, T - G, H, W, C]`, in one loop over time.

    With `score` also returns their log p, `[B]` nats.
    """
    length, uniforms = uniforms.shape[1], _time_first(uniforms)
    inputs = _step_inputs(model, sequences, length)

    def step(index, carry):
        state, previous, video, *total = carry
        state, past = advance(model, state, previous, _at(inputs, index))
        frame, log_prob = model.decoder.decode(past, uniforms[index], score)
        total = [ops.cast(log_prob, _dtype(model)) + total[0]] if score else []
        return state, frame, loops.push(video, ops.cast(frame, "uint8")), *total

    total = [ops.zeros_like(given[:, 0, 0, 0, 0], dtype=_dtype(model))] if score else []
    carry = (
        start(model, given, sequences),
        given[:, -1],
        ops.zeros_like(uniforms, dtype="uint8"),
        *total,
    )
    _, _, video, *total = ops.fori_loop(0, length, step, carry)
    video = _time_first(video)
    return (video, total[0]) if score else video


def decode_stepwise(
    model: "VideoPixelCNN", uniforms: Tensor, given: Tensor, sequences: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """`decode_cached` as a Python loop over `model.graphs.step`; always returns log p."""
    state, previous = model.graphs.start(given, _until(sequences, given.shape[1])), given[:, -1]
    length, uniforms = uniforms.shape[1], _time_first(uniforms)
    inputs, frames, total = _step_inputs(model, sequences, length), [], 0.0
    for index in range(length):
        previous, log_prob, state = model.graphs.step(
            uniforms[index], previous, state, _at(inputs, index)
        )
        frames.append(previous)
        total = total + log_prob
    return ops.cast(ops.stack(frames, axis=1), "uint8"), total


def decode_naive(
    model: "VideoPixelCNN", uniforms: Tensor, given: Tensor, sequences: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """`decode_cached` without a cache: what ancestral sampling costs. Always returns log p.

    It reads the whole past again for each frame, and evaluates a network on a whole map for each
    sub-pixel, or for each pixel with a DMOL.
    """
    length, frames, total = uniforms.shape[1], given, 0.0
    inputs = _step_inputs(model, sequences, length)
    for index in range(length):
        known = {"previous": frames[:, -1]}
        if not model.pasts:
            known["low"] = inputs["low"][index]
        else:
            so_far = _until(sequences, frames.shape[1])
            known["hidden"] = {
                name: encoder.states(frames, so_far)[-1]["hidden"]
                for name, encoder in model.pasts.items()
            }
        frame, log_prob = model.graphs.naive(uniforms[:, index], known)
        frames = ops.concatenate([frames, frame[:, None]], axis=1)
        total = total + log_prob
    return ops.cast(frames[:, given.shape[1] :], "uint8"), total


def _step_inputs(model, sequences, length):
    """The `inputs` of `advance` at each step, time first: `[T - G, B, ...]`; `length` is T - G.

    The conditions are those of the previous frame, so those of the last frame are not used.
    """
    part = slice(-length, None) if not model.pasts else slice(-length - 1, -1)
    return {name: _time_first(values[:, part]) for name, values in sequences.items()}


def _dtype(model):
    """The dtype in which log-probabilities are added up."""
    return uniforms_dtype(model.config)


def _until(sequences, stop):
    return {name: values[:, :stop] for name, values in sequences.items()}


def _at(inputs, index):
    return {name: values[index] for name, values in inputs.items()}


def _time_first(values):
    """`[B, T, ...]` ↔ `[T, B, ...]`."""
    return ops.swapaxes(values, 0, 1)
