"""BibTeX of a suite: an entry for the suite itself, and the papers that its file names in `cite`.

Entries stand in `papers.bib` beside the suite's file, so that a suite of somebody's own brings its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from rtbench.errors import SuiteError
from rtbench.suites.model import Suite

PAPERS = "papers.bib"
_ENTRY = re.compile(r"^@\w+\{\s*([^\s,]+)\s*,.*?^\}", re.MULTILINE | re.DOTALL)
_LATEX = {"\\": r"\textbackslash{}", "δ": r"$\delta$", **{letter: f"\\{letter}" for letter in "&%$#_{}"}}


def bibtex(suite: Suite, version: str) -> str:
    """The suite's entry and those of its papers and of the suites that it includes, each once, as a text.

    `version` is rtbench's. Raises SuiteError naming what is cited and has no entry.
    """
    own = [_entry(one, version) for one in _with_included(suite)]
    cited = {key: text for one in _with_included(suite) for key, text in _cited(one)}
    return "\n\n".join([*own, *cited.values()]) + "\n"


def _with_included(suite: Suite) -> Iterator[Suite]:
    yield suite
    for included in suite.included:
        yield from _with_included(included)


def _entry(suite: Suite, version: str) -> str:
    """Which file was meant shows in its digest; no date, so that the same suite gives the same entry."""
    digest = hashlib.sha256(suite.text.encode()).hexdigest()[:12]
    after = f"after {_escaped(suite.source)}; " if suite.source else ""
    return "\n".join(
        [
            f"@misc{{rtbench-{suite.name.replace('/', '-')},",
            f"  title        = {{{{{_escaped(suite.title)}}}}},",
            "  author       = {{The rtbench contributors}},",
            f"  howpublished = {{Suite {_escaped(suite.name)}, revision {suite.revision}, of rtbench {version}}},",
            f"  note         = {{{after}file SHA-256 {digest}}},",
            "}",
        ]
    )


def _cited(suite: Suite) -> Iterator[tuple[str, str]]:
    cite = suite.document.suite.cite
    entries = read_entries(suite.path.with_name(PAPERS)) if cite else {}
    for key in cite:
        if key not in entries:
            raise SuiteError(
                f"nothing is known of the cited paper {key!r}",
                place=suite.place("suite", "cite"),
                given=key,
                allowed=sorted(entries),
                hint=f"add its entry to {PAPERS} beside the suite's file",
            )
        yield key, entries[key]


def read_entries(path: Path) -> dict[str, str]:
    """The entries of a .bib file by key, as they stand there; none if there is no such file.

    An entry begins with @ at the start of a line and ends with } at the start of one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"the papers cannot be read: {error}", place=str(path)) from None
    return {found[1]: found[0] for found in _ENTRY.finditer(text)}


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
