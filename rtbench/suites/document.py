"""The tables of a suite file as pydantic models: what may be written, with which types. Nothing is looked up here.

Unknown keys are errors everywhere but in a part's entry, whose further keys are the part's parameters and are checked
against its `Params` at expansion. Durations are text with a unit, `delta` is in environment steps.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from rtbench.cell import Counterfactual, Execution, LatencyConvention, Precision, Unit

AXES = ("environment", "architecture", "interaction", "learner", "backend")
Positive = Annotated[int, Field(gt=0)]
Match = dict[str, dict[str, Any]]
"""Conditions by axis: a value, or a list of values of which one must hold."""


def _as_table(value: Any) -> Any:
    return {"use": value} if isinstance(value, str) else value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _as_value(value: Any) -> Any:
    return {"value": value} if isinstance(value, str) else value


class Table(BaseModel):
    """A table of the file; unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PartEntry(BaseModel):
    """A part by name: `use`, an optional `label` for tables, and the part's parameters beside them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    use: str
    label: str = ""

    @property
    def given(self) -> dict[str, Any]:
        """The parameters as written."""
        return dict(self.model_extra or {})


NamedPart = Annotated[PartEntry, BeforeValidator(_as_table, json_schema_input_type=str | PartEntry)]
Parts = Annotated[
    list[NamedPart], BeforeValidator(_as_list, json_schema_input_type=str | PartEntry | list[str | PartEntry])
]


class InteractionEntry(Table):
    """One way of meeting a world that does not wait; either `delta` or `latency`, neither under `instant`.

    `learning` is the time of one update where learning and inference share a process, `epsilon` the share of
    inferences that give a random action, `lateness` how much too late a process wakes, `counterfactual = "age-0"` the
    same steps acted on with no delay, `latency_convention = "published-code"` a delay counted in decisions. `each` has
    lists of values by key: the entry stands for their product.
    """

    execution: Execution
    scheduler: NamedPart = PartEntry(use="one-process")
    delta: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    delta_cv: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    default_policy: NamedPart = PartEntry(use="repeat-last")
    clock: Literal["virtual", "wall"] = "virtual"
    processes: Positive = 1
    on_reset: Literal["restart", "continue"] = "restart"
    latency: Any = None
    sensor_latency: Any = None
    actuator_latency: Any = None
    learning: Any = None
    epsilon: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    lateness: Any = None
    counterfactual: Counterfactual = "none"
    latency_convention: LatencyConvention = "paper"
    each: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}


def _multiplied(entries: list[InteractionEntry]) -> list[InteractionEntry]:
    out: list[InteractionEntry] = []
    for entry in entries:
        given = {name: getattr(entry, name) for name in entry.model_fields_set - {"each"}}
        if twice := sorted(given.keys() & entry.each.keys()):
            raise ValueError(f"{twice[0]!r} stands in `each` and beside it")
        products = itertools.product(*entry.each.values())
        out += [InteractionEntry(**given, **dict(zip(entry.each, values, strict=True))) for values in products]
    return out


Interactions = Annotated[
    list[InteractionEntry],
    BeforeValidator(_as_list, json_schema_input_type=InteractionEntry | list[InteractionEntry]),
    AfterValidator(_multiplied),
]


class AxesTable(Table):
    """Values per axis; the cells are their product."""

    environment: Parts = []
    architecture: Parts = []
    interaction: Interactions = []
    learner: Parts = []
    backend: Parts = []
    precision: Annotated[
        list[Precision], BeforeValidator(_as_list, json_schema_input_type=Precision | list[Precision])
    ] = []


class About(Table):
    """What the suite is and which figure or table of which paper it answers to.

    `includes` names other suites (or paths of their files, from this one's folder) whose cells are this one's, too,
    each with its own suite's budget, seeds and profile of the same name. `cite` names entries of `papers.bib` beside
    the file.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)?$")
    title: str
    source: str = ""
    revision: Positive = 1
    requires: list[str] = []
    includes: list[str] = []
    cite: list[str] = []


class BudgetTable(Table):
    """Length of training and evaluation in `unit`s; `wall_limit` and `retries` do not change a result."""

    steps: Positive
    unit: Unit = "ticks"
    eval_every: Positive = 20_000
    eval_episodes: Positive = 10
    final_eval_episodes: Positive = 100
    wall_limit: str = "24h"
    retries: int = Field(default=1, ge=0)


class SeedsTable(Table):
    """The seeds base, base + 1, … (`count` of them)."""

    base: int = Field(default=0, ge=0)
    count: Positive


class ProfileTable(Table):
    """A cheaper or smaller version of the suite: other budget keys, fewer seeds, fewer cells, other parameters."""

    steps: Positive | None = None
    unit: Unit | None = None
    eval_every: Positive | None = None
    eval_episodes: Positive | None = None
    final_eval_episodes: Positive | None = None
    wall_limit: str | None = None
    retries: int | None = Field(default=None, ge=0)
    seeds: SeedsTable | None = None
    only: list[Match] = []
    override: dict[Literal["environment", "architecture", "learner", "backend"], dict[str, Any]] = {}


class ExcludeTable(Table):
    """Cells of the product that are not run, and why."""

    why: str = Field(min_length=1)
    match: Match


class NormaliseTable(Table):
    """Scores are divided by those of the cell that matches, per environment; with `floor` both count from its score."""

    against: Match
    floor: Match | None = Field(default=None, description="the cell that earns 0: of β, or of random actions")


class LeaderboardTable(Table):
    """How rows become a table; `group_by` names an axis or axis.key, `only` the cells that enter (default: all).

    `metric` is eval_return, eval_return_auc, train_return, another column of numbers, or a further number by its
    namespace/name where a suite is not about returns; `better` says which way it is good.
    """

    metric: str = Field(default="eval_return", pattern=r"^[a-z][a-z0-9_]*(/[^/]+)?$")
    reduce: Literal["iqm", "mean"] = "iqm"
    better: Literal["higher", "lower"] = "higher"
    group_by: list[str] = ["architecture", "environment", "interaction.delta"]
    normalise: NormaliseTable | None = None
    only: list[Match] = []


class PublishedRows(Table):
    """Which published rows are meant: those that have all the values given; of a list, one."""

    family: str | list[str] | None = None
    method: str | list[str] | None = None
    environment: str | list[str] | None = None
    delta: float | list[float] | None = None


class CellName(Table):
    """What a cell is called in a published table, as far as it is not as in the row."""

    method: str | None = None
    environment: str | None = None
    delta: float | None = None


class IgnoreTable(PublishedRows):
    """Published rows that no cell answers to, and why."""

    why: str = Field(min_length=1)


class AlsoTable(PublishedRows):
    """Published rows that cells of another name answer to, besides or instead of cells of the row's own."""

    stands_for: CellName


class PublishedTable(Table):
    """The published figures: a CSV, its path relative to the suite file."""

    table: str
    ignore: list[IgnoreTable] = []
    also: list[AlsoTable] = []


class ValueEntry(Table):
    """What a figure shows upwards: a column of rows, a further number by namespace/name, or axis.key; and its label."""

    value: str
    label: str = ""


Values = Annotated[
    list[Annotated[ValueEntry, BeforeValidator(_as_value, json_schema_input_type=str | ValueEntry)]],
    BeforeValidator(_as_list, json_schema_input_type=str | ValueEntry | list[str | ValueEntry]),
    Field(min_length=1),
]


class ReferenceTable(Table):
    """Points drawn beside ours: columns of a CSV, its path relative to the suite file, of rows that match `where`.

    `series` and `panel` are the columns that say which of ours a point belongs to; without a panel it is in every one.
    """

    label: str
    table: str
    x: str
    y: str
    series: str = ""
    panel: str = ""
    where: dict[str, str | list[str]] = {}


class FigureTable(Table):
    """A figure, as data: what stands along x, upwards, per series and per panel.

    `x`, `series` and `panel` name an axis or axis.key; `x` may also be a column of rows or namespace/name, of which a
    cell's mean is taken. Several `y` are several series (line, scatter) or stacked on each other (bar).
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    about: str = Field(min_length=1, description="what is to be seen, in a sentence or two; the picture's alt text")
    kind: Literal["line", "scatter", "bar"] = "line"
    x: str
    y: Values
    series: Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])] = []
    panel: str = ""
    filter: Match = {}
    reduce: Literal["mean", "iqm"] = "mean"
    x_label: str
    y_label: str
    log: list[Literal["x", "y"]] = []
    same_scale: bool = Field(default=False, description="one y axis for all panels")
    reference: list[ReferenceTable] = []


class SuiteDocument(Table):
    """A whole suite file; `budget` and `seeds` may be left out where all cells come from suites that it includes."""

    schema_version: Literal[1]
    suite: About
    budget: BudgetTable | None = None
    seeds: SeedsTable | None = None
    profiles: dict[str, ProfileTable] = {}
    axes: AxesTable = AxesTable()
    cells: list[AxesTable] = []
    exclude: list[ExcludeTable] = []
    leaderboard: LeaderboardTable = LeaderboardTable()
    published: PublishedTable | None = None
    figures: list[FigureTable] = []


def json_schema() -> str:
    """The JSON schema of a suite file as text, for editors; committed beside the suites."""
    import json

    return json.dumps(SuiteDocument.model_json_schema(), indent=1, sort_keys=True) + "\n"
