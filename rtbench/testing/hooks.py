"""Conformance of hook plugins: each hook answers what its specification says, and changes nothing it is told."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from rtbench import hookspecs, plugins
from rtbench.cell import Cell
from rtbench.testing import samples
from rtbench.testing.base import NotApplicable, RegisteredConformance, once, require

OUTCOME: dict[str, Any] = {
    **{"eval_return_final": 1.5, "eval_return": [1.0, 1.5], "eval_step": [30, 60], "env_steps": 60, "ticks": 30},
    **{"updates": 10, "train_return_mean": 1.0, "episodes": 2, "inaction_share": 0.0, "observation_age_p50_steps": 2},
}


def sample_row() -> dict[str, Any]:
    """A finished run's row, as hooks are told it."""
    from rtbench.backends.machine import fingerprint
    from rtbench.executors.provenance import provenance
    from rtbench.results.schema import new_row

    return new_row(
        samples.cell(),
        0,
        suite="conformance",
        suite_revision=1,
        attempt=1,
        outcome={"status": "ok", **OUTCOME},
        machine=fingerprint(1),
        provenance=provenance("2026-01-01T00:00:00+00:00"),
    )


class HookConformance(RegisteredConformance):
    """Checks a hook plugin by its name in the group `rtbench`: each of its hooks is called as a run calls it.

    Hooks that write somewhere do so when they are called: override `prepare` to send that to a temporary place.
    """

    kind = plugins.HOOK_GROUP

    def prepare(self) -> None:
        """Called before every hook is."""

    @once
    def told(self) -> dict[str, dict[str, Any]]:
        """What every hook is told here, by hook."""
        from rtbench.suites.identity import run_id

        cell, row = samples.cell(), sample_row()
        name = run_id(cell, 0)
        return {
            "rtbench_configure": {"state_folder": "no-such-folder"},
            "rtbench_fingerprint": {},
            "rtbench_modify_cells": {"suite": "conformance", "cells": [cell]},
            "rtbench_run_started": {"run_id": name, "cell": cell.data(), "seed": 0, "attempt": 1},
            "rtbench_metrics": {"run_id": name, "step": 30, "unit": "ticks", "metrics": {"eval_return": 1.0}},
            "rtbench_columns": {"run_id": name, "cell": cell.data(), "outcome": dict(OUTCOME)},
            "rtbench_run_finished": {"run_id": name, "row": row},
            "rtbench_report_section": {"suite": "conformance", "rows": [row]},
        }

    def implementations(self) -> dict[str, Callable[..., Any]]:
        """Its hooks by name."""
        import pluggy

        manager = pluggy.PluginManager(plugins.HOOK_GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(self.entry.load(), name=self.name)
        callers = {name: getattr(manager.hook, name) for name in vars(hookspecs) if name.startswith("rtbench_")}
        return {name: found[0].function for name, caller in callers.items() if (found := caller.get_hookimpls())}

    def answers(self, hook: str) -> Any:
        """What it answers to a hook; NotApplicable if it does not listen to it."""
        return self._asked(hook, self.told()[hook])

    def _asked(self, hook: str, told: dict[str, Any]) -> Any:
        implementations = self.implementations()
        if hook not in implementations:
            raise NotApplicable(f"it does not listen to {hook}")
        self.prepare()
        function = implementations[hook]
        wanted = inspect.signature(function).parameters
        return function(**{name: value for name, value in told.items() if name in wanted})

    def test_listens_to_something(self) -> None:
        """At least one of its functions is marked `hookimpl`."""
        require(self.implementations(), "no function is marked with rtbench.hookspecs.hookimpl")

    def test_hooks_are_documented(self) -> None:
        """The plugin, and each of its hooks, says what it does."""
        require(inspect.getdoc(self.entry.load()), "the plugin has no docstring")
        bare = [name for name, function in self.implementations().items() if not inspect.getdoc(function)]
        require(not bare, f"no docstring: {', '.join(bare)}")

    def test_nothing_it_is_told_is_changed(self) -> None:
        """It leaves the cells, rows and numbers it is told alone: other plugins are told the same objects."""
        for hook in self.implementations():
            told = copy.deepcopy(self.told()[hook])
            before = copy.deepcopy(told)
            self._asked(hook, told)
            require(told == before, f"{hook} changes what it is told")

    def test_same_question_same_answer(self) -> None:
        """Asked twice it answers the same: reports and cells are built more than once."""
        for hook in self.implementations():
            require(self.answers(hook) == self.answers(hook), f"{hook} answers differently when asked again")

    def test_listening_answers_nothing(self) -> None:
        """Hooks that only tell are not answered."""
        for hook in ("rtbench_configure", "rtbench_run_started", "rtbench_metrics", "rtbench_run_finished"):
            if hook in self.implementations():
                require(self.answers(hook) is None, f"{hook} answers something, and nobody listens")

    def test_fingerprint_is_text(self) -> None:
        """Facts about the machine are texts by name, with a namespace."""
        found = self.answers("rtbench_fingerprint")
        for name, value in found.items():
            require("/" in name and isinstance(value, str), f"not namespace/name and text: {name!r}: {value!r}")

    def test_columns_are_numbers(self) -> None:
        """Extra columns are finite numbers by namespace/name."""
        import math

        for name, value in self.answers("rtbench_columns").items():
            fits = "/" in name and isinstance(value, (int, float)) and math.isfinite(value)
            require(fits, f"not namespace/name and a finite number: {name!r}: {value!r}")

    def test_columns_of_failed_runs_do_not_break(self) -> None:
        """A run that failed has no outcome; its columns may be none, but asking for them breaks nothing."""
        told = self.told()["rtbench_columns"] | {"outcome": {}}
        self._asked("rtbench_columns", told)

    def test_cells_are_added_whole(self) -> None:
        """Cells it adds are cells, those of the suite stay; a suite it does not know it leaves alone."""
        found = self.answers("rtbench_modify_cells") or []
        require(all(isinstance(each, Cell) for each in found), "what it adds are no cells")
        empty = self._asked("rtbench_modify_cells", {"suite": "conformance", "cells": []})
        require(all(isinstance(each, Cell) for each in empty or []), "for a suite without cells it adds no cells")

    def test_report_section_is_text(self) -> None:
        """A section of a report is Markdown or nothing, also where there are no rows."""
        given: tuple[list[dict[str, Any]], ...] = (self.told()["rtbench_report_section"]["rows"], [])
        for rows in given:
            found = self._asked("rtbench_report_section", {"suite": "conformance", "rows": rows})
            require(found is None or (isinstance(found, str) and found.strip()), f"not a text: {found!r}")
