"""Writes docs/cli.md, api.md, map.md, departures.md and README's table from help, docstrings and
fields.

.venv/bin/python docs/make_reference.py          # a test fails when they are out of date
"""

import ast
import contextlib
import importlib
import inspect
import io
import os
import pathlib
import re

from ms_pixelcnn_tf.configs import ModelConfig, TrainConfig, VideoConfig
from ms_pixelcnn_tf.configs.shared import departures as fields_that_depart

HERE = pathlib.Path(__file__).parent
BEGIN = "<!-- written by docs/make_reference.py -->"
END = "<!-- end -->"
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
    "ms_pixelcnn_tf.models.image.model",
    "ms_pixelcnn_tf.models.video.model",
    "ms_pixelcnn_tf.models.keras_training",
    "ms_pixelcnn_tf.pixels",
    "ms_pixelcnn_tf.distributions",
    "ms_pixelcnn_tf.distributions.softmax",
    "ms_pixelcnn_tf.distributions.dmol",
    "ms_pixelcnn_tf.models.scale",
    "ms_pixelcnn_tf.sampling.loops",
    "ms_pixelcnn_tf.sampling.samplers",
    "ms_pixelcnn_tf.sampling.uniforms",
    "ms_pixelcnn_tf.captions",
    "ms_pixelcnn_tf.networks.pixelcnn",
    "ms_pixelcnn_tf.networks.trunk",
    "ms_pixelcnn_tf.networks.upscaler",
    "ms_pixelcnn_tf.networks.masked_upscaler",
    "ms_pixelcnn_tf.encoders.encoder",
    "ms_pixelcnn_tf.data.source",
    "ms_pixelcnn_tf.evaluation.splits",
    "ms_pixelcnn_tf.evaluation.scoring",
    "ms_pixelcnn_tf.generation.prompts",
    "ms_pixelcnn_tf.training.loop",
    "ms_pixelcnn_tf.export.saved_model",
    "ms_pixelcnn_tf.pretrained",
)


FLOORS = (  # from the ground up: a room imports only what stands above it here
    "",
    "configs",
    "distributions",
    "layers",
    "encoders",
    "networks",
    "sampling",
    "models",
    "data",
    "runs",
    "evaluation",
    "generation",
    "drawing",
    "training",
    "pretrained",
    "export",
    "report",
    "cli",
)


def module_map():
    """Every module of the package and of the tools, with the first sentence of its docstring."""
    lines = ["# Where to find what", "", "Written by `docs/make_reference.py` from docstrings."]
    root = HERE.parent
    for floor in FLOORS:
        folder = root / "ms_pixelcnn_tf" / floor
        lines += _modules(folder, folder.glob("*.py") if not floor else folder.rglob("*.py"))
    tools = root / "tfrecords_tools"
    return "\n".join([*lines, *_modules(tools, tools.glob("*.py")), ""])


def _modules(folder, paths):
    lines = ["", f"## {folder.relative_to(HERE.parent)}", "", "| module | |", "|---|---|"]
    for path in sorted(paths):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")
        if path.name != "__init__.py" or path.parent == folder:
            lines.append(f"| `{path.relative_to(folder)}` | {first} |")
    return lines


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


def departures():
    """Every field in which we may depart from the paper, from its metadata."""
    lines = [
        "# Departures from the paper",
        "",
        "Written by `docs/make_reference.py` from the configuration's fields. Each departure is a "
        "flag of `bin/train` and a field of `ms.build_model`. The preset `paper` sets every one to "
        "the paper's value; `large` has the same widths and our values.",
        "",
    ]
    for title, fields in _departures():
        lines += [f"## {title}", ""]
        lines += [
            "| field | the paper's | ours | what it does | why ours |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| `{name}` | {field['paper']} | {field['ours']} | "
            f"{field['doc'].rpartition('; the paper: ')[0]} | {field['reason']} |"
            for name, field in fields
        ]
        lines.append("")
    return "\n".join(lines)


def readme():
    """README with its table of departures."""
    text = (HERE.parent / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    rows = [
        f"| `{name}` | {field['paper']} | {field['ours']} |"
        for _, fields in _departures()
        for name, field in fields
    ]
    table = ["", "| field | the paper's | ours |", "|---|---|---|", *rows, ""]
    return before + BEGIN + "\n".join(table) + END + rest.partition(END)[2]


def _departures():
    """Titles, and the name and metadata of each field below it."""
    shared = _names(ModelConfig) & _names(VideoConfig)
    for title, kind, leave in (
        ("Every model", ModelConfig, _names(ModelConfig) - shared),
        ("Images", ModelConfig, shared),
        ("Videos", VideoConfig, shared),
        ("Training", TrainConfig, set()),
    ):
        fields = fields_that_depart(kind).items()
        yield title, [(name, field.metadata) for name, field in fields if name not in leave]


def _names(kind):
    """Names of its fields that may depart from the paper."""
    return set(fields_that_depart(kind))


if __name__ == "__main__":
    for page, text in {
        "cli.md": cli(),
        "api.md": api(),
        "map.md": module_map(),
        "departures.md": departures(),
        "../README.md": readme(),
    }.items():
        (HERE / page).write_text(text, encoding="utf-8")
        print(f"wrote {HERE / page}")
