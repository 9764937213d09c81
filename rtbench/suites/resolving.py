"""Entries of a suite file as parts and interactions, each looked up once, and the product of its axes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from rtbench import plugins
from rtbench.cell import Cell, Interaction, Precision
from rtbench.errors import SuiteError
from rtbench.interaction.profile import SHIPPED
from rtbench.parts import Part, PartUse
from rtbench.suites.document import AXES, AxesTable, InteractionEntry, PartEntry
from rtbench.suites.model import Suite
from rtbench.suites.places import Key
from rtbench.units import parse_duration_ns

KIND = {"environment": "environments", "architecture": "architectures", "learner": "learners", "backend": "backends"}
DEFAULT_BACKEND = PartEntry(use="numpy")
DEFAULT_PRECISION: Precision = "fp32"


class Classes:
    """The classes of parts, each looked up once, and what they say of cells."""

    def __init__(self) -> None:
        self._classes: dict[tuple[str, str], type[Part]] = {}
        self._missing: dict[tuple[str, str], str | None] = {}

    def of(self, kind: str, name: str, place: str = "") -> type[Part]:
        """The class of a part; SuiteError naming the place where there is none."""
        key = (kind, name)
        if key not in self._classes:
            self._classes[key] = plugins.part_class(kind, name, place=place)
            self._missing[key] = plugins.missing_requirement(self._classes[key])
        return self._classes[key]

    def unsupported(self, cell: Cell) -> str | None:
        """The first reason a part gives why it cannot run this cell here, or None."""
        known = getattr(self.of(cell.learner.kind, cell.learner.name), "precisions", (DEFAULT_PRECISION,))
        if cell.precision not in known:
            return f"learner {cell.learner.name} trains in {' or '.join(known)}, not {cell.precision}"
        for axis, part in cell.parts.items():
            found = self.of(part.kind, part.name)
            reason = self._missing[part.kind, part.name] or found.supports(cell)
            if reason:
                return reason if part.name in reason else f"{axis.replace('_', ' ')} {part.name}: {reason}"
        return None


class Resolver:
    """Looks every entry of a suite file up once and multiplies the axes."""

    def __init__(self, suite: Suite, classes: Classes) -> None:
        self.suite, self._classes = suite, classes
        self._overridden: set[tuple[str, str]] = set()
        self._known: dict[str, set[str]] = {axis: set() for axis in KIND}
        self._axes = {axis: self._axis(suite.document.axes, axis, ("axes",)) for axis in AXES}
        if not suite.document.axes.backend:
            self._axes["backend"] = [self._part("backend", DEFAULT_BACKEND, ("axes", "backend"))]

    def cells(self) -> Iterable[Cell]:
        """The product of [axes] if every axis has a value, then that of each [[cells]] entry."""
        if self.suite.budget is None:  # all come from suites that it includes
            return
        precisions = self.suite.document.axes.precision or [DEFAULT_PRECISION]
        if all(self._axes.values()) or not self.suite.document.cells:
            yield from self._product(dict(self._axes), precisions, ("axes",))
        for number, table in enumerate(self.suite.document.cells):
            where: tuple[Key, ...] = ("cells", number)
            own = {axis: self._axis(table, axis, where) or self._axes[axis] for axis in AXES}
            yield from self._product(own, table.precision or precisions, where)

    def _product(
        self, values: dict[str, list[Any]], precisions: Sequence[Precision], where: tuple[Key, ...]
    ) -> Iterable[Cell]:
        budget = self.suite.budget
        assert budget is not None
        for axis in AXES:
            if not values[axis]:
                raise SuiteError(f"no {axis} is given here or in [axes]", place=self.suite.place(*where), allowed=AXES)
        for environment, architecture, interaction, learner, backend in itertools.product(
            *(values[axis] for axis in AXES)
        ):
            for precision in precisions:
                yield Cell(environment, architecture, interaction, learner, backend, budget, precision)

    def _axis(self, table: AxesTable, axis: str, where: tuple[Key, ...]) -> list[Any]:
        entries = getattr(table, axis)
        make = self._interaction if axis == "interaction" else None
        return [
            make(entry, (*where, axis, number)) if make else self._part(axis, entry, (*where, axis, number))
            for number, entry in enumerate(entries)
        ]

    def _part(self, axis: str, entry: PartEntry, where: tuple[Key, ...]) -> PartUse:
        place = self.suite.place(*where)
        kind = KIND[axis]
        names = {field.name for field in dataclasses.fields(self._classes.of(kind, entry.use, place).Params)}
        self._known[axis] |= names
        changes = {key: value for key, value in self.suite.override.get(axis, {}).items() if key in names}
        self._overridden |= {(axis, key) for key in changes}
        folder = self.suite.path.parent
        return plugins.use(kind, entry.use, entry.given | changes, label=entry.label, place=place, folder=folder)

    def check_overrides(self) -> None:
        """SuiteError if the profile overrides a parameter that no part of that axis has."""
        for axis, changes in self.suite.override.items():
            for key in changes:
                if (axis, key) not in self._overridden:
                    raise SuiteError(
                        f"the profile overrides {key!r}, which no {axis} of this suite has",
                        place=self.suite.place("profiles", self.suite.profile, "override"),
                        given=key,
                        allowed=sorted(self._known[axis]),
                    )

    def _interaction(self, entry: InteractionEntry, where: tuple[Key, ...]) -> Interaction:
        from rtbench.interaction.latency import parse_latency
        from rtbench.interaction.timing import contradiction

        place = self.suite.place(*where)
        drawn = {
            name: parse_latency(self._beside(value), place=place if name == "latency" else f"{place}.{name}")
            for name in ("latency", "learning", "lateness")
            if (value := getattr(entry, name)) is not None
        }
        interaction = Interaction(
            scheduler=plugins.use(
                "schedulers", entry.scheduler.use, entry.scheduler.given, label=entry.scheduler.label, place=place
            ),
            execution=entry.execution,
            delta=0.0 if entry.delta is None else float(entry.delta),
            delta_cv=entry.delta_cv,
            default_policy=plugins.use(
                "default_policies", entry.default_policy.use, entry.default_policy.given, place=place
            ),
            clock=entry.clock,
            processes=entry.processes,
            on_reset=entry.on_reset,
            sensor_latency_s=_seconds(entry.sensor_latency, f"{place}.sensor_latency"),
            actuator_latency_s=_seconds(entry.actuator_latency, f"{place}.actuator_latency"),
            epsilon=entry.epsilon,
            counterfactual=entry.counterfactual,
            latency_convention=entry.latency_convention,
            **drawn,
        )
        reason = contradiction(interaction)
        if reason:
            raise SuiteError(f"this interaction contradicts itself: {reason}", place=place)
        return interaction

    def _beside(self, latency: Any) -> Any:
        """A latency whose profile is a relative path, meant from the suite file's folder; not a shipped one."""
        if isinstance(latency, dict) and isinstance(latency.get("profile"), str):
            if latency["profile"].startswith(SHIPPED):
                return latency
            return {**latency, "profile": str(self.suite.path.parent / latency["profile"])}
        if isinstance(latency, dict) and isinstance(latency.get("mixture"), list):
            return {"mixture": [self._beside(part) for part in latency["mixture"]]}
        if isinstance(latency, list):
            return [self._beside(part) for part in latency]
        return latency


def _seconds(value: Any, place: str) -> float:
    """A latency in seconds from text with a unit or a number of seconds; 0 if not given."""
    if value is None:
        return 0.0
    if isinstance(value, str):
        return parse_duration_ns(value, place=place) / 1e9
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    raise SuiteError(f"not a latency: {value!r}", place=place, hint="text with a unit such as '10ms', or seconds")
