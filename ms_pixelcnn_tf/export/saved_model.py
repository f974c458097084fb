"""Writes a model as a SavedModel, in the versioned layout that TensorFlow Serving reads.

OUT/1/saved_model.pb, variables/   the SavedModel
OUT/1/config.json, data.json       as in a run, so that `ms.load` reads an export without running it
OUT/1/card.json, MODEL_CARD.md     facts for programs and for people; the files' SHA-256
OUT/2/…                            the next export
"""

import os
import pathlib
import shutil
import tempfile
from typing import Any

import tensorflow as tf

from ms_pixelcnn_tf.configs import RunConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.export import model_card
from ms_pixelcnn_tf.export.signatures import signatures
from ms_pixelcnn_tf.files import write_text
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN
from ms_pixelcnn_tf.pretrained import versions
from ms_pixelcnn_tf.runs import card
from ms_pixelcnn_tf.runs.datasheet import DATASHEET
from ms_pixelcnn_tf.runs.folder import CONFIG
from ms_pixelcnn_tf.runs.snapshots import by_name
from ms_pixelcnn_tf.sampling.per_core import unfused
from ms_pixelcnn_tf.types import AnyPath


def export(
    model: MultiscalePixelCNN | VideoPixelCNN,
    run: RunConfig,
    out: AnyPath,
    facts: dict[str, Any],
    datasheet: str | None = None,
    version: int | None = None,
) -> pathlib.Path:
    """Writes a model as one version, whole or not at all.

    Args:
        model: the model, with its weights.
        run: the `RunConfig` whose `model` the model was built from.
        out: folder of all versions.
        facts: facts for the card, from `model_card.facts`.
        datasheet: the run's data.json as text, or None.
        version: number of the version; None: one more than the largest that exists.

    Returns:
        Folder of the version.

    Raises:
        UserError: if the version exists already.
    """
    out = pathlib.Path(out)
    there = versions(out)
    version = max(there, default=0) + 1 if version is None else version
    if version in there:
        raise UserError(f"{out} has a version {version}; give another, or leave --version out")
    out.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=".export-", dir=out))
    try:
        specs = write_graphs(model, temporary)
        write_text(temporary / CONFIG, run.to_json())
        if datasheet is not None:
            write_text(temporary / DATASHEET, datasheet)
        facts = facts | {"version": version, "signatures": specs}
        write_text(temporary / model_card.PAGE, model_card.page(facts))
        files = [path for path in temporary.rglob("*") if path.is_file()]
        card.write(temporary, facts, [str(path.relative_to(temporary)) for path in files])
        temporary.chmod(0o755)  # `mkdtemp` makes it private; the server may be another user
        os.rename(temporary, out / str(version))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out / str(version)


def write_graphs(model: MultiscalePixelCNN | VideoPixelCNN, folder: AnyPath) -> dict[str, dict]:
    """Writes only the SavedModel.

    Returns:
        Its signatures: name → {"inputs": {name: (dtype, shape)}, "outputs": the same}.
    """
    module = _Weights()
    # The same names as in a run's checkpoint, so that both are read in the same way.
    module.averaged = by_name(model.trainable_variables)
    module.others = [v.value for v in model.non_trainable_variables]
    found, concrete = signatures(model), {}
    with unfused():  # a server may have no XLA
        for name, (function, specs) in found.items():
            graph = tf.function(function, autograph=False)
            concrete[name] = graph.get_concrete_function(**{str(spec.name): spec for spec in specs})
        tf.saved_model.save(module, str(folder), signatures=concrete)
    return {
        name: {
            "inputs": {spec.name: _described(spec) for spec in found[name][1]},
            "outputs": {key: _described(spec) for key, spec in graph.structured_outputs.items()},
        }
        for name, graph in concrete.items()
    }


class _Weights(tf.Module):
    averaged: Any
    others: Any


def _described(spec):
    return spec.dtype.name, spec.shape.as_list()
