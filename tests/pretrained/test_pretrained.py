"""The models that ship: small, whole, and as good as their cards say."""

import numpy as np
import pytest

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf import pretrained
from ms_pixelcnn_tf.cli import sample
from ms_pixelcnn_tf.configs import replace
from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.runs import card
from ms_pixelcnn_tf.runs.run import Run
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.training.step import copy_weights
from support.cases import fast

NAMES = ("shapes-push-tiny", "shapes-text-tiny", "shapes-tiny")
EXAMPLES = 60


def test_they_are_there():
    assert pretrained.names() == NAMES


@pytest.mark.parametrize("name", fast(NAMES, NAMES.index("shapes-tiny")))
def test_a_model_is_small_whole_and_as_good_as_its_card_says(name):
    folder = pretrained.folder_of(name)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5 * 2**20
    facts = card.read(folder)
    assert set(facts["sha256"]) == {str(path.relative_to(folder)) for path in files} - {card.CARD}
    assert facts["command"] == f"bin/benchmark ready_made train --only={name}"
    model, run = ms.load(name), Run(folder).config
    source = load_source(run)
    examples = EXAMPLES if not source.is_video else 6
    found = evaluate(model, source, "validation", 20, limit=examples).bits_per_dim
    (told,) = (row["bits_per_dim"] for row in facts["bits_per_dim"] if row["split"] == "validation")
    assert found == pytest.approx(told, rel=0.08)  # a part of the split
    untrained = evaluate(ms.models.make_model(run.model), source, "validation", 20, limit=examples)
    assert found < untrained.bits_per_dim - 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, flags",
    [("shapes-tiny", []), ("shapes-text-tiny", ["--text=a blue circle"]), ("shapes-push-tiny", [])],
)
def test_it_is_sampled_by_its_name(name, flags, tmp_path):
    out = tmp_path / ("x.gif" if "push" in name else "x.png")
    sample.main([f"--model={name}", f"--out={out}", "--num=2", *flags])
    assert out.stat().st_size > 1000


def test_captions_matter():
    """Their own captions make images likelier than those of others."""
    model = ms.load("shapes-text-tiny")
    source = load_source(Run(pretrained.folder_of("shapes-text-tiny")).config)
    found = source.examples("validation", np.arange(40), ("image", "text"))
    levels = found["image"] // 8
    captions = [str(captions[0]) for captions in found["text"]]
    own, others = (
        np.asarray(model.log_prob(levels, {"text": text}))
        for text in (captions, captions[1:] + captions[:1])
    )
    assert (own - others).mean() > 1 and (own > others).mean() > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shapes-tiny", "shapes-push-tiny"])
def test_bfloat16_scores_what_float32_does(name):
    """Trained laws are narrow: rounding may not move their centres by a part of a level."""
    run = Run(pretrained.folder_of(name)).config
    source = load_source(run)
    plain, mixed = ms.load(name), ms.models.make_model(replace(run.model, dtype="mixed_bfloat16"))
    copy_weights(plain, mixed)
    found, expected = (
        evaluate(model, source, "validation", 6, limit=6).bits_per_dim for model in (mixed, plain)
    )
    assert found == pytest.approx(expected, abs=1e-4) and found != expected
