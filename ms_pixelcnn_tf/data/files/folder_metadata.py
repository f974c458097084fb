"""Reads `metadata.jsonl` or `metadata.csv` of a folder of images.

The convention is that of Hugging Face's ImageFolder. The file lies at the top of the folder and is
UTF-8, with or without a byte order mark. Each line of JSONL is an object, each row of CSV a record
below the header. Both have the fields

- "file_name": the image's path below the folder, with `/` between its parts;
- "text": a caption; in JSONL also a list of captions. Blank captions do not count;
- "label": the name or the integer of the image's class;
- any others, one of which may name the group of an image (`split_by`).

A line that is not usable is a fault: it is reported in one line of text, and reading continues. The
order of the lines does not matter, except that of two lines for one file the first counts.
"""

import csv
import io
import json
import os
import posixpath
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ms_pixelcnn_tf.errors import UserError

FILES = ("metadata.jsonl", "metadata.csv")


class Entry(NamedTuple):
    """The metadata of one image.

    Attributes:
        captions: its captions; empty if they were not asked for.
        label: the name of its class; "" if labels were not asked for.
        group: the value of the field `split_by`, as text; "" for none.
    """

    captions: tuple[str, ...] = ()
    label: str = ""
    group: str = ""


class Metadata(NamedTuple):
    """The metadata of a folder.

    Attributes:
        file: name of the metadata file.
        entries: path of an image, as the folder lists it → its `Entry`.
        faults: one line of text per unusable line of the file.
        refused: paths of the images that only an unusable line names.
    """

    file: str
    entries: Mapping[str, Entry]
    faults: tuple[str, ...]
    refused: frozenset[str]


EMPTY = Metadata("", {}, (), frozenset())


class _Fault(Exception):
    """The reason why a line cannot be used; `path` is that of the image it names, if any."""

    def __init__(self, reason, path=""):
        super().__init__(reason)
        self.path = path


def read(
    root: str,
    paths: Iterable[str],
    captions: bool = False,
    labels: bool = False,
    split_by: str = "",
) -> Metadata:
    """Reads the metadata of a folder.

    Args:
        root: the folder.
        paths: paths of its files, relative to it.
        captions: whether the field "text" is needed.
        labels: whether the field "label" is needed.
        split_by: name of the field that groups images; "": none.

    Raises:
        UserError: if there is no metadata file, or two of them; if it cannot be read; or if no line
            has the field `split_by`.
    """
    needed = [("text", captions), ("label", labels), (split_by, split_by)]
    file = _find(root, ", ".join(["file_name"] + [name for name, asked in needed if asked]))
    try:
        with open(os.path.join(root, file), "rb") as opened:
            # Bytes that are not UTF-8 become lone surrogates, so that only their lines are faults.
            content = opened.read().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except OSError as error:
        raise UserError(f"{printable(os.path.join(root, file))}: {error.strerror}") from error
    path_of = {path.replace(os.sep, "/"): path for path in paths}
    entries, line_of, faults, refused, known = {}, {}, [], set(), {}
    for number, fields in (_csv_rows if file.endswith(".csv") else _json_rows)(content):
        try:
            if isinstance(fields, str):
                raise _Fault(fields)
            path = _path(fields, path_of)
            known |= dict.fromkeys(fields)
            if path in entries:
                raise _Fault(f"{path} is in line {line_of[path]} already")
            entries[path] = Entry(
                _captions(fields, path) if captions else (),
                _label(fields, path) if labels else "",
                _as_text(fields.get(split_by)),
            )
            line_of[path] = number
        except _Fault as fault:
            faults.append(printable(f"{file} line {number}: {fault}"))
            refused.add(fault.path)
    if split_by and split_by not in known:
        raise UserError(
            f"split_by is {split_by!r}; valid: fields of {file}: "
            f"{', '.join(map(printable, known)) or 'none, as no line of it can be used'}"
            f"{f' (the first: {faults[0]})' if faults and not known else ''}"
        )
    return Metadata(file, entries, tuple(faults), frozenset(refused - {""} - {*entries}))


def printable(text: str | os.PathLike) -> str:
    """A path, or other text, as one line of plain text, whatever bytes it contains."""
    return "".join(map(_printable, os.fsdecode(text)))


def _printable(character):
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(character) & 0xFF:02x}"
    return character.encode("unicode_escape").decode()


def _find(root, needed):
    """The name of the metadata file."""
    found = [file for file in FILES if os.path.isfile(os.path.join(root, file))]
    if not found:
        raise UserError(
            f"folder {printable(root)} is without metadata; valid: a folder with "
            f"{' or '.join(FILES)} of the fields {needed}"
        )
    if len(found) > 1:
        raise UserError(
            f"the metadata of folder {printable(root)} is in {' and '.join(found)}; valid: one of "
            "them"
        )
    return found[0]


def _json_rows(content):
    """Yields (line number, object, or the reason why there is none) of each line of JSONL."""
    for number, line in enumerate(content.split("\n"), 1):  # other line ends may lie within text
        if not line.strip():
            continue
        if not _is_utf8(line):
            yield number, "not UTF-8"
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "not JSON"
            continue
        yield number, fields if isinstance(fields, dict) else f"{_shown(fields)} is not an object"


def _csv_rows(content):
    """Yields (line number, dict, or the reason why there is none) of each row below the header."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    header = None
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, f"not CSV: {error}"
            continue
        if not row:
            continue
        if header is None:
            header = row
        elif not all(map(_is_utf8, row)):
            yield number, "not UTF-8"
        elif len(row) != len(header):
            yield number, f"{len(row)} columns, but the header has {len(header)}"
        else:
            yield number, dict(zip(header, row, strict=True))


def _path(fields, path_of):
    """The path of the image that a line names."""
    name = fields.get("file_name")
    if name is None or name == "":
        raise _Fault("no file_name")
    if not isinstance(name, str):
        raise _Fault(f"file_name is {_shown(name)}; valid: text")
    path = path_of.get(posixpath.normpath(name))
    if path is None:
        raise _Fault(f"no file {_shown(name)}")
    return path


def _captions(fields, path):
    text = fields.get("text")
    captions = text if isinstance(text, list) else [] if text is None else [text]
    if not all(isinstance(caption, str) for caption in captions):
        raise _Fault(f"text of {path} is {_shown(text)}; valid: text or a list of texts", path)
    captions = tuple(caption for caption in captions if caption.strip())
    if not captions:
        raise _Fault(f"no text of {path}", path)
    return captions


def _label(fields, path):
    label = fields.get("label")
    if label is None or label == "":
        raise _Fault(f"no label of {path}", path)
    if type(label) is not int and not isinstance(label, str):
        raise _Fault(f"label of {path} is {_shown(label)}; valid: a name or an integer", path)
    return str(label)


def _as_text(value):
    """Any value of JSON as text, equal for equal values; "" for null."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True)


def _shown(value):
    """A value in an error message, at most 80 characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


def _is_utf8(text):
    """Whether the bytes that `text` was decoded from were UTF-8."""
    return not any("\udc80" <= character <= "\udcff" for character in text)
