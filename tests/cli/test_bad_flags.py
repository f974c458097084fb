"""Every flag of bin/train with values that are wrong: one line that names the flag or its field."""

import dataclasses

import pytest

from ms_pixelcnn_tf.cli import train
from ms_pixelcnn_tf.configs import ModelConfig, field_table
from support.errors import missing_facts, refuses

FREE = {"data_dir", "background", "split_by"}  # text that is checked when the data is read


def wrong_values(name, default):
    if name in FREE:
        return []
    if isinstance(default, bool):
        return ["maybe", "2"]
    if isinstance(default, int):
        return ["many", "1.5", "-3", ""]
    if isinstance(default, float):
        return ["much", "nan", "inf", "-1", ""]
    if isinstance(default, tuple):
        return ["0", "-8", "8x", "axb", ""]
    return ["no such thing"]


CASES = [
    (name, value)
    for name, (_, field) in sorted(field_table().items())
    for value in wrong_values(name, field.default)
]


def test_there_is_a_case_for_every_flag():
    assert {name for name, _ in CASES} | FREE == set(field_table())


@pytest.mark.parametrize("name, value", CASES)
def test_a_wrong_value_is_refused_by_name(name, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part, _ = field_table()[name]
    of_videos = part == "model" and name not in {
        field.name for field in dataclasses.fields(ModelConfig)
    }
    others = ["--dataset=shapes_push", "--variant=OT"] if of_videos else []
    with refuses(*value.split()) as refused:
        train.parse([*others, f"--{name}={value}"])
    names = (name, name.rstrip("s"))  # an error may name one of several
    assert len(missing_facts(str(refused.value), *names)) < len(names)
    assert not list(tmp_path.iterdir())
