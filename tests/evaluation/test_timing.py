"""What is said of the machine, and how long a call takes."""

import pytest

from ms_pixelcnn_tf.evaluation import timing

CPUINFO = (
    "processor\t: 0\nmodel name\t: A Chip: 9\nflags\t\t: fpu sse2 {flags}\n"
    "processor\t: 1\nmodel name\t: B\n"
)


@pytest.mark.parametrize(
    "flags, vectors",
    [
        ("avx2 avx512f amx_tile", " with AMX"),
        ("avx2 avx512f", " with AVX-512"),
        ("avx2", " with AVX2"),
        ("avx", ""),
    ],
)
def test_a_processor_is_named_with_its_widest_vectors(tmp_path, monkeypatch, flags, vectors):
    (tmp_path / "cpuinfo").write_text(CPUINFO.format(flags=flags))
    monkeypatch.setattr(timing, "CPUINFO", tmp_path / "cpuinfo")
    assert timing.processor() == f"A Chip: 9{vectors}"


def test_a_machine_that_tells_nothing_still_has_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "CPUINFO", tmp_path / "absent")
    monkeypatch.setattr(timing.platform, "processor", lambda: "")
    monkeypatch.setattr(timing.platform, "machine", lambda: "x86_64")
    assert timing.processor() == "x86_64"


def test_the_first_call_does_not_count(monkeypatch):
    """Of calls that take 9, 1, 3 and 2 seconds the median without the first is 2."""
    clock, costs = [0.0], iter([9.0, 1.0, 3.0, 2.0])

    def call():
        clock[0] += next(costs)

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    assert timing.median_seconds(call) == 2.0
