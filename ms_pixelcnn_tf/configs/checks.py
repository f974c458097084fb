"""Checks of configuration fields, with errors that name the valid values."""

import dataclasses
import difflib
from collections.abc import Collection, Iterable
from typing import Any, TypeVar

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import parse_size

Config = TypeVar("Config", bound=Any)  # any configuration dataclass


def replace(config: Config, **overrides: Any) -> Config:
    """`dataclasses.replace` that checks types and suggests the closest name for a misspelled field.

    Raises:
        UserError: for an unknown field, or a value of the wrong type.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}
    checked = {}
    for name, value in overrides.items():
        if name not in fields:
            raise unknown("field", name, fields)
        checked[name] = _coerce(name, fields[name].default, value)
    return dataclasses.replace(config, **checked)


def unknown(kind: str, name: object, valid: Iterable) -> UserError:
    """The error for a name that is not in `valid`; it suggests the closest match."""
    near = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {kind} {name!r}{hint} (valid: {', '.join(map(str, valid))})")


def _coerce(name, default, value):
    """Checks a value against the type of its default; parses sizes, converts int to float."""
    if isinstance(default, tuple):
        return parse_size(value, name)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise UserError(
            f"{name} is {value!r}; valid: {_article(type(default).__name__)} such as {default!r}"
        )
    return value


def _article(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def check_choice(config: Any, name: str, valid: Collection[Any]) -> None:
    """Raises UserError unless the field `name` has one of the valid values."""
    value = getattr(config, name)
    if value not in valid:
        raise unknown(name, value, valid)


def check_at_least(config: Any, least: float, *names: str) -> None:
    """Raises UserError unless each named field is at least `least`."""
    for name in names:
        if getattr(config, name) < least:
            raise UserError(f"{name} is {getattr(config, name)}; valid: {least} or more")
