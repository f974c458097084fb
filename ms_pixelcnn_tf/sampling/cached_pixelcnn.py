"""Cached sampling from a `GatedPixelCNN`, pixel by pixel, with nothing computed twice.

A full evaluation spends its time on positions that are already known. In raster order it is enough
to remember, for each layer, the *previous rows* of the vertical stack and the *previous pixels* of
the horizontal stack that its kernel spans: one of each for a 3x3 kernel. Then the vertical stack
and its links run once per row and the horizontal stack once per pixel. Within a pixel, each channel
computes only its own channel group of the features. The conditioning is projected once per image.
Nothing needs a scatter: the remembered rows and pixels are replaced as a whole.

`CachedPixelCNN` holds the weights and the conditioning; the loop is in
`sampling.loops.decode_raster`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from keras import ops

from ms_pixelcnn_tf.layers.gated import gate
from ms_pixelcnn_tf.networks.pixelcnn import GatedPixelCNN
from ms_pixelcnn_tf.sampling.channel_groups import cut_dense, group_slices, join, rows_first
from ms_pixelcnn_tf.types import Tensor


class CachedPixelCNN:
    """The state and the steps of `decode_raster` for a `GatedPixelCNN`.

    Args:
        network: a built `GatedPixelCNN`.
        batch: number of images B (a scalar tensor or an int).
        size: `(height, width)` of the images.
        conditioning, prediction: as for a call of `network`.
    """

    def __init__(
        self,
        network: GatedPixelCNN,
        batch: int | Tensor,
        size: Sequence[int],
        conditioning: Tensor | None = None,
        prediction: Tensor | None = None,
    ) -> None:
        self.network = network
        self.distribution = network.distribution
        self.batch = batch
        self.height, self.width = size
        self._prepare_weights()
        self._prepare_conditioning(conditioning)
        self.prediction = rows_first(prediction, network.variable_dtype)

    def first_row(self) -> tuple[Tensor, list[Tensor]]:
        """State above the image: the zeros of the padding."""
        layers, features = self.network.layers, self.network.features
        inputs = len(layers[0].input_groups)
        shape = self.batch, layers[0].rows, self.width, inputs
        return (
            ops.zeros(shape, self.network.variable_dtype),
            [self._zeros(layer.reach, self.width, features) for layer in layers[1:]],
        )

    def begin_row(
        self, state: tuple[Tensor, list[Tensor]], row: Tensor
    ) -> tuple[tuple[Tensor, ...], list[Tensor]]:
        """Runs the vertical stack for one row.

        Args:
            state: `(rows above as pixel features, previous rows of each vertical layer)`.
            row: index of the row.

        Returns:
            The starts of the row's pixels, without the share of the pixel to the left: gates
            `[W, L, B, 2F]` and, if the network has one, the prediction `[W, B, C]`; and this row of
            each vertical layer but the last.
        """
        above, previous = state
        vertical, links, current = self._cast(above), [], []
        for index, layer in enumerate(self.network.layers):
            if index > 0:
                vertical = ops.concatenate([previous[index - 1], current[-1]], axis=1)
            side = layer.reach
            padded = ops.pad(vertical, ((0, 0), (0, 0), (side, side), (0, 0)))
            gates = layer.vertical_gates(padded)  # [B, 1, W, 2F]
            conditioning, for_links = self._conditioning_row(index, row)
            kernel, bias = self.links[index]
            links.append(ops.matmul(gates, kernel) + bias + for_links)
            if index < len(self.network.layers) - 1:  # the last vertical layer feeds only its link
                current.append(gate(gates + conditioning))
        links = ops.concatenate(links, axis=1)  # [B, L, W, 2F]
        return (ops.transpose(links, (2, 1, 0, 3)), *self._predict_row(above, row)), current

    def end_row(
        self, state: tuple[Tensor, list[Tensor]], current: list[Tensor], levels: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """State for the next row, given this row's vertical layers and its `[B, W, C]` levels."""
        above, previous = state
        features = self.network.pixel_features(levels)[:, None]
        return _pushed(above, features), [*map(_pushed, previous, current)]

    def first_pixel(self, batch: int | Tensor) -> tuple[Tensor, list[Tensor]]:
        """State to the left of `batch` images: the zeros of the padding."""
        network, (first, *others) = self.network, self.network.layers
        left = ops.zeros((batch, first.reach, len(first.input_groups)), network.variable_dtype)
        return left, [
            ops.zeros((batch, layer.reach * network.features), network.compute_dtype)
            for layer in others
        ]

    def begin_pixel(
        self, state: tuple[Tensor, list[Tensor]], starts: tuple[Tensor, ...], column: Tensor
    ) -> tuple[Callable, Callable]:
        """Parameters of one pixel, channel by channel.

        Args:
            state: `(pixel features to the left [B, reach, ·], previous pixels of each layer but the
                last [B, reach·F])`.
            starts: the starts of this row, from `begin_row`.
            column: index of the pixel in its row.

        Returns:
            A function `(channel, levels) → parameters`, to be called once per channel, in order,
            with `[B, C]` levels (it reads only the earlier channels), and a function that returns
            the state for the next pixel, given this pixel's levels.
        """
        left, previous = state
        links, *head = (start[column] for start in starts)
        links = ops.unstack(links, num=len(self.network.layers))
        inputs = ops.reshape(self._cast(left), (-1, self.left_first.shape[0]))
        first = ops.matmul(inputs, self.left_first)
        gates = [self._split_groups(layer) for layer in (links[0] + first, *links[1:])]
        horizontal = [[] for _ in self.network.layers]  # features so far: groups of each layer
        gated = [[] for _ in self.network.layers]
        if self.network.neighbours is not None:
            value_to_left = left[:, -1, : self.distribution.channels]
            head = [head[0] + ops.matmul(value_to_left, self.prediction_kernel[0])]
        params = []

        def run_group(group, levels):
            inputs = self._cast(self.network.pixel_features(levels))
            for index, (kernel, mixing, bias) in enumerate(self.weights[group]):
                if index > 0:  # this pixel's features so far, and the pixels to the left
                    inputs = join([*horizontal[index - 1], previous[index - 1]])
                total = gates[index][group] + ops.matmul(inputs, kernel)
                gated[index].append(gate(total))
                result = ops.matmul(join(gated[index]), mixing) + bias
                if index > 0:
                    result = result + horizontal[index - 1][group]
                horizontal[index].append(result)
            inputs = join(horizontal[-1])
            kernel, bias = self.head[group]
            head.append(ops.relu(ops.matmul(ops.relu(inputs), kernel) + bias))
            kernel, bias = self.logits[group]
            params.append(ops.matmul(join(head), kernel) + bias)
            return params[-1]

        def channel_params(channel, levels):
            if self.network.num_groups > 1 or not params:
                return run_group(channel, levels)
            return params[0]

        def end_pixel(levels):
            features = self.network.pixel_features(levels)[:, None]
            return _pushed(left, features), [*map(_pushed, previous, map(join, horizontal[:-1]))]

        return channel_params, end_pixel

    def _prepare_weights(self):
        """Cuts the masked kernels by channel group, outside every loop."""
        network, features = self.network, self.network.features
        slices = group_slices(network.layers[0].groups, network.num_groups)
        # Order of the 2F gates by channel group: the tanh and σ halves of a group side by side.
        self.order = np.concatenate(
            [np.r_[start:end, features + start : features + end] for start, end in slices]
        )
        self.gate_starts = [2 * start for start, _ in slices[1:]]
        cast = self._cast
        self.links = [
            (self._ordered(cast(layer.link_kernel)), self._ordered(cast(layer.horizontal_bias)))
            for layer in network.layers
        ]
        first = self._ordered(cast(network.layers[0].left_kernel))  # [reach, inputs, 2F]
        self.left_first = ops.reshape(first, (first.shape[0] * first.shape[1], -1))
        self.weights = []
        for start, end in slices:
            columns = self.order[2 * start : 2 * end]
            layers = []
            for index, layer in enumerate(network.layers):
                kernel = layer.masked_current_kernel()
                if index > 0:
                    left = ops.reshape(cast(layer.left_kernel), (layer.reach * features, -1))
                    kernel = ops.concatenate([kernel[:end], left], axis=0)
                kernel = ops.take(kernel, columns, axis=-1)
                mixing = layer.mixing.masked_kernel()[:end, start:end]
                bias = cast(layer.mixing.bias)[start:end]
                layers.append((kernel, mixing, bias))
            self.weights.append(layers)
        if network.neighbours is not None:
            self.prediction_kernel = ops.split(network.neighbours.kernel, 2, axis=0)
        self.head = cut_dense(network.head, network.num_groups)
        self.logits = cut_dense(network.logits, network.num_groups)

    def _prepare_conditioning(self, conditioning):
        self.conditioning = None
        if conditioning is None:
            return
        shares = [ops.split(share, 2, axis=-1) for share in self.network.project(conditioning)]
        # Rows first, so that a row is read by its index: [H or 1, B, W or 1, 2F] per layer.
        self.conditioning = [
            [ops.transpose(share, (1, 0, 2, 3)) for share in (vertical, self._ordered(horizontal))]
            for vertical, horizontal in shares
        ]

    def _ordered(self, gates):
        """`[..., 2F]` horizontal gates, reordered by channel group."""
        return gates if self.network.num_groups == 1 else ops.take(gates, self.order, axis=-1)

    def _split_groups(self, gates):
        """`[B, 2F]` → one piece per channel group."""
        if not self.gate_starts:
            return [gates]
        return ops.split(gates, self.gate_starts, axis=-1)

    def _predict_row(self, above, row):
        """A list of `[W, B, C]`: the given prediction, or the share of the pixels above in the
        network's own; empty without a prediction."""
        if self.network.neighbours is None:
            return [prediction[row] for prediction in self.prediction]
        values = above[:, -1, :, : self.distribution.channels]
        return [ops.transpose(ops.matmul(values, self.prediction_kernel[1]), (1, 0, 2))]

    def _conditioning_row(self, layer, row):
        """Shares of both stacks' gates, `[B, 1, W or 1, 2F]`; zeros without conditioning."""
        if self.conditioning is None:
            return 0.0, 0.0
        return [
            share[row if share.shape[0] > 1 else 0][:, None] for share in self.conditioning[layer]
        ]

    def _zeros(self, *shape):
        return ops.zeros((self.batch, *shape), dtype=self.network.compute_dtype)

    def _cast(self, values):
        return ops.cast(values, self.network.compute_dtype)


def _pushed(kept, new):
    """`kept` with `new` appended on axis 1 and as many first entries dropped."""
    entries = new.shape[1]
    if kept.shape[1] == entries:
        return new
    return ops.concatenate([kept[:, entries:], new], axis=1)
