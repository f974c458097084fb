"""The input benchmark reads what is built."""

import pytest

import input as benchmark
from support.errors import refuses
from support.written_cub import write_cub
from tfrecords_tools.build import build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    root = tmp_path_factory.mktemp("cub")
    write_cub(root / "source")
    build("cub", root / "source", root / "built")
    return benchmark.parse(
        [f"--data_dir={root / 'built'}", "--size=16", "--batch=4", "--examples=8", "--repeats=2"]
    )


def test_every_reading_is_taken(options):
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


def test_nothing_built_is_told(tmp_path):
    with refuses(tmp_path, "bin/make_tfrecords"):
        benchmark.main([f"--data_dir={tmp_path}"])
