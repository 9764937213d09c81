"""Turning what is wrong with a suite file into one error with the file, the key, the line and the allowed values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rtbench.errors import SuiteError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Key = str | int
_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]{}=,]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_-]+|\"[^\"]*\")\s*(\.|=)")


def key_path(path: Sequence[Key]) -> str:
    """('axes', 'architecture', 2, 'use') as axes.architecture[2].use (counted from 0)."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def place(file: Path, text: str, path: Sequence[Key]) -> str:
    """The file, the line where it can be found, and the key."""
    line = line_of(text, path)
    return f"{file}" + (f", line {line}" if line else "") + (f", key {key_path(path)}" if path else "")


def line_of(text: str, path: Sequence[Key]) -> int | None:
    """The line (from 1) of a key, or of the nearest table around it; None if not even that is found.

    TOML's parser keeps no positions. This reads headers, keys and entries that begin a line with a brace, which is how
    suite files are written; for anything denser it names the line where the surrounding value begins.
    """
    lines = text.splitlines()
    best: tuple[int, int] | None = None
    counts: dict[str, int] = {}
    header: list[Key] = []
    for number, line in enumerate(lines, start=1):
        if match := _HEADER.match(line):
            name = match.group(2)
            header = [step.strip().strip('"') for step in name.split(".")]
            if match.group(1) == "[[":
                header = [*header, counts.get(name, 0)]
                counts[name] = counts.get(name, 0) + 1
            found = header
        elif match := _KEY.match(line):
            found = [*header, match.group(1).strip('"')]
        else:
            continue
        depth = len(found)
        if list(path[:depth]) == found and (best is None or depth > best[0]):
            best = (depth, number)
    if best is None:
        return None
    depth, number = best
    opens = lines[number - 1].split("#")[0].rstrip().endswith("[")  # else the value stands on the key's own line
    if opens and depth < len(path) and isinstance(index := path[depth], int):
        return _entry_line(lines, number, index) or number
    return number


def _entry_line(lines: list[str], start: int, index: int) -> int | None:
    """The line of the index-th entry of an array whose entries each begin a line, `start` being the key's line."""
    seen = -1
    for number, line in enumerate(lines[start:], start=start + 1):
        if line.startswith("]") or _HEADER.match(line):
            return None
        seen += line.lstrip().startswith("{")
        if seen == index:
            return number
    return None


def from_validation(error: ValidationError, model: type[BaseModel], file: Path, text: str) -> SuiteError:
    """The first thing pydantic found, as an error of ours; the rest is counted."""
    problems = error.errors()
    # A misspelt key explains the missing one that it should have been.
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    path: tuple[Key, ...] = tuple(step for step in first["loc"] if step != "[key]")
    allowed: list[str] = []
    given = ""
    if first["type"] == "extra_forbidden":
        message, given = f"unknown key {path[-1]!r}", str(path[-1])
        allowed = sorted(_model_at(model, path[:-1]).model_fields)
    elif first["type"] == "missing":
        message, path = f"missing key {path[-1]!r}", path[:-1]
    elif first["type"] == "literal_error":
        given = str(first["input"])
        allowed = re.findall(r"'([^']+)'", str(first.get("ctx", {}).get("expected", "")))
        message = f"{path[-1]!r} cannot be {first['input']!r}: {first['msg']}"
    else:
        message = f"{path[-1] if path else 'the file'!r}: {first['msg']}, got {first['input']!r}"
    if len(problems) > 1:
        message += f" (and {len(problems) - 1} more)"
    return SuiteError(message, place=place(file, text, path), given=given, allowed=allowed)


def _model_at(model: type[BaseModel], path: Sequence[Key]) -> type[BaseModel]:
    """The model of the table at `path`, following lists and dictionaries of models."""
    here: Any = model
    for step in path:
        fields = getattr(here, "model_fields", {})
        if isinstance(step, str) and step in fields:
            here = _inner_model(fields[step].annotation) or here
    return here  # type: ignore[no-any-return]


def _inner_model(annotation: Any) -> Any:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        if found := _inner_model(inner):
            return found
    return None
