"""Files as parameters: a file counts by its content, wherever it lies.

A parameter declared with `param(file=True)` takes a path or `python:package.module:function`. A cell then says
`sha256:…` (of a function: its name with the digest of its module's source) and keeps where it lies beside it, out of
identity; before the part is built the content is checked again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

from rtbench.errors import SuiteError

PYTHON = "python:"
_FUNCTION = re.compile(r"python:[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAMED = re.compile(rf"({_FUNCTION.pattern}#)?sha256:[0-9a-f]{{64}}")


def is_named(text: str) -> bool:
    """Whether a text names a content already."""
    return bool(_NAMED.fullmatch(text))


def name_content(text: str, folder: Path, *, place: str = "") -> tuple[str, str]:
    """The name of a content, and where it lies: a path (relative ones from `folder`), or a function as it is written.

    Raises SuiteError if there is no such file or module.
    """
    if not text.startswith(PYTHON):
        path = (folder / Path(text).expanduser()).resolve()
        return f"sha256:{_digest(path, place)}", str(path)
    if not _FUNCTION.fullmatch(text):
        raise SuiteError(f"not a function: {text!r}", place=place, hint="write python:package.module:function")
    return f"{text}#sha256:{_digest(_source(text, place), place)}", text


def check_content(named: str, where: str, *, place: str = "") -> None:
    """SuiteError naming both digests if what lies there is not the content that a cell named."""
    if not where:
        raise SuiteError(
            f"where the file of {_short(named)} lies is not known here",
            place=place,
            hint="plan it from a suite file, or name the file on the command line",
        )
    found, _ = name_content(where, Path(), place=place)
    if found != named:
        raise SuiteError(
            f"{where} has changed: its content is {_short(found)}, the cell names {_short(named)}",
            place=place,
            hint="restore it, or expand the suite again to run it as it is now (as another run)",
        )


def _short(named: str) -> str:
    return named[-64:][:12]


def _digest(path: Path, place: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise SuiteError(
            f"{reason}: {path}",
            place=place,
            hint="a relative path is meant from the suite file's folder; on the command line, from the current one",
        ) from error


def _source(text: str, place: str) -> Path:
    """The file of a function's module, found without importing the module itself."""
    module = text.removeprefix(PYTHON).rpartition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # a stranger's parent package may raise anything
        raise SuiteError(f"{module} cannot be looked up: {type(error).__name__}: {error}", place=place) from error
    if spec is None or spec.origin is None:
        raise SuiteError(
            f"there is no Python module {module!r}", place=place, hint="install it, or put its folder on PYTHONPATH"
        )
    return Path(spec.origin)
