"""The pass is exact: weighted by example whatever the batches, terms that add up, units."""

import keras
import numpy as np
import pytest

from ms_pixelcnn_tf.evaluation.splits import evaluate
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN
from support.errors import refuses
from support.runs import TinyFilm, TinySource, tiny_run, tiny_video_run


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return MultiscalePixelCNN(tiny_run(num_classes=3, label_features=4).model)


def log_probs(model, count):
    examples = TinySource().examples("validation", np.arange(count))
    return np.asarray(model.log_prob(examples["image"] // 128, {"label": examples["label"]}))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 50])
def test_mean_over_examples_whatever_the_batch_size(model, batch_size):
    result = evaluate(model, TinySource(), "validation", batch_size)
    nats = -log_probs(model, 7).astype("float64").mean()
    assert result.examples == 7
    assert result.nats == pytest.approx(nats, rel=1e-5)
    assert result.bits_per_dim == pytest.approx(nats / (16 * np.log(2)), rel=1e-5)


def test_terms_add_up_in_their_own_units(model):
    result = evaluate(model, TinySource(), "validation", 4)
    assert set(result.terms) == set(model.term_dims)
    assert sum(term.nats for term in result.terms.values()) == pytest.approx(result.nats)
    for name, term in result.terms.items():
        assert term.bits_per_dim == pytest.approx(term.nats / (model.term_dims[name] * np.log(2)))
        assert term.nats_per_dim == pytest.approx(term.nats / model.term_dims[name])
    assert result.nats_per_dim == pytest.approx(result.nats / 16) and result.frames == ()


def test_scales_are_their_terms_together(model):
    result = evaluate(model, TinySource(), "validation", 4)
    assert list(result.scales) == ["base", "2to4"]
    assert result.scales["base"] == result.terms["base"]
    groups = [term for name, term in result.terms.items() if name.startswith("2to4/")]
    assert len(groups) == 3
    scale = result.scales["2to4"]
    assert scale.nats == pytest.approx(sum(term.nats for term in groups))
    assert scale.nats_per_dim == pytest.approx(scale.nats / 12)


def test_limit_takes_the_first_examples_and_the_data_is_described(model):
    result = evaluate(model, TinySource(), "validation", 2, limit=3)
    assert (result.examples, result.split) == (3, "validation")
    assert result.nats == pytest.approx(-log_probs(model, 3).mean(), rel=1e-5)
    assert result.description == TinySource.description
    assert result.to_dict()["terms"]["base"]["nats"] == result.terms["base"].nats


def test_unknown_split_lists_the_splits(model):
    with refuses("split", "test", "train, validation"):
        evaluate(model, TinySource(), "test", 2)


@pytest.mark.parametrize("split, batch_size", [("validation", 2), ("test_novel", 50)])
def test_videos_are_told_by_term_and_by_predicted_frame(split, batch_size):
    keras.utils.set_random_seed(0)
    model, source = VideoPixelCNN(tiny_video_run(num_levels=4).model), TinyFilm()
    result = evaluate(model, source, split, batch_size)
    examples = source.examples(split, np.arange(source.size(split)))
    frames = examples.pop("frames") // 64
    by_frame = model.log_prob_by_frame(frames, examples)
    nats = -np.asarray(model.log_prob(frames, examples)).mean()
    assert result.nats == pytest.approx(nats, rel=1e-5)
    assert result.nats_per_dim == pytest.approx(nats / (2 * 16), rel=1e-5)  # two of the four frames
    assert result.bits_per_dim == pytest.approx(nats / (2 * 16 * np.log(2)), rel=1e-5)
    assert [frame.frame for frame in result.frames] == [2, 3]
    for index, frame in enumerate(result.frames):
        for name, term in frame.terms.items():
            mean = -np.asarray(by_frame[name])[:, index].mean()
            assert term.nats == pytest.approx(mean, rel=1e-5)
            assert term.nats_per_dim == pytest.approx(mean / 4, rel=1e-5)  # a group of a frame
        assert frame.nats == pytest.approx(sum(term.nats for term in frame.terms.values()))
        assert frame.nats_per_dim == pytest.approx(frame.nats / 16)
    assert sum(frame.nats for frame in result.frames) == pytest.approx(result.nats)
    assert sum(term.nats for term in result.terms.values()) == pytest.approx(result.nats)
    for term in result.terms.values():
        assert term.nats_per_dim == pytest.approx(term.nats / (2 * 4))
