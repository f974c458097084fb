"""The input benchmark reads what is built, and says so."""

import pytest

import input as benchmark
from ms_pixelcnn_tf.errors import UserError
from support.written_cub import write_cub
from tfrecords_tools.build import build


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    root = tmp_path_factory.mktemp("cub")
    write_cub(root / "source")
    build("cub", root / "source", root / "built")
    return benchmark.parse(
        [f"--data_dir={root / 'built'}", "--size=16", "--batch=4", "--examples=8", "--repeats=2"]
    )


def test_every_reading_is_taken_and_shown(options):
    subject = benchmark.Subject("cub", options)
    for _ in range(options.repeats):
        subject.measure()
    result = subject.results()
    for name in ("decoder", "pipeline", "kept"):
        assert len(subject.readings[name]) == 2 and min(subject.readings[name]) > 0
    ratios = [
        p / d
        for p, d in zip(subject.readings["pipeline"], subject.readings["decoder"], strict=True)
    ]
    assert result["pipeline_over_decoder"]["min"] == pytest.approx(min(ratios))
    page = benchmark.markdown(
        {
            "command": "bin/benchmark input",
            "size": 16,
            "threads": 2,
            "datasets": [result],
            "training_images_per_second": 7.0,
        },
        "A machine.",
    )
    assert "| cub |" in page and "disjoint split" in page and "7 images/s" in page


def test_nothing_built_is_told(tmp_path):
    with pytest.raises(UserError, match="nothing is built in"):
        benchmark.main([f"--data_dir={tmp_path}"])
