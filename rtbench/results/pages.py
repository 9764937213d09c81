"""Leaderboards as files: Parquet, CSV, a page, and their digests; checking that the files are what the rows give."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rtbench.errors import InvalidResults, StaleLeaderboard
from rtbench.results.leaderboard import NUMBERS, Leaderboard
from rtbench.results.store import FolderStore
from rtbench.suites.published import NORMALISED

DIGESTS = "DIGESTS"
_DIGEST_LINE = re.compile(r"([0-9a-f]+)  (\S+)")
_MEND = "put the file back as it was committed (git checkout), or remove it and rtbench leaderboard build"
_INTEGERS = ("seeds_done", "seeds_wanted", "failed", "published_ticks")


def file_stem(suite: str) -> str:
    """The name of a suite's files; a namespace's slash would be a folder."""
    return suite.replace("/", "--")


def write(board: Leaderboard, folder: Path | str) -> list[Path]:
    """Write <suite>.parquet, .csv and .md, and the suite's line in DIGESTS; answers the paths."""
    digests = read_digests(folder) | {board.suite: board.digest}  # first, since it may refuse
    store = FolderStore(folder, kind="leaderboard")
    stem = file_stem(board.suite)
    contents = {
        f"{stem}.parquet": _parquet(board),
        f"{stem}.csv": to_csv(board).encode(),
        f"{stem}.md": to_page(board).encode(),
    }
    for name, content in contents.items():
        store.replace(name, content)
    store.replace(DIGESTS, "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode())
    return [Path(folder) / name for name in (*contents, DIGESTS)]


def read_digests(folder: Path | str) -> dict[str, str]:
    """The digest of each committed leaderboard by suite; empty if there is none.

    Raises InvalidResults if the file is damaged: lines of suites that are not installed here could not be made again.
    """
    path = Path(folder) / DIGESTS
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidResults(f"the digests cannot be read: {error}", place=str(path), hint=_MEND) from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        parts = _DIGEST_LINE.fullmatch(line)
        if parts is None:
            raise InvalidResults(f"no digest and suite: {line[:80]!r}", place=f"{path}, line {number}", hint=_MEND)
        found[parts[2]] = parts[1]
    return found


def check(board: Leaderboard, folder: Path | str) -> None:
    """StaleLeaderboard, naming what differs, if the folder's files are not what `board` (just rebuilt) would write."""
    committed = read_digests(folder).get(board.suite)
    problems = []
    if committed != board.digest:
        problems.append(f"{DIGESTS} has {(committed or 'nothing')[:12]}, the rows give {board.digest[:12]}")
    stem = file_stem(board.suite)
    for name, content in ((f"{stem}.csv", to_csv(board)), (f"{stem}.md", to_page(board))):
        problems += _differences(Path(folder) / name, content.splitlines(keepends=True), _text_lines)
    typed = [dict(line) for line in _typed(board)]
    problems += _differences(Path(folder) / f"{stem}.parquet", typed, _parquet_lines)
    if problems:
        raise StaleLeaderboard(
            f"the leaderboard of {board.suite!r} is not what its rows give: {'; '.join(problems)}",
            place=str(folder),
            hint=f"rtbench leaderboard build {board.suite}",
        )


def to_csv(board: Leaderboard) -> str:
    """The table as CSV, absent values empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(board.columns)
    for line in board.lines:
        writer.writerow(["" if line[name] is None else _number(line[name]) for name in board.columns])
    return out.getvalue()


def to_page(board: Leaderboard) -> str:
    """The table as a Markdown page, one section per profile, budget, clock and machine class, then the figures."""
    out = [f"# {board.title}", ""]
    how = "interquartile mean" if board.reduce == "iqm" else "mean"
    out += [f"Suite `{board.suite}`, revision {board.revision}. {board.source}".rstrip(), ""]
    out += [
        f"Metric: `{board.metric}`, reduced by {how}; brackets hold its 95 % interval (stratified bootstrap), ± a "
        "standard error. An incomplete line lacks seeds and enters no comparison. `normalised` divides by the base "
        "that the suite names.",
        "",
    ]
    if not board.lines:
        out += ["No rows yet.", ""]
    for block in dict.fromkeys(_block(line) for line in board.lines):
        profile, budget, clock, machine = block
        title = f"## {profile}: {budget}" + (f", {clock} clock" if clock != "virtual" else "")
        out += [title + (f", {machine}" if machine else ""), ""]
        lines = [line for line in board.lines if _block(line) == block]
        out += [*_table(board, lines), "", *_further(board.group_by, lines)]
    for figure in board.figures:
        words = figure.about.replace("[", "(").replace("]", ")")
        out += [f"## {figure.title}", "", f"![{words}](../figures/{file_stem(board.suite)}/{figure.name}.svg)", ""]
    if board.superseded:
        out += [f"{board.superseded} rows of earlier revisions of parts are left out.", ""]
    out.append(f"Content digest: `{board.digest}`")
    return "\n".join(out) + "\n"


def _block(line: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return (line["profile"], line["budget"], line["clock"], line["machine_class"])


def _table(board: Leaderboard, lines: Sequence[Mapping[str, Any]]) -> list[str]:
    measured = ("seeds", "mean ± SE", "reduced [95 %]", "normalised", "published", "age p50", "per s", "status")
    heads = [*board.group_by, *measured]
    out = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    for line in lines:
        status = line["status"] + (f": {line['reason']}" if line["reason"] else "")
        cells = [
            *(_number(line[name]) for name in board.group_by),
            f"{line['seeds_done']}/{line['seeds_wanted']}",
            plus_minus(line["mean"], line["standard_error"]),
            between(line["iqm" if board.reduce == "iqm" else "mean"], line["low"], line["high"]),
            between(line["normalised"], line["normalised_low"], line["normalised_high"]),
            plus_minus(line["published_mean"], line["published_spread"])
            + (" (normalised)" if line["published_metric"] == NORMALISED else ""),
            _number(line["observation_age_p50_steps"]),
            _number(line["return_per_s"]),
            status,
        ]
        out.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return out


def _further(group_by: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """What learners tell beside their score (paths cut, a teacher's return), a line each."""
    out: list[str] = []
    for line in lines:
        if line["further"]:
            told = "; ".join(f"{name} {_number(value)}" for name, value in json.loads(line["further"]).items())
            out.append(f"- {', '.join(_number(line[name]) for name in group_by)}: {told}")
    return [*out, ""] if out else []


def plus_minus(value: float | None, spread: float | None) -> str:
    """'7892 ± 378', without what is not there."""
    return _number(value) + (f" ± {_number(spread)}" if spread is not None else "")


def between(value: float | None, low: float | None, high: float | None) -> str:
    """'7892 [7500, 8200]', without what is not there."""
    return _number(value) + (f" [{_number(low)}, {_number(high)}]" if low is not None else "")


def _number(value: Any) -> str:
    """A value as the tables print it: six significant digits, integers without a point."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _typed(board: Leaderboard) -> list[dict[str, Any]]:
    """Lines as Parquet keeps them: a column of numbers, of integers or of text, never mixed."""
    kinds = {name: _kind(board, name) for name in board.columns}
    convert: dict[str, Any] = {"float": float, "int": int, "string": str}
    return [
        {name: None if line[name] is None else convert[kinds[name]](line[name]) for name in board.columns}
        for line in board.lines
    ]


def _kind(board: Leaderboard, name: str) -> str:
    if name in NUMBERS:
        return "float"
    if name in _INTEGERS:
        return "int"
    values = [line[name] for line in board.lines if line[name] is not None]
    numeric = bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return "float" if numeric else "string"


def _parquet(board: Leaderboard) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"float": pa.float64(), "int": pa.int64(), "string": pa.string()}
    schema = pa.schema([pa.field(name, types[_kind(board, name)]) for name in board.columns])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_typed(board), schema=schema), buffer)
    return buffer.getvalue()


def _differences(path: Path, wanted: list[Any], read: Callable[[Path], list[Any]]) -> list[str]:
    """How the lines of a file differ from those wanted, in a sentence; empty if they do not."""
    import pyarrow as pa

    try:
        there = read(path)
    except FileNotFoundError:
        return [f"{path.name}: there is no such file"]
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        return [f"{path.name}: it cannot be read: {str(error).partition(chr(10))[0]}"]
    if there == wanted:
        return []
    for number, (was, now) in enumerate(zip(there, wanted, strict=False), start=1):
        if was != now:
            return [f"{path.name}: line {number} is {_shown(was)}, the rows give {_shown(now)}"]
    return [f"{path.name}: {len(there)} lines, the rows give {len(wanted)}"]


def _shown(line: Any) -> str:
    return repr(line.rstrip("\n") if isinstance(line, str) else list(line.values()))


def _text_lines(path: Path) -> list[Any]:
    return path.read_bytes().decode("utf-8").splitlines(keepends=True)


def _parquet_lines(path: Path) -> list[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        lines: list[Any] = file.read(use_threads=False).to_pylist()
    return lines
