"""One export answers as the live model does; `test_saved_model` asks every kind of model."""

import numpy as np
import tensorflow as tf

from ms_pixelcnn_tf.export import model_card, saved_model
from support.exports import make
from support.models import random_levels, random_uniforms


def test_an_export_scores_and_decodes_as_the_live_model(tmp_path):
    model, run = make("plain")
    facts = model_card.facts(model, run, tmp_path)
    folder = saved_model.export(model, run, tmp_path / "export", facts)
    served = tf.saved_model.load(str(folder)).signatures
    images = random_levels(model, 2)
    uniforms = random_uniforms(model, 2, dtype="float32")
    np.testing.assert_allclose(
        served["log_prob"](images=tf.constant(images))["log_prob"],
        model.log_prob(images),
        rtol=1e-6,
    )
    np.testing.assert_array_equal(
        served["decode"](uniforms=tf.constant(uniforms))["images"], model.decode(uniforms)
    )
