"""The request bodies of docs/serving.md, by the conversions of TensorFlow Serving's REST interface.

Columnar requests: JSON under "inputs" becomes one tensor each, of the signature's dtype; an only
output answers with its values alone, several by name.
"""

import json
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

import ms_pixelcnn_tf as ms
from ms_pixelcnn_tf.export import model_card, saved_model
from support.exports import make

pytestmark = pytest.mark.slow

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "serving.md"


def answer(model, body):
    """What the server answers a request's body with, JSON to JSON."""
    request = json.loads(body)
    signature = model.signatures[request.get("signature_name", "serving_default")]
    specs = signature.structured_input_signature[1]
    assert set(request["inputs"]) == set(specs)
    tensors = {}
    for name, values in request["inputs"].items():
        proto = tf.make_tensor_proto(values, specs[name].dtype)  # refuses what does not fit
        tensors[name] = tf.constant(tf.make_ndarray(proto))
        assert specs[name].is_compatible_with(tensors[name]), name
    found = {name: value.numpy().tolist() for name, value in signature(**tensors).items()}
    outputs = next(iter(found.values())) if len(found) == 1 else found
    return json.dumps({"outputs": outputs})


def bodies():
    """The request bodies of the page by the signature that they name."""
    found = re.findall(r"-d '(\{.*\})'", PAGE.read_text())
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Two exports, as `tf.saved_model.load` has them, and the live models."""
    root, found = tmp_path_factory.mktemp("served"), {}
    for name, kind in {"shapes": "plain", "captions": "text"}.items():
        model, run = make(kind)
        folder = saved_model.export(model, run, root / name, model_card.facts(model, run, root))
        found[name] = tf.saved_model.load(str(folder)), ms.load(folder)
    return found


def test_a_sample_goes_there_and_back(served):
    loaded, model = served["shapes"]
    sample, log_prob, _ = bodies()
    said = json.loads(answer(loaded, sample))
    images = np.array(said["outputs"])
    np.testing.assert_array_equal(images, model.sample(2, seed=0))
    body = log_prob.replace("[[[[7, 9, 4], …]]]", json.dumps(images.tolist()))
    nats = json.loads(answer(loaded, body))["outputs"]
    np.testing.assert_allclose(nats, model.log_prob(images.astype("uint8")), rtol=1e-5)
    body = json.dumps({"signature_name": "log_prob_terms", "inputs": {"images": images.tolist()}})
    terms = json.loads(answer(loaded, body))["outputs"]
    assert list(terms) and set(terms) == set(model.term_dims)
    np.testing.assert_allclose(sum(np.array(list(terms.values()))), nats, rtol=1e-5)


def test_captions_are_json_strings(served):
    loaded, model = served["captions"]
    *_, body = bodies()
    caption = json.loads(body)["inputs"]["text"]
    images = json.loads(answer(loaded, body))["outputs"]
    np.testing.assert_array_equal(images, model.sample(1, {"text": caption}, seed=0))
    request = json.loads(body)
    request["inputs"] = {"seed": 1, "number": 2, "text": ["Ein KREIS über ☃", 'a \u0130 "star"']}
    images = json.loads(answer(loaded, json.dumps(request)))["outputs"]
    np.testing.assert_array_equal(
        images, model.sample(2, {"text": request["inputs"]["text"]}, seed=1)
    )


@pytest.mark.parametrize(
    "inputs", [{"seed": 0.5, "number": 2}, {"seed": "x", "number": 2}, {"seed": [0], "number": 2}]
)
def test_what_does_not_fit_is_refused(served, inputs):
    with pytest.raises((TypeError, ValueError, AssertionError)):
        answer(served["shapes"][0], json.dumps({"signature_name": "sample", "inputs": inputs}))


def test_the_pages_commands_name_what_there_is(served):
    text = PAGE.read_text()
    for name in served["shapes"][0].signatures:
        assert f"`{name}`" in text
