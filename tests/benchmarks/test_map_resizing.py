"""The bases of `bin/benchmark map_resizing` differ in one field, and are read where shapes are."""

import dataclasses

import map_resizing


def test_the_runs_differ_in_how_maps_are_resized_and_in_nothing_else():
    runs = [map_resizing.configuration(method) for method in map_resizing.METHODS]
    assert [run.model.map_resizing for run in runs] == list(map_resizing.METHODS)
    models = {dataclasses.replace(run.model, map_resizing="tf1") for run in runs}
    assert len(models) == 1 and {run.train for run in runs} == {runs[0].train}
    assert runs[0].train.steps == 5250 and runs[0].model.held_scales == ("base",)


def test_a_shape_is_looked_for_at_the_pixels_kept():
    """The image's pixel 12, whose centre is at 12.5, is the base's pixel 3."""
    assert map_resizing.at_corner((2, 12.5, 0.5, 4.0), 4) == (2, 3.5, 0.5, 1.0)


def test_the_page_has_a_row_a_run():
    shares = {"right": 0.75, "none": 0.125}
    run = {"steps": 5250, "processor_minutes": 20, "validation_bits": 1.5}
    run |= {key: shares for key in ("novel", "validation", "novel_real", "validation_real")}
    results = {"settings": {"prompts": 10}, "runs": dict.fromkeys(map_resizing.METHODS, run)}
    *_, rows = map_resizing.body(results)
    for method in map_resizing.METHODS:
        assert f"| {method} | 5,250 | 20.0 | 1.5000 | 0.750 | 0.750 | 0.125 |" in rows
