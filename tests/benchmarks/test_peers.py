"""The benchmark beside other projects: our half of it, and the peer's where it is installed."""

import importlib.util

import pytest

import peers
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.models import make_model
from parts import rounds
from support.errors import refuses
from support.workers import in_process
from support.written_results import results_of

pytestmark = pytest.mark.slow

SMALL = ["--filters=4", "--size=8", "--batch=2", "--many=2", "--repeats=2", "--blocks=1"]
HAVE_PEER = importlib.util.find_spec("tensorflow_probability") is not None


@pytest.mark.parametrize("name", peers.MODELS)
def test_the_width_is_the_nearest(name):
    options = peers.parse(SMALL)

    def count(width):
        run = make_run(**peers.own_fields(name, width, options))
        return int(make_model(run.model).count_params())

    wanted = (count(9) + 2 * count(10)) // 3
    assert peers.matched_width(name, wanted, options) == 10
    assert peers.matched_width(name, count(9), options) == 9


@pytest.mark.skipif(not HAVE_PEER, reason="the extra `peers` is not installed")
def test_the_peer_is_compared_with_models_of_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "workers", in_process)
    peers.main([*SMALL, f"--out={tmp_path}"])
    models = results_of(tmp_path, "peers")["models"]
    assert list(models) == [peers.PEER, *peers.MODELS]
    peer = models[peers.PEER]
    assert peer["one_faster"]["median"] == peer["many_faster"] == 1
    for one in models.values():
        assert one["parameters"] == pytest.approx(peer["parameters"], rel=0.2)
        assert one["one_seconds"]["min"] > 0 and one["many_seconds"] > 0


@pytest.mark.skipif(HAVE_PEER, reason="the extra `peers` is installed")
def test_a_missing_peer_is_told():
    with refuses("tensorflow_probability", "[peers]"):
        peers.main(SMALL)
