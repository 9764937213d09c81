"""Regret taken apart by counterfactual cells: the same agent in worlds where one of its troubles does not exist.

    inaction = J(instant) − J(β's steps as they are, ages 0)
    delay    = J(β's steps as they are, ages 0) − J(the cell)
    learning = J(instant, best known) − J(instant, this learner and budget)

The three add up to J(instant, best known) − J(the cell). Where the learner trains, it trains in each of these worlds.
They are estimates from a few seeds with a policy that somebody found, and bound nothing. Source: Staggered Asynchronous
Inference, Theorem 1, whose terms they estimate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtbench.cell import Cell, Interaction
from rtbench.parts import canonical_json
from rtbench.results.statistics import LEVEL, RESAMPLES
from rtbench.results.summary import METRIC_COLUMN, number_of
from rtbench.seeds import generator
from rtbench.suites.identity import cell_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtbench.parts import PartUse

COUNTERFACTUALS = "-counterfactuals"
"""What the suite's name in rows of runs ends in that only the taking apart of regret asks for."""
TERMS = ("inaction", "delay", "learning", "total")
Scores = Mapping[int, float]
"""A cell's mean return by seed."""


@dataclass(frozen=True)
class Worlds:
    """A cell and its counterfactuals; the three are one cell where there is no trouble to take away."""

    actual: Cell
    age_0: Cell
    instant: Cell

    @property
    def cells(self) -> tuple[Cell, Cell, Cell]:
        """All three, actual first."""
        return self.actual, self.age_0, self.instant


def worlds(cell: Cell, one_process: PartUse) -> Worlds:
    """The counterfactual cells of a cell; `one_process` is the scheduler that instant interaction names.

    An instant cell has nothing to take away. ε and the default policy stay, as they are no matter of time.
    """
    met = cell.interaction
    if met.execution == "instant":
        return Worlds(cell, cell, cell)
    instant = Interaction(
        scheduler=one_process,
        execution="instant",
        delta=0.0,
        default_policy=met.default_policy,
        on_reset=met.on_reset,
        epsilon=met.epsilon,
    )
    age_0 = replace(met, counterfactual="age-0")
    return Worlds(cell, replace(cell, interaction=age_0), replace(cell, interaction=instant))


def metric_of(asked: str) -> str:
    """The return that is taken apart: the suite's metric if that is one, else the final evaluation's."""
    return asked if asked in METRIC_COLUMN else "eval_return"


def why_not(cell: Cell) -> str | None:
    """Why a cell's regret cannot be taken apart, or None."""
    if cell.interaction.counterfactual != "none":
        return "it is a counterfactual itself"
    if cell.interaction.clock != "virtual":
        return "what would have been is computed on the virtual clock only"
    return None


@dataclass(frozen=True)
class Estimate:
    """A difference of mean returns and its 95 % interval over seeds, None with fewer than two."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Decomposition:
    """Where a cell's return is lost, in returns; the terms add up to `total`.

    `returns` are the means behind it: best, instant, age-0, actual. `seeds` are those that all three worlds have.
    """

    terms: Mapping[str, Estimate]
    returns: Mapping[str, float]
    seeds: tuple[int, ...]

    def data(self) -> dict[str, Any]:
        """Plain data."""
        terms = {name: {"value": e.value, "low": e.low, "high": e.high} for name, e in self.terms.items()}
        return {"returns": dict(self.returns), "seeds": list(self.seeds), **terms}


def decompose(actual: Scores, age_0: Scores, instant: Scores, best: Scores, *, key: str) -> Decomposition | None:
    """The terms from scores by seed, None if the three worlds share no seed; `key` seeds the bootstrap.

    Worlds are compared on the seeds they share, which are drawn anew together; those of the best known runs are drawn
    on their own, unless these are the instant ones.
    """
    import numpy as np

    seeds = tuple(sorted(set(actual) & set(age_0) & set(instant)))
    if not seeds or not best:
        return None
    own = dict(best) == dict(instant)
    known = np.array([best[seed] for seed in (seeds if own else sorted(best))], np.float64)
    paired = np.array([[scores[seed] for seed in seeds] for scores in (instant, age_0, actual)], np.float64)
    random = generator(0, "regret", key)
    drawn = random.integers(len(seeds), size=(RESAMPLES, len(seeds)))
    also = drawn if own else random.integers(len(known), size=(RESAMPLES, len(known)))
    values = _terms(known.mean(), *paired.mean(axis=1))
    spread = _terms(known[also].mean(axis=1), *(paired[:, drawn].mean(axis=2)))
    alone = len(seeds) < 2 or len(known) < 2
    terms = {name: _estimate(values[name], None if alone else spread[name]) for name in TERMS}
    means = dict(zip(("best", "instant", "age-0", "actual"), (known.mean(), *paired.mean(axis=1)), strict=True))
    return Decomposition(terms, {name: float(mean) for name, mean in means.items()}, seeds)


def take_apart(
    apart: Mapping[str, Worlds], rows: Iterable[Mapping[str, Any]], metric: str, seeds: Collection[int]
) -> dict[str, tuple[Decomposition | None, str]]:
    """The terms of every cell that rows of all three worlds allow, and whose the best known runs are, by cell_id."""
    rows = list(rows)
    by_cell: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_cell.setdefault(row["cell_id"], []).append(row)
    found: dict[str, tuple[Decomposition | None, str]] = {}
    for name, those in apart.items():
        names = [cell_id(world) for world in those.cells]
        actual, age_0, instant = (
            {seed: score for seed, score in scores_of(by_cell.get(world, []), metric).items() if seed in seeds}
            for world in names
        )
        # its own instant runs are those above: further seeds of theirs are no better agent
        others = (row for row in rows if row["cell_id"] != names[-1])
        best, whose = best_known(those.actual, instant, others, metric)
        found[name] = decompose(actual, age_0, instant, best, key=name), whose
    return found


def _terms(best: Any, instant: Any, age_0: Any, actual: Any) -> dict[str, Any]:
    return dict(zip(TERMS, (instant - age_0, age_0 - actual, best - instant, best - actual), strict=True))


def _estimate(value: Any, spread: NDArray[np.float64] | None) -> Estimate:
    import numpy as np

    if spread is None:
        return Estimate(float(value), None, None)
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def best_known(cell: Cell, instant: Scores, rows: Iterable[Mapping[str, Any]], metric: str) -> tuple[Scores, str]:
    """The scores by seed of the instant runs with the highest mean in the cell's environment, and whose they are.

    `rows` of others are looked through, for any learner, architecture and budget; the cell's own are `instant`.
    """
    found: dict[str, dict[int, float]] = {}
    names: dict[str, str] = {}
    for row in rows:
        if _is_instant_of(cell, row) and (score := number_of(row, metric)) is not None:
            found.setdefault(row["cell_id"], {})[row["seed"]] = score
            names[row["cell_id"]] = f"{row['learner_name']}, {row['architecture_label'] or row['architecture_name']}"
    best, whose = instant, "its own learner and budget"
    for name in sorted(found):
        if _mean(found[name]) > _mean(best):
            best, whose = found[name], f"{names[name]} ({name[:12]})"
    return best, whose


COLUMNS = (
    *("run_id", "cell_id", "seed", "attempt", "status", "reason", "clock", "interaction_json", "extras"),
    *("environment_name", "environment_revision", "environment_params_json"),
    *("learner_name", "architecture_name", "architecture_label", "suite_revision", "started_utc", "machine_class"),
)
"""Columns of rows that are read, besides the metric's."""


def _is_instant_of(cell: Cell, row: Mapping[str, Any]) -> bool:
    import json

    world = cell.environment
    return (
        row["status"] == "ok"
        and row["environment_name"] == world.name
        and row["environment_revision"] == world.revision
        and canonical_json(json.loads(row["environment_params_json"])) == canonical_json(dict(world.params))
        and json.loads(row["interaction_json"])["execution"] == "instant"
    )


def _mean(scores: Scores) -> float:
    return sum(scores.values()) / len(scores) if scores else float("-inf")


def scores_of(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[int, float]:
    """The metric by seed of the rows that are ok."""
    found = {row["seed"]: number_of(row, metric) for row in rows if row["status"] == "ok"}
    return {seed: score for seed, score in found.items() if score is not None}
