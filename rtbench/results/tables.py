"""A suite's report as tables for a paper: Markdown, or LaTeX with booktabs.

Rows are what was compared, columns the environments. Cells of the two clocks never share a table. A value of which runs
are missing carries a mark and stands for no comparison; what nobody is surely better than (`rtbench.results.ranks`) is
set in bold, where every cell of its column and delta is complete and rows differ in delta and method only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtbench.errors import SuiteError
from rtbench.results.ranks import ranks
from rtbench.results.report import Report, ReportLine
from rtbench.results.statistics import rounded

FORMS = ("markdown", "latex")
MARK = "†"
_ABSENT = "–"
_Key = tuple[float, str, str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True)
class Cell:
    """A value as text; `best` if no other of its column and delta is surely better."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Texts of a table: what it shows, the heads of its columns, its rows, what its marks mean."""

    caption: str
    label: str
    heads: tuple[str, ...]
    texts: int
    """So many columns from the left are text; the others are numbers."""
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = field(default=())


def render(tables: Iterable[Table], form: str) -> str:
    """All tables in one of `FORMS`, as a text that ends in a newline."""
    if form not in FORMS:
        raise SuiteError(f"unknown form {form!r}", place="--format", given=form, allowed=FORMS)
    write = markdown if form == "markdown" else latex
    return "\n".join(write(table) for table in tables)


def paper_tables(title: str, report: Report) -> list[Table]:
    """For each clock a table of mean ± SE with the published figures beside, and one of the reduced score.

    The second has 95 % intervals and is left out where no cell has one.
    """
    tables = []
    for clock in dict.fromkeys(line.clock for line in report.lines):
        lines = [line for line in report.lines if line.clock == clock]
        told = f"{title}: {report.metric}" + (", on the wall clock" if clock == "wall" else "")
        label = "-".join(["tab:" + report.suite, report.profile, *(["wall"] if clock == "wall" else [])])
        tables.append(_table(lines, report, f"{told}, mean ± SE over seeds", label, _mean))
        if any(line.summary.low is not None for line in lines):
            how = {"iqm": "interquartile mean", "mean": "mean"}[lines[0].summary.how]
            caption = f"{told}, {how} with 95 % stratified bootstrap interval"
            tables.append(_table(lines, report, caption, f"{label}-interval", _interval))
    return tables


def _table(
    lines: Sequence[ReportLine], report: Report, caption: str, label: str, show: Callable[[ReportLine], str]
) -> Table:
    environments = list(dict.fromkeys(line.environment for line in lines))
    further = [name for name in lines[0].further if len({str(line.further.get(name)) for line in lines}) > 1]
    published = show is _mean and any(line.published for line in lines)
    known: dict[_Key, dict[str, ReportLine]] = {}
    for line in lines:
        chosen = tuple((name, line.further.get(name)) for name in further)
        known.setdefault((line.delta, line.execution, line.method, chosen), {})[line.environment] = line
    comparable = len(report.budgets) == 1 and not further  # else a row may differ in its conditions, not its method
    best = _best(lines, higher=report.better == "higher") if comparable else set()
    rows = []
    for (delta, execution, method, chosen), found in known.items():
        cells = [Cell(f"{delta:g}"), Cell(execution), Cell(method), *(Cell(_text(value)) for _, value in chosen)]
        for environment in environments:
            there = found.get(environment)
            cells.append(Cell(show(there) if there else _ABSENT, there is not None and id(there) in best))
            if published:
                printed = there.published if there else None
                cells.append(Cell(_plus_minus(printed.mean, printed.spread) if printed else _ABSENT))
        rows.append(tuple(cells))
    heads = [head for name in environments for head in ([name, "published"] if published else [name])]
    texts = ("δ", "execution", "method", *further)
    notes = _notes(lines, report, published)
    notes += ["bold: none of the same δ is surely better (95 % intervals)"] if best else []
    return Table(caption, label, (*texts, *heads), len(texts), tuple(rows), tuple(notes))


def _notes(lines: Sequence[ReportLine], report: Report, published: bool) -> list[str]:
    seeds = sorted({line.summary.wanted for line in lines if line.status == "complete"})
    notes = [f"{' or '.join(map(str, seeds))} seed" + ("" if seeds == [1] else "s")] if seeds else []
    notes += [" or ".join(f"{budget['steps']:,} {budget['unit']}" for budget in report.budgets)]
    if any(line.status == "incomplete" for line in lines):
        notes.append(f"{MARK} runs are missing: no comparison")
    if published:
        ticks = sorted({line.published.ticks for line in lines if line.published and line.published.ticks})
        notes += [f"published after {', '.join(f'{count:,}' for count in ticks)} ticks"] if ticks else []
    return notes


def _best(lines: Sequence[ReportLine], *, higher: bool) -> set[int]:
    """The lines that no other of their environment and delta is surely better than, by id; none if that is all."""
    groups: dict[tuple[str, float], list[ReportLine]] = {}
    for line in lines:
        groups.setdefault((line.environment, line.delta), []).append(line)
    found: set[int] = set()
    for group in groups.values():
        told = [line.summary for line in group]
        if any(line.status != "complete" for line in group) or any(summary.low is None for summary in told):
            continue
        places = ranks([(one.low or 0.0, one.high or 0.0) for one in told], higher=higher)
        first = [id(line) for line, rank in zip(group, places, strict=True) if rank is not None and rank.best == 1]
        found |= set(first) if len(first) < len(group) else set()
    return found


def _mean(line: ReportLine) -> str:
    return _marked(line, _plus_minus(line.summary.mean, line.summary.standard_error))


def _interval(line: ReportLine) -> str:
    told = line.summary
    bounds = f" [{_number(told.low)}, {_number(told.high)}]" if told.low is not None else ""
    return _marked(line, _number(told.reduced) + bounds)


def _marked(line: ReportLine, text: str) -> str:
    if line.summary.mean is None:
        return line.status if line.status in ("failed", "unsupported") else _ABSENT
    return text + (MARK if line.status == "incomplete" else "")


def _plus_minus(value: float | None, spread: float | None) -> str:
    return _number(value) + (f" ± {_number(spread)}" if spread is not None else "")


def _number(value: float | None) -> str:
    """Four significant digits, integers above a thousand."""
    if value is None:
        return _ABSENT
    return f"{value:.0f}" if abs(value) >= 1000 else f"{rounded(value, 4):g}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)


# ---- forms -----------------------------------------------------------------------------------------------------------

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~])")


def markdown(table: Table) -> str:
    """A pipe table with its caption above and its notes below; what Markdown would take for markup is escaped."""

    def cell(value: Cell) -> str:
        text = _MARKDOWN.sub(r"\\\1", " ".join(value.text.split()))
        return f"**{text}**" if value.best else text

    numbers = len(table.heads) - table.texts
    lines = [
        _row(cell(Cell(head)) for head in table.heads),
        _row(["---"] * table.texts + ["---:"] * numbers),
        *(_row(map(cell, row)) for row in table.rows),
    ]
    notes = f"\n{cell(Cell('; '.join(table.notes)))}.\n" if table.notes else ""
    return f"{cell(Cell(table.caption))}\n\n" + "\n".join(lines) + f"\n{notes}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "∞": r"$\infty$",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
    MARK: r"$^\dagger$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "ε": r"$\varepsilon$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "θ": r"$\theta$",
}
_NEGATIVE = re.compile(r"(?<![\w.-])-(?=\d)")


def latex(table: Table) -> str:
    r"""A `table` with booktabs rules (`\usepackage{booktabs}`); notes stand below the rows."""

    def cell(value: Cell) -> str:
        text = "".join(_LATEX.get(letter, letter) for letter in _NEGATIVE.sub("−", " ".join(value.text.split())))
        return rf"\textbf{{{text}}}" if value.best else text

    columns = "l" * table.texts + "r" * (len(table.heads) - table.texts)
    groups = [
        _line(map(cell, row), first=number and row[0] != table.rows[number - 1][0])
        for number, row in enumerate(table.rows)
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{cell(Cell(table.caption))}.}}",
            rf"  \label{{{re.sub(r'[^A-Za-z0-9:.-]', '-', table.label)}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            _line(cell(Cell(head)) for head in table.heads),
            r"    \midrule",
            *groups,
            r"    \bottomrule",
            r"  \end{tabular}",
            *([rf"  \par\smallskip\footnotesize {cell(Cell('; '.join(table.notes)))}."] if table.notes else []),
            r"\end{table}",
            "",
        ]
    )


def _line(cells: Iterable[str], *, first: Any = False) -> str:
    """A row; a little space before the first of another delta."""
    space = "    \\addlinespace\n" if first else ""
    return f"{space}    {' & '.join(cells)} \\\\"
