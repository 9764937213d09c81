"""`rtbench parity SUITE`: does what really happens agree with what the virtual clock says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.output import JsonOption, emit, line, note, table
from rtbench.cli.results import RESULTS, ResultsOption, SuiteArgument
from rtbench.cli.running import OnlyOption, ProfileOption
from rtbench.errors import RtbenchError, SuiteError

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.realtime.parity import Comparison, Tolerance
    from rtbench.realtime.recording import Recording
    from rtbench.suites.expand import SuiteCell
    from rtbench.suites.model import Suite

FOLDER = "parity"
_ACTING = ("frozen", "untrained")
"""Learners that do not learn, and have episodes on the wall clock."""
ATTEMPTS = 2
"""How often a cell is run if lateness spoils it."""


@dataclass(frozen=True)
class Compared:
    """A cell under both clocks; `why` there is no comparison."""

    name: Mapping[str, Any]
    comparisons: tuple[Comparison, ...] = ()
    steps: int = 0
    lateness_p99_us: float | None = None
    why: str = ""

    @property
    def verdict(self) -> str:
        """The worst of its quantities', or why there is none."""
        from rtbench.realtime.parity import VERDICTS

        verdicts = [found.verdict for found in self.comparisons]
        return self.why or max(verdicts, key=VERDICTS.index, default="undecided")

    @property
    def agrees(self) -> bool:
        """Whether all its quantities do, as far as chance lets it be told."""
        return self.verdict in ("agrees", "within noise")

    def rows(self) -> list[dict[str, Any]]:
        """Plain data, a row per quantity."""
        common = {**self.name, "steps": self.steps, "lateness_p99_us": self.lateness_p99_us, "why": self.why}
        if not self.comparisons:
            return [{**common, **dict.fromkeys(_MEASURES)}]
        return [{**common, **dataclasses.asdict(found), "verdict": found.verdict} for found in self.comparisons]


_MEASURES = ("quantity", "wall_mean", "virtual_mean", "distance", "noise", "tolerance", "verdict")


def parity(
    suite: SuiteArgument,
    profile: ProfileOption = "paper",
    only: OnlyOption = None,
    repetitions: Annotated[int, typer.Option(help="Runs on the virtual clock per cell.")] = 20,
    tolerance_steps: Annotated[float, typer.Option(help="For intervals and ages, environment steps.")] = 0.1,
    tolerance_share: Annotated[float, typer.Option(help="For inaction, a share of the steps.")] = 0.02,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> int:
    """Run each cell on the wall clock, and on the virtual clock with the times measured there; compare.

    Takes as long as the episodes of the suite take; let the machine have nothing else to do. Cells whose learner trains
    run as `untrained`. Writes RESULTS/parity/SUITE.parquet and .md after every cell; exit code 1 if a cell differs, is
    undecided (run longer) or cannot be run. What this can find, and what not, stands in the .md.
    """
    from rtbench.realtime.parity import Tolerance
    from rtbench.suites.model import load_suite

    if repetitions < 2:
        raise SuiteError(f"--repetitions must be at least 2, got {repetitions}", place="--repetitions")
    loaded = load_suite(suite, profile)
    tolerance = Tolerance(tolerance_steps, tolerance_share)
    path = results / FOLDER / f"{loaded.name.replace('/', '-')}.parquet"
    found: list[Compared] = []
    for cell in _chosen(loaded, only or []):
        found.append(_compared(cell, repetitions, tolerance))
        _write(path, found)
        if not json:
            note(_told(found[-1]))
    agree = all(one.agrees for one in found)
    data = {
        "schema_version": 1,
        "suite": loaded.name,
        "agree": agree,
        "rows": [row for one in found for row in one.rows()],
    }
    emit(data, json=json, render=lambda: _print(found, path))
    return 0 if agree else 1


def _chosen(loaded: Suite, only: Sequence[str]) -> list[SuiteCell]:
    """The suite's cells, each once however many clocks it has in the suite."""
    from rtbench.executors.planning import parse_only
    from rtbench.suites.expand import expand
    from rtbench.suites.identity import cell_id
    from rtbench.suites.match import holds, view

    cells = [cell for cell in expand(loaded, support=False) if not cell.excluded]
    match = parse_only(only, cells)
    chosen = [cell for cell in cells if not match or holds(match, view(cell.cell))]
    return list({cell_id(_on_wall(cell.cell)): cell for cell in chosen}.values())


def _on_wall(cell: Cell) -> Cell:
    """The cell on the wall clock, by a learner that only acts there.

    Times are compared, not learning: that is not the same on both clocks (`rtbench.learners.dqn_wall`).
    """
    from rtbench.plugins import part_class, use

    interaction = dataclasses.replace(cell.interaction, clock="wall", lateness=None, counterfactual="none")
    wall = dataclasses.replace(cell, interaction=interaction)
    if cell.learner.name in _ACTING and part_class("learners", cell.learner.name).supports(wall) is None:
        return wall
    return dataclasses.replace(wall, learner=use("learners", "untrained"))


def _refusal(cell: Cell) -> str | None:
    from rtbench.interaction.timing import contradiction
    from rtbench.plugins import part_class

    reasons = (part_class(part.kind, part.name).supports(cell) for part in cell.parts.values())
    return contradiction(cell.interaction) or next(filter(None, reasons), None)


def _compared(found: SuiteCell, repetitions: int, tolerance: Tolerance) -> Compared:
    """One cell under both clocks."""
    from rtbench.realtime.parity import compare

    cell, name = _on_wall(found.cell), _name(found)
    reason = _refusal(cell)
    if reason:
        return Compared(name, why=reason)
    try:
        recording = _recorded(cell, found.seeds[0])
        comparisons = compare(recording, cell.interaction, runs=repetitions, tolerance=tolerance)
    except RtbenchError as error:
        return Compared(name, why=error.message)
    return Compared(name, comparisons, len(recording.rewards), recording.lateness.p99_ns / 1e3)


def _recorded(cell: Cell, seed: int) -> Recording:
    """The cell's episodes on the wall clock; RtbenchError if lateness spoils them again and again."""
    from rtbench.cell import RunBatch
    from rtbench.learners.wall import Spoiled, WallEpisodes
    from rtbench.plugins import build
    from rtbench.realtime.recording import Recording

    for attempt in range(1, ATTEMPTS + 1):
        program = build(cell.learner).make(RunBatch(cell, (seed,)))
        assert isinstance(program, WallEpisodes)
        try:
            while not program.done:
                program.advance()
        except Spoiled:
            if attempt == ATTEMPTS:
                raise
        else:
            break
    return Recording.from_bytes(program.runs[0].kept)


def _name(found: SuiteCell) -> dict[str, Any]:
    met = found.cell.interaction
    return {
        "environment": found.environment,
        "method": found.method,
        "scheduler": met.scheduler.label or met.scheduler.name,
        "execution": met.execution,
        "processes": met.processes,
        "epsilon": met.epsilon,
    }


# ---- telling ---------------------------------------------------------------------------------------------------------

_HEADERS = ("scheduler", "processes", "execution", "method", "steps", "interval", "age", "inaction", "verdict")


def _cells(found: Compared) -> tuple[str, ...]:
    name = found.name
    told = {
        one.quantity: f"{one.wall_mean:.3f} / {one.virtual_mean:.3f}: {one.distance:.3f} "
        f"({one.tolerance:g}; {one.noise:.3f})"
        for one in found.comparisons
    }
    scheduler = name["scheduler"] + (f", ε {name['epsilon']:g}" if name["epsilon"] else "")
    figures = [told.get(quantity, "–") for quantity in ("interval", "age", "inaction")]
    verdict = {"differs": "DIFFERS", "undecided": "undecided, run longer"}.get(found.verdict, found.verdict)
    return (scheduler, str(name["processes"]), name["execution"], name["method"], str(found.steps), *figures, verdict)


def _told(found: Compared) -> str:
    return "  ".join(_cells(found))


_MEANING = (
    "A cell agrees if every distance is within its tolerance. Within noise: a distance is beyond it, but not beyond",
    "what chance does to a virtual run of this length. Undecided: that noise is more than three tolerances, so that it",
    "would excuse anything; run longer.",
    "",
    "Both clocks drive the same scheduler object, and the virtual one is given the times measured on the wall clock.",
    "So this finds faults in the bookkeeping of the wall clock's engine (actions lost, doubled, credited to the wrong",
    "step) and in its keeping of time. It cannot find faults of a scheduler, nor of the measured times.",
    "",
)


def _title(found: Sequence[Compared]) -> str:
    agreeing, noisy = (sum(one.verdict == verdict for one in found) for verdict in ("agrees", "within noise"))
    return (
        f"{agreeing} of {len(found)} cells agree, {noisy} within noise; mean on the wall clock / on the virtual one: "
        "distance of the distributions (tolerance; noise); intervals and ages in environment steps, inaction as a share"
    )


def _print(found: Sequence[Compared], path: Path) -> None:
    table(_HEADERS, [_cells(one) for one in found], title=_title(found))
    line()
    line(f"written: {path.as_posix()}, {path.with_suffix('.md').as_posix()}")


def _write(path: Path, found: Sequence[Compared]) -> None:
    """A Parquet file with everything, and a table to read."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    from rtbench import files
    from rtbench.backends.machine import fingerprint
    from rtbench.interaction.profile import MACHINE_FIELDS

    machine = {name: str(value) for name, value in fingerprint(1).items() if name in MACHINE_FIELDS}
    rows = [{**row, **machine} for one in found for row in one.rows()]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    files.write(path, buffer.getbuffer(), kind="parity")
    text = "\n".join(
        ["# Parity of the two clocks", "", f"{_title(found)}. {machine['cpu']}.", "", *_MEANING, *_markdown(found), ""]
    )
    files.write(path.with_suffix(".md"), text.encode(), kind="parity")


def _markdown(found: Sequence[Compared]) -> list[str]:
    rows = [_HEADERS, ["---"] * len(_HEADERS), *(_cells(one) for one in found)]
    return ["| " + " | ".join(row) + " |" for row in rows]
