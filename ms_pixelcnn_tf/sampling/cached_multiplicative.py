"""Cached sampling from a `MultiplicativePixelCNN`, pixel by pixel, with little computed twice.

Each masked convolution sees three pixels of the row above, one to the left and the current one.
So it is enough to remember its inputs in the *previous row* and at the *previous pixel*. The share
of the row above is computed once per row, for all its pixels, and the share of the pixel to the
left once per pixel. Within a pixel, each channel computes only its own channel group of the
features. After each row, one pass over the whole row computes the inputs that the next row sees
above. This is cheaper than carrying every layer's row through the loop over pixels, and needs no
scatter.

`CachedMultiplicativePixelCNN` holds the weights and the conditioning; the loop is in
`sampling.loops.decode_raster`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from ms_pixelcnn_tf.layers.masks import feature_groups
from ms_pixelcnn_tf.layers.multiplicative import multiplicative
from ms_pixelcnn_tf.networks.multiplicative_pixelcnn import MultiplicativePixelCNN
from ms_pixelcnn_tf.sampling.channel_groups import cut_dense, group_slices, join, rows_first
from ms_pixelcnn_tf.types import Tensor


class GroupWeights(NamedTuple):
    """The weights that one channel group uses at the current pixel."""

    entry: Any
    blocks: list  # each (narrow kernel, the two units' kernels, widen kernel, widen bias)
    head: Any  # kernel, bias
    logits: Any


class CachedMultiplicativePixelCNN:
    """The state and the steps of `decode_raster` for a `MultiplicativePixelCNN`.

    Args:
        network: a built `MultiplicativePixelCNN` of N blocks.
        batch: number of images B (a scalar tensor or an int).
        size: `(height, width)` of the images.
        conditioning, prediction: as for a call of `network`.
    """

    def __init__(
        self,
        network: MultiplicativePixelCNN,
        batch: int | Tensor,
        size: Sequence[int],
        conditioning: Tensor | None = None,
        prediction: Tensor | None = None,
    ) -> None:
        self.network = network
        self.distribution = network.distribution
        self.batch = batch
        self.height, self.width = size
        self.convolutions = [
            network.entry,
            *(unit.convolution for block in network.blocks for unit in block.units),
        ]
        self._prepare_weights()
        self._prepare_conditioning(conditioning)
        self.prediction = rows_first(prediction, network.variable_dtype)

    def first_row(self) -> list[Tensor]:
        """State above the image: the zeros of the padding."""
        return [
            self._zeros(1, self.width, len(convolution.input_groups))
            for convolution in self.convolutions
        ]

    def begin_row(self, state: list[Tensor], row: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        """Computes all that does not depend on the row's own pixels.

        Args:
            state: the inputs of each convolution in the row above, a list of `[B, 1, W, ·]`.
            row: index of the row.

        Returns:
            The starts of the row's pixels, which are shares of the entry `[W, B, 2c]`, of the
            blocks' inner features `[W, N, B, c]` and of the units' gates `[W, 2N, B, 4c]`, and the
            prediction `[W, B, C]` if the network has one; and the same shares as maps.
        """
        shares = [
            convolution.from_above(rows, kernel)
            for convolution, rows, (kernel, _) in zip(
                self.convolutions, state, self.kernels, strict=True
            )
        ]
        at_entry, in_blocks = self._conditioning_row(row)
        entry, gates = shares[0] + at_entry, shares[1:]
        narrowed = [bias + share for bias, share in zip(self.narrow_biases, in_blocks, strict=True)]
        starts = (
            ops.transpose(entry[:, 0], (1, 0, 2)),
            self._by_pixel(narrowed),
            self._ordered(self._by_pixel(gates)),
            *(prediction[row] for prediction in self.prediction),
        )
        return starts, (entry, narrowed, gates)

    def end_row(self, state: list[Tensor], current: Any, levels: Tensor) -> list[Tensor]:
        """State for the next row, given this row's shares as maps and its `[B, W, C]` levels."""
        entry, narrowed, gates = current
        inputs = [self.network.pixel_features(levels)[:, None]]  # inputs of each convolution

        def from_row():
            index = len(inputs) - 1
            return self.convolutions[index].from_row(inputs[-1], self.kernels[index][1])

        maps = entry + from_row()
        for index, (narrow, widen, bias) in enumerate(self.pointwise):
            hidden = ops.matmul(maps, narrow) + narrowed[index]
            for share in gates[2 * index : 2 * index + 2]:
                inputs.append(hidden)
                hidden = multiplicative(hidden, share + from_row())
            if index < len(self.pointwise) - 1:
                maps = maps + ops.matmul(hidden, widen) + bias
        return inputs

    def first_pixel(self, batch: int | Tensor) -> tuple[Tensor, Tensor]:
        """State to the left of `batch` images: the zeros of the padding."""
        network = self.network
        return (
            ops.zeros((batch, len(network.entry.input_groups)), network.compute_dtype),
            ops.zeros((2 * len(network.blocks), batch, network.features), network.compute_dtype),
        )

    def begin_pixel(
        self, state: tuple[Tensor, Tensor], starts: tuple[Tensor, ...], column: Tensor
    ) -> tuple[Callable, Callable]:
        """Parameters of one pixel, channel by channel.

        Args:
            state: the inputs of the convolutions at the pixel to the left: of the entry, pixel
                features `[B, ·]`; of the units, `[2N, B, c]`.
            starts: the starts of this row, from `begin_row`.
            column: index of the pixel in its row.

        Returns:
            A function `(channel, levels) → parameters`, to be called once per channel, in order,
            with `[B, C]` levels (it reads only the earlier channels), and a function that returns
            the state for the next pixel, given this pixel's levels.
        """
        left, remembered = state
        entry, narrowed, gates, *head = (start[column] for start in starts)
        blocks = len(self.network.blocks)
        entry = self._split_groups(entry + ops.matmul(left, self.left_entry), 2)
        narrowed = [self._split_groups(part, 1) for part in ops.unstack(narrowed, num=blocks)]
        gates = gates + ops.matmul(remembered, self.left_units)
        gates = [self._split_groups(part, 4) for part in ops.unstack(gates, num=2 * blocks)]
        # Features of the channel groups so far: unit inputs, block sums and block outputs.
        read = [[] for _ in gates]
        summed = [[] for _ in range(blocks + 1)]
        outputs = [[] for _ in range(blocks)]
        params = []

        def run_group(group, levels):
            weights = self.groups[group]
            maps = entry[group] + ops.matmul(self.network.pixel_features(levels), weights.entry)
            for index, (narrow, units, widen, bias) in enumerate(weights.blocks):
                summed[index].append(maps)
                hidden = ops.matmul(join(summed[index]), narrow) + narrowed[index][group]
                for unit, kernel in enumerate(units, 2 * index):
                    read[unit].append(hidden)
                    total = gates[unit][group] + ops.matmul(join(read[unit]), kernel)
                    hidden = multiplicative(hidden, total)
                outputs[index].append(hidden)
                maps = maps + ops.matmul(join(outputs[index]), widen) + bias
            summed[-1].append(maps)
            kernel, bias = weights.head
            head.append(ops.relu(ops.matmul(ops.relu(join(summed[-1])), kernel) + bias))
            kernel, bias = weights.logits
            params.append(ops.matmul(join(head), kernel) + bias)
            return params[-1]

        def channel_params(channel, levels):
            if self.network.num_groups > 1 or not params:
                return run_group(channel, levels)
            return params[0]

        def end_pixel(levels):
            return self.network.pixel_features(levels), ops.stack([join(groups) for groups in read])

        return channel_params, end_pixel

    def _prepare_weights(self):
        """Masks the kernels and cuts those of a pixel by channel group, outside every loop."""
        network = self.network
        count, width = network.num_groups, network.features
        self.slices = {
            copies: group_slices(feature_groups(copies * width, count), count) for copies in (1, 2)
        }
        self.slices[4] = [(4 * start, 4 * end) for start, end in self.slices[1]]
        # Order of the 4c gates by channel group: the gates and the update of a group side by side.
        self.order = np.concatenate(
            [
                np.r_[tuple(np.s_[part * width + start : part * width + end] for part in range(4))]
                for start, end in self.slices[1]
            ]
        )
        self.kernels = [convolution.kernels() for convolution in self.convolutions]
        self.pointwise = [
            (
                block.narrow.masked_kernel(),
                block.widen.masked_kernel(),
                self._cast(block.widen.bias),
            )
            for block in network.blocks
        ]
        self.left_entry = network.entry.left_kernel()
        self.left_units = self._ordered(
            ops.stack([convolution.left_kernel() for convolution in self.convolutions[1:]])
        )
        self.narrow_biases = [self._cast(block.narrow.bias) for block in network.blocks]
        head, logits = cut_dense(network.head, count), cut_dense(network.logits, count)
        blocks = [
            (
                cut_dense(block.narrow, count),
                [self._cut_gates(unit.convolution) for unit in block.units],
                cut_dense(block.widen, count),
            )
            for block in network.blocks
        ]
        entry = network.entry.current_kernel()
        self.groups = [
            GroupWeights(
                entry[:, start:end],
                [
                    (narrow[group][0], [unit[group] for unit in units], *widen[group])
                    for narrow, units, widen in blocks
                ],
                head[group],
                logits[group],
            )
            for group, (start, end) in enumerate(self.slices[2])
        ]

    def _cut_gates(self, convolution):
        """A unit's kernel at the current pixel, per channel group: `[inputs seen, 4·own]`."""
        kernel = self._ordered(convolution.current_kernel())
        return [
            kernel[:visible, first:last]
            for (_, visible), (first, last) in zip(self.slices[1], self.slices[4], strict=True)
        ]

    def _prepare_conditioning(self, conditioning):
        self.conditioning = None
        if conditioning is None:
            return
        at_entry, in_blocks = self.network.project(conditioning)
        # Rows first, so that a row is read by its index: [H or 1, B, W or 1, ·].
        self.conditioning = [ops.transpose(share, (1, 0, 2, 3)) for share in (at_entry, *in_blocks)]

    def _conditioning_row(self, row):
        """Shares of entry and blocks, `[B, 1, W or 1, ·]`; zeros without conditioning."""
        if self.conditioning is None:
            return 0.0, [0.0] * len(self.network.blocks)
        at_entry, *in_blocks = (
            share[row if share.shape[0] > 1 else 0][:, None] for share in self.conditioning
        )
        return at_entry, in_blocks

    def _by_pixel(self, maps):
        """A list of L maps of a row, which broadcast to `[B, 1, W, F]` → `[W, L, B, F]`."""
        shape = (self.batch, 1, self.width, maps[0].shape[-1])
        maps = ops.concatenate([ops.broadcast_to(each, shape) for each in maps], axis=1)
        return ops.transpose(maps, (2, 1, 0, 3))

    def _ordered(self, gates):
        """`[..., 4c]` gates, reordered by channel group."""
        return gates if self.network.num_groups == 1 else ops.take(gates, self.order, axis=-1)

    def _split_groups(self, features, copies):
        """`[B, copies·c]` → one piece per channel group."""
        starts = [start for start, _ in self.slices[copies][1:]]
        return ops.split(features, starts, axis=-1) if starts else [features]

    def _zeros(self, *shape):
        return ops.zeros((self.batch, *shape), dtype=self.network.compute_dtype)

    def _cast(self, values):
        return ops.cast(values, self.network.compute_dtype)
