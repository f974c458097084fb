"""The progress display on stderr: step, steps/s, bits per sub-pixel, time left."""

import math
import sys
import time
from typing import TextIO

import tqdm

SMOOTHING = 0.95  # weight of the past in the shown bits per sub-pixel
SECONDS_BETWEEN_LINES = 30  # if stderr is not a terminal
BAR_FORMAT = "step {n_fmt}/{total_fmt} |{bar}| {rate_fmt}{postfix}, {remaining} left"


class Progress:
    """A bar on a terminal; elsewhere a plain line every `SECONDS_BETWEEN_LINES`."""

    def __init__(self, first_step: int, steps: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._steps = steps
        self._smoothed = math.nan
        self._line_step = first_step
        self._line_time = time.monotonic()
        self._bar = tqdm.tqdm(
            initial=first_step,
            total=steps,
            file=self._stream,
            disable=None,  # on a terminal only
            bar_format=BAR_FORMAT,
            unit=" steps",
            dynamic_ncols=True,
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def update(self, step: int, bits: float) -> None:
        """Call this after each step, with its number, counted from 1, and its bits per sub-pixel,
        which are ignored if they are not finite."""
        if math.isfinite(bits):
            past = bits if math.isnan(self._smoothed) else self._smoothed
            self._smoothed = SMOOTHING * past + (1 - SMOOTHING) * bits
        if not self._bar.disable:
            self._bar.set_postfix_str(f"{self._smoothed:.3f} bits/sub-pixel", refresh=False)
            self._bar.update()
            return
        elapsed = time.monotonic() - self._line_time
        if step == self._steps or elapsed >= SECONDS_BETWEEN_LINES:
            rate = (step - self._line_step) / max(elapsed, 1e-9)
            left = tqdm.tqdm.format_interval((self._steps - step) / rate)
            self.say(
                f"step {step}/{self._steps}, {rate:.2f} steps/s, "
                f"{self._smoothed:.3f} bits/sub-pixel, {left} left"
            )
            self._line_step, self._line_time = step, time.monotonic()

    def say(self, line: str) -> None:
        """Prints a line without breaking the bar."""
        tqdm.tqdm.write(line, file=self._stream)
