"""Shared parts of the benchmarks: subjects to measure, workers, timing, tables and reports."""
