"""Writes docs/cli.md and docs/api.md from the commands' help and the modules' docstrings.

.venv/bin/python docs/make_reference.py          # a test tells when they are out of date
"""

import contextlib
import importlib
import inspect
import io
import os
import pathlib
import re

HERE = pathlib.Path(__file__).parent
COMMANDS = {
    "train": "ms_pixelcnn_tf.cli.train",
    "evaluate": "ms_pixelcnn_tf.cli.evaluate",
    "sample": "ms_pixelcnn_tf.cli.sample",
    "upscale": "ms_pixelcnn_tf.cli.upscale",
    "score": "ms_pixelcnn_tf.cli.score",
    "report": "ms_pixelcnn_tf.cli.report",
    "export": "ms_pixelcnn_tf.cli.export",
    "inspect_data": "ms_pixelcnn_tf.cli.inspect_data",
    "demo": "ms_pixelcnn_tf.cli.demo",
    "make_tfrecords": "tfrecords_tools.cli",
}
MODULES = (
    "ms_pixelcnn_tf",
    "ms_pixelcnn_tf.models.image",
    "ms_pixelcnn_tf.models.video",
    "ms_pixelcnn_tf.pixels",
    "ms_pixelcnn_tf.distributions",
    "ms_pixelcnn_tf.sampling",
    "ms_pixelcnn_tf.uniforms",
    "ms_pixelcnn_tf.text",
    "ms_pixelcnn_tf.networks.pixelcnn",
    "ms_pixelcnn_tf.networks.upscaler",
    "ms_pixelcnn_tf.encoders.encoder",
    "ms_pixelcnn_tf.data.source",
    "ms_pixelcnn_tf.evaluation",
    "ms_pixelcnn_tf.scoring",
    "ms_pixelcnn_tf.prompts",
    "ms_pixelcnn_tf.training.loop",
    "ms_pixelcnn_tf.export.saved_model",
    "ms_pixelcnn_tf.ready_made",
)


def cli():
    """The commands' own help."""
    lines = ["# The commands", "", "Written by `docs/make_reference.py` from `--help`.", ""]
    for name, module in COMMANDS.items():
        lines += [f"## bin/{name}", "", "```", _help(module).rstrip(), "```", ""]
    return "\n".join(lines)


def api():
    """Signatures and docstrings of what is public."""
    lines = ["# The Python API", "", "Written by `docs/make_reference.py` from docstrings.", ""]
    for name in MODULES:
        module = importlib.import_module(name)
        lines += [f"## {name}", "", "```text", inspect.getdoc(module), "```", ""]
        for key, value in vars(module).items():
            if key.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            if inspect.isclass(value):
                lines += _entry("class", key, value)
                for method, own in vars(value).items():
                    if not method.startswith("_") and inspect.isfunction(own) and own.__doc__:
                        lines += _entry("", f"{key}.{method}", own)
            elif inspect.isfunction(value):
                lines += _entry("", key, value)
    return "\n".join(lines)


def _entry(kind, name, value):
    try:
        signature = str(inspect.signature(value))
    except ValueError:
        signature = "(…)"
    title = f"{kind} {name}".strip()
    signature = re.sub(r"<function (\S+) at 0x\w+>", r"\1", signature)
    return [
        f"### {title}",
        "",
        "```text",
        f"{name}{signature}",
        "",
        inspect.getdoc(value) or "",
        "```",
        "",
    ]


def _help(module):
    os.environ["COLUMNS"] = "110"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        importlib.import_module(module).main(["--help"])
    return said.getvalue()


if __name__ == "__main__":
    for page, text in {"cli.md": cli(), "api.md": api()}.items():
        (HERE / page).write_text(text, encoding="utf-8")
        print(f"wrote {HERE / page}")
