"""What a configuration may hold: the checks, and the errors that name what would be right."""

import dataclasses
import difflib
from collections.abc import Collection, Iterable
from typing import Any, TypeVar

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import parse_size

Config = TypeVar("Config", bound=Any)  # one of the configurations


def replace(config: Config, **overrides: Any) -> Config:
    """`dataclasses.replace` that suggests the nearest name for a misspelt one.

    Raises:
        UserError: for an unknown field, or a value of another type.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}
    checked = {}
    for name, value in overrides.items():
        if name not in fields:
            raise unknown("field", name, fields)
        checked[name] = _coerce(name, fields[name].default, value)
    return dataclasses.replace(config, **checked)


def unknown(kind: str, name: object, valid: Iterable) -> UserError:
    """The error for a name that is none of `valid`, with the nearest one."""
    near = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {kind} {name!r}{hint} (valid: {', '.join(map(str, valid))})")


def _coerce(name, default, value):
    """Checks a field's value against its default's type; ints may stand for floats."""
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
    """Raises UserError unless a field has one of the valid values."""
    value = getattr(config, name)
    if value not in valid:
        raise unknown(name, value, valid)


def check_at_least(config: Any, least: float, *names: str) -> None:
    """Raises UserError unless each of the fields named is at least `least`."""
    for name in names:
        if getattr(config, name) < least:
            raise UserError(f"{name} is {getattr(config, name)}; valid: {least} or more")
