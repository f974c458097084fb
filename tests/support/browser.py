"""Pages as a browser shows them: headless Chromium, where there is one."""

import html
import io
import shutil
import subprocess
import tempfile

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox, which root has not; and nothing that asks the network of itself.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
)
PATH = next(filter(None, map(shutil.which, NAMES)), None)
needed = pytest.mark.skipif(PATH is None, reason=f"none of {', '.join(NAMES)} is installed")


def text(url, seconds=0, size=(1280, 1600)):
    """The page's document once its scripts have run, `seconds` of their own time long."""
    return html.unescape(_run(url, size, seconds, "--dump-dom").decode())


def screenshot(url, size=(1280, 1600), seconds=0, dark=False):
    """uint8 `[height, width, 3]` of a window of `size`, (width, height)."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        _run(url, size, seconds, f"--screenshot={file.name}", *scheme)
        content = open(file.name, "rb").read()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def _run(url, size, seconds, *flags):
    waiting = [f"--virtual-time-budget={1000 * seconds}"] if seconds else []
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                PATH,
                *FLAGS,
                f"--user-data-dir={profile}",
                f"--window-size={size[0]},{size[1]}",
                *waiting,
                *flags,
                url,
            ],
            capture_output=True,
            timeout=180,
            check=True,
        )
    return done.stdout
