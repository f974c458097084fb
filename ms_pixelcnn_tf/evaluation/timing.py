"""Measures the time of a call, and names the processor."""

import pathlib
import platform
import statistics
import time
from collections.abc import Callable

REPEATS = 3  # timings per median
CPUINFO = pathlib.Path("/proc/cpuinfo")


def median_seconds(function: Callable[[], object]) -> float:
    """Median wall time of `function`, in seconds, after one call to compile it."""
    function()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def processor() -> str:
    """The processor's name, such as "Intel(R) Xeon(R) Processor with AMX". It includes the widest
    vector instructions if known, because processors of one name can differ in them."""
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    flags = _cpuinfo("flags").split()
    for flag, vectors in (("amx_tile", "AMX"), ("avx512f", "AVX-512"), ("avx2", "AVX2")):
        if flag in flags:
            return f"{name} with {vectors}"
    return name


def _cpuinfo(field):
    """The first value of a field of /proc/cpuinfo; "" if there is none."""
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.split(":")[0].strip() == field:
                return line.split(":", 1)[1].strip()
    return ""
