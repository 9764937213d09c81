"""What `rtbench parity` found, as a page: whether what really happened agrees with what the virtual clock says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rtbench.report.views import Head, Line, Table, Value

VERDICT_TONES = {"agrees": "near", "within noise": "near", "differs": "far"}
_CELL = ("environment", "scheduler", "processes", "execution", "method", "epsilon")
_HEADS = (
    Head("world", "text"),
    Head("scheduler", "text"),
    Head("processes", "number"),
    Head("execution", "text"),
    Head("network", "text"),
    Head("ε", "number", (), "share of random actions"),
    Head("steps", "number", (), "environment steps on the wall clock"),
)


@dataclass(frozen=True)
class Parity:
    """One comparison of the clocks: how many cells of a suite agree, or differ as chance has it; machine, table."""

    name: str
    agree: int
    noisy: int
    cells: int
    machine: str
    table: Table

    @property
    def told(self) -> str:
        """The outcome in words."""
        noisy = f", {self.noisy} within noise" if self.noisy else ""
        return f"{self.agree} of {self.cells} cells agree{noisy}"

    @property
    def page(self) -> str:
        """Its file, from the site's root."""
        return f"parity/{self.name}.html"


def parities(folder: Path, problems: list[str]) -> list[Parity]:
    """Every comparison that lies in a folder; a line in `problems` for a file that is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = []
    for path in sorted(folder.glob("*.parquet")) if folder.is_dir() else ():
        try:
            found.append(_parity(path.stem, pq.read_table(path, use_threads=False).to_pylist()))
        except (OSError, LookupError, TypeError, ValueError, pa.ArrowException) as error:
            problems.append(f"{path}: no comparison of clocks: {error}")
    return found


def _parity(name: str, rows: Sequence[Mapping[str, Any]]) -> Parity:
    cells = list(_cells(rows))
    quantities = tuple(dict.fromkeys(row["quantity"] for row in rows if row["quantity"]))
    lines = [_line(cell, quantities) for cell in cells]
    verdicts = [line.values[-1].text for line in lines]
    about = "mean on the wall clock, on the virtual one fed with the measured times, and the distance of distributions"
    schedulers = tuple(dict.fromkeys(cell[0]["scheduler"] for cell in cells))
    chosen = Head("scheduler", "text", schedulers if len(schedulers) > 1 else ())
    columns = tuple(Head(quantity, "text", (), about) for quantity in quantities)
    heads = (_HEADS[0], chosen, *_HEADS[2:], *columns, Head("verdict", "text", tuple(dict.fromkeys(verdicts))))
    if len({cell[0]["environment"] for cell in cells}) == 1:  # then its name says nothing
        heads, lines = heads[1:], [replace(line, values=line.values[1:]) for line in lines]
    table = Table(f"Parity of the two clocks: {name}", about, "wall", (), heads, tuple(lines), 0)
    agree, noisy = verdicts.count("agrees"), verdicts.count("within noise")
    return Parity(name, agree, noisy, len(lines), rows[0].get("cpu", ""), table)


def _cells(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The rows of each cell, one per quantity, as they were written; two cells may have the same name."""
    cell: list[Mapping[str, Any]] = []
    for row in rows:
        begun = {each["quantity"] for each in cell}
        another = None in {row["quantity"], *begun} or row["quantity"] in begun  # None: it could not be run
        if cell and (another or any(row[key] != cell[0][key] for key in _CELL)):
            yield cell
            cell = []
        cell.append(row)
    if cell:
        yield cell


def _line(rows: Sequence[Mapping[str, Any]], quantities: Sequence[str]) -> Line:
    world, scheduler, processes, execution, method, epsilon = (rows[0][key] for key in _CELL)
    values = [
        *(
            Value(world, world),
            Value(scheduler, scheduler),
            Value(str(processes), processes),
            Value(execution, execution),
        ),
        *(Value(method, method), Value(f"{epsilon:g}", epsilon), Value(str(rows[0]["steps"]), rows[0]["steps"])),
    ]
    told = {row["quantity"]: row for row in rows}
    for quantity in quantities:
        values.append(_quantity(told.get(quantity)))
    verdict = rows[0]["why"] or _worst([row["verdict"] for row in rows])
    values.append(Value(verdict, verdict, tone=VERDICT_TONES.get(verdict, "open")))
    return Line(tuple(values), "complete", "", False)


def _quantity(row: Mapping[str, Any] | None) -> Value:
    if row is None:  # a cell that could not be run
        return Value("")
    told = f"{row['wall_mean']:.3f} · {row['virtual_mean']:.3f} (distance {row['distance']:.3f})"
    return Value(told, row["distance"])


def _worst(verdicts: Sequence[str]) -> str:
    from rtbench.realtime.parity import VERDICTS

    return max(verdicts, key=lambda verdict: VERDICTS.index(verdict))
