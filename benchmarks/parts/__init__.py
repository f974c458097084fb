"""What the benchmarks share: timing, curves, tables, codecs and figures."""
