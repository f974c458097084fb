"""One pixel at a time through a `MultiplicativePixelCNN`, with little computed twice.

Each masked convolution sees three pixels of the row above, one to the left and the current one.
So it is enough to remember what it read in the *previous row* and at the *previous pixel*. The
share of the row above is computed once a row, for all its pixels; the share of the pixel to the
left once a pixel; and within a pixel each channel computes its own group of the features only. When
a row is done, one pass over the whole of it gives what the next row will see above: cheaper than to
carry every layer's row through the loop over pixels, and it needs no scatter.

`CachedMultiplicativePixelCNN` holds the weights and the conditioning; the loop belongs to
`sampling.decode_raster`.
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
    """What one channel group needs at the current pixel; kernels cut to what the group may see."""

    entry: Any
    blocks: list  # (narrow kernel, the two units' kernels, widen kernel, widen bias)
    head: Any  # kernel, bias
    logits: Any


class CachedMultiplicativePixelCNN:
    """The three steps that a raster-order sampler asks for.

    Args:
        network: a built `MultiplicativePixelCNN` of N blocks.
        batch: number of images B (a scalar tensor or an int).
        size: `(height, width)` of the images.
        conditioning, prediction: as `network` takes them.
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
        """State above the image: nothing but padding."""
        return [
            self._zeros(1, self.width, len(convolution.input_groups))
            for convolution in self.convolutions
        ]

    def begin_row(self, state: list[Tensor], row: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        """All that does not depend on the row's own pixels.

        Args:
            state: what each convolution read in the row above, a list of `[B, 1, W, ·]`.
            row: its index.

        Returns:
            What the row's pixels start from: the entry `[W, B, 2c]`, the blocks' inner features
            `[W, N, B, c]`, the units' gates `[W, 2N, B, 4c]` and, if there is one, the prediction
            `[W, B, C]`; and the same but for the prediction, as maps.
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
        """State for the next row, from this row's shares and its `[B, W, C]` levels."""
        entry, narrowed, gates = current
        inputs = [self.network.pixel_features(levels)[:, None]]  # of each convolution

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
        """State left of so many images: nothing but padding."""
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
            state: what the convolutions read at the pixel to the left: the entry's pixel features
                `[B, ·]`, the units' inputs `[2N, B, c]`.
            starts: of this row, from `begin_row`.
            column: the pixel's index.

        Returns:
            A function `(channel, levels) → parameters`, to be called once a channel in order with
            `[B, C]` levels (of which only the earlier channels are looked at), and a function that
            returns the state for the next pixel, given its levels.
        """
        left, remembered = state
        entry, narrowed, gates, *head = (start[column] for start in starts)
        blocks = len(self.network.blocks)
        entry = self._split_groups(entry + ops.matmul(left, self.left_entry), 2)
        narrowed = [self._split_groups(part, 1) for part in ops.unstack(narrowed, num=blocks)]
        gates = gates + ops.matmul(remembered, self.left_units)
        gates = [self._split_groups(part, 4) for part in ops.unstack(gates, num=2 * blocks)]
        # Features of the groups so far: what each unit reads, and what each block adds up.
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
        """Masks the kernels, and cuts those of a pixel into one piece per channel group, outside
        every loop."""
        network = self.network
        count, width = network.num_groups, network.features
        self.slices = {
            copies: group_slices(feature_groups(copies * width, count), count) for copies in (1, 2)
        }
        self.slices[4] = [(4 * start, 4 * end) for start, end in self.slices[1]]
        # Within 4c gates: the gates and the update of one group side by side, groups in order.
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
        """A unit's kernel at the current pixel, a piece a group: `[inputs it sees, 4·its own]`."""
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
        """Shares of the entry and of each block, `[B, 1, W or 1, ·]`; zeros without one."""
        if self.conditioning is None:
            return 0.0, [0.0] * len(self.network.blocks)
        at_entry, *in_blocks = (
            share[row if share.shape[0] > 1 else 0][:, None] for share in self.conditioning
        )
        return at_entry, in_blocks

    def _by_pixel(self, maps):
        """A list of L maps of a row, that broadcast to `[B, 1, W, F]` → `[W, L, B, F]`."""
        shape = (self.batch, 1, self.width, maps[0].shape[-1])
        maps = ops.concatenate([ops.broadcast_to(each, shape) for each in maps], axis=1)
        return ops.transpose(maps, (2, 1, 0, 3))

    def _ordered(self, gates):
        """`[..., 4c]` as the pixels take them, group by group."""
        return gates if self.network.num_groups == 1 else ops.take(gates, self.order, axis=-1)

    def _split_groups(self, features, copies):
        """`[B, copies·c]` → one piece a channel group."""
        starts = [start for start, _ in self.slices[copies][1:]]
        return ops.split(features, starts, axis=-1) if starts else [features]

    def _zeros(self, *shape):
        return ops.zeros((self.batch, *shape), dtype=self.network.compute_dtype)

    def _cast(self, values):
        return ops.cast(values, self.network.compute_dtype)
