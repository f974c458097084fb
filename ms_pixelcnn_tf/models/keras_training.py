"""Trains models the Keras way, with `compile`, `fit`, `evaluate` and `predict`.

Use `fit` for your own arrays and for Keras' callbacks. Use `bin/train` (`training.loop`) for runs
that resume bit for bit after a crash, for crops and weight averages, and for several machines:
`fit` fails under `MultiWorkerMirroredStrategy`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models.checks import as_array
from ms_pixelcnn_tf.pixels import bits_per_dim
from ms_pixelcnn_tf.types import Tensor

CHECKED_AT_ONCE = 1024  # examples per check, which makes an int32 copy
NO_USE = ("loss", "loss_weights", "metrics", "weighted_metrics")


class KerasTraining(keras.Model):
    """A density model that Keras trains by its own likelihood.

    The data are the examples alone (`[N, H, W, C]` or `[N, T, H, W, C]` integer levels), or a dict
    of the examples and the fields that condition the model, such as
    `{"images": images, "label": labels}` or
    `{"frames": frames, "actions": actions, "states": states}`. Give arrays, or a batched
    `tf.data.Dataset` with such elements, and no targets. Arrays are checked before the first step.
    Of a dataset the fields, shapes and dtypes are checked, but not the values.

    The loss is the negative log-likelihood in nats per sub-pixel, averaged over the examples.
    "bits_per_dim" is the loss in bits. Callbacks that monitor it need `mode="min"`:

        keras.callbacks.EarlyStopping("val_bits_per_dim", mode="min", patience=3)
    """

    config: Any
    input_name: str  # key of the examples in a dict
    check_inputs: Callable  # (config, examples, conditions) → examples, conditions: tensors

    def check_held(self, scales: Sequence[str] | None = None) -> None:
        """Raises UserError, which names the missing scales, unless the model holds all of `scales`
        (None: every scale of the variant)."""
        needed = self.config.scale_names if scales is None else scales
        held = self.config.held_scales
        missing = [name for name in needed if name not in held]
        if missing:
            raise UserError(
                f"this model holds no scale {', '.join(missing)}; it holds: {', '.join(held)}"
            )

    def compile(self, optimizer: Any = None, **options: Any) -> None:
        """Prepares `fit`.

        Args:
            optimizer: a Keras optimizer or its name; None: Adam at 1e-3, with gradients clipped to
                a global norm of 1.
            **options: those of `keras.Model.compile`, except loss and metrics.

        Raises:
            UserError: if a loss or metrics are given.
        """
        for name in NO_USE:
            if options.get(name) is not None:
                raise UserError(
                    f"{name} is given; valid: none, since the loss is the model's own likelihood "
                    "and the metric is bits_per_dim"
                )
        if optimizer is None:
            optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-8, global_clipnorm=1.0)
        super().compile(optimizer, **options)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: None = None, **options: Any) -> keras.callbacks.History:
        """Trains the model.

        Args:
            x: the data; see the class.
            y: must be None.
            **options: those of `keras.Model.fit`. "validation_data" has the form of `x`.

        Returns:
            The history: "loss" and "bits_per_dim" of each epoch, averaged over its steps. With
            validation data also "val_loss" and "val_bits_per_dim".

        Raises:
            UserError: for data that `log_prob` refuses, targets, or sample weights.
        """
        self._refuse_targets(y, options.get("sample_weight"))
        if options.get("validation_data") is not None:
            validation, *targets = keras.utils.unpack_x_y_sample_weight(options["validation_data"])
            self._refuse_targets(*targets)
            options["validation_data"] = self._checked_data(validation)
        return super().fit(self._checked_data(x), **options)

    def evaluate(self, x: Any = None, y: None = None, **options: Any) -> Any:
        """Returns `[loss, bits_per_dim]` of all examples, each counted once.

        With `return_dict=True` returns a dict. `x`, `options` and errors are as for `fit`.
        """
        self._refuse_targets(y, options.get("sample_weight"))
        return super().evaluate(self._checked_data(x), **options)

    def predict(self, x: Any, **options: Any) -> np.ndarray:
        """`log_prob` of all examples, computed batch by batch: `[N]` nats (numpy)."""
        self.check_held()
        terms = super().predict(self._checked_data(x), **options)
        return np.sum(list(terms.values()), axis=0)

    def compute_loss(
        self,
        x: Any = None,
        y: None = None,
        y_pred: Any = None,
        sample_weight: None = None,
        training: bool = True,
    ) -> Tensor:
        """Nats per sub-pixel, averaged over the batch; `y_pred` holds the terms of log p."""
        self._refuse_targets(y, sample_weight)
        nats = -ops.sum(ops.stack(list(y_pred.values())), axis=0) / sum(self.term_dims.values())
        return MeanOfExamples()(nats, nats)

    def get_metrics_result(self) -> dict[str, Tensor]:
        results = super().get_metrics_result()
        return results | {"bits_per_dim": bits_per_dim(results["loss"], 1)}

    def split_inputs(self, x: Any) -> tuple[Any, Any]:
        """Splits data in the form that `fit` takes into examples and conditions.

        Raises:
            UserError: for a dict without examples.
        """
        if not isinstance(x, dict):
            return x, None
        if self.input_name not in x:
            raise UserError(f"x has {', '.join(map(str, x))}; valid: {self._valid_inputs()}")
        return x[self.input_name], {k: v for k, v in x.items() if k != self.input_name}

    def _valid_inputs(self):
        names = (self.input_name, *self.config.conditions)
        return "{" + ", ".join(f'"{name}": …' for name in names) + "}"

    def _refuse_targets(self, y, sample_weight):
        if y is not None:
            raise UserError(f"y is given; valid: no targets, only x as {self._valid_inputs()}")
        if sample_weight is not None:
            raise UserError("sample_weight is given; valid: none, all examples count the same")

    def _checked_data(self, x):
        """`x` after the checks of `log_prob`; arrays of captions become codes."""
        if hasattr(x, "element_spec"):  # a tf.data.Dataset
            spec, *targets = keras.utils.unpack_x_y_sample_weight(x.element_spec)
            self._refuse_targets(*targets)
            self._check_part(keras.tree.map_structure(_zeros, spec))
            return x
        if not isinstance(x, (dict, list)) and not hasattr(x, "__array__"):
            return x  # a generator or a PyDataset: `call` checks its batches
        examples, conditions = self.split_inputs(x)
        fields = {self.input_name: examples} | (conditions or {})
        fields = {
            name: values if name == "text" else as_array(name, values)
            for name, values in fields.items()
            if values is not None
        }
        count = len(fields[self.input_name])
        for name, values in fields.items():
            if len(values) != count:
                raise UserError(
                    f"x has {count} {self.input_name} and {len(values)} of {name}; give as many"
                )
        codes = []
        for first in range(0, max(count, 1), CHECKED_AT_ONCE):
            part = {name: v[first : first + CHECKED_AT_ONCE] for name, v in fields.items()}
            _, checked = self._check_part(part)
            codes += [ops.convert_to_numpy(checked[name]) for name in checked if name == "text"]
        if codes:
            fields["text"] = np.concatenate(codes)
        return fields

    def _check_part(self, x):
        return self.check_inputs(self.config, *self.split_inputs(x))


class MeanOfExamples(keras.losses.Loss):
    """The mean of `y_pred`, as a Keras loss so that Keras scales it for the replicas."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return y_pred


def _zeros(spec):
    """An array with the shape and dtype of a `tf.TensorSpec`; unknown sides have size 0."""
    if spec.shape.rank is None:
        return np.zeros((), spec.dtype.as_numpy_dtype)
    return np.zeros([side or 0 for side in spec.shape], spec.dtype.as_numpy_dtype)
