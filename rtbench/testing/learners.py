"""Conformance of learners: programs that train to the end, the same way every time, stopped anywhere or not."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from rtbench import plugins
from rtbench.cell import Budget, Cell, Interaction, RunBatch, Unit
from rtbench.errors import RtbenchError
from rtbench.parts import PartUse
from rtbench.testing import samples
from rtbench.testing.base import NotApplicable, PartConformance, once, require

_ENVIRONMENTS = (samples.CONTINUOUS, samples.DISCRETE)
_ARCHITECTURES: tuple[tuple[str, dict[str, Any]], ...] = (("mlp", {"layers": 2, "width": 8}), ("whole", {}))
_UNITS: tuple[Unit, ...] = ("ticks", "env_steps", "episodes")
_EXECUTIONS = ("pipelined", "sequential")
_SCORES = ("outcome", "scores", "real time", "cost")


class LearnerConformance(PartConformance):
    """Checks a learner with `params` (small ones: a program is trained about ten times).

    `environment` and `architecture` are (name, parameters), `interaction` and `budget` as a cell has them; what is not
    given is tried in turn until `supports` has no objection. `most_calls` bounds the calls of `advance` of one program,
    `stops` are the calls after which it is stopped and continued from its files.
    """

    kind = "learners"
    environment: ClassVar[tuple[str, dict[str, Any]] | None] = None
    architecture: ClassVar[tuple[str, dict[str, Any]] | None] = None
    interaction: ClassVar[Interaction | None] = None
    budget: ClassVar[Budget | None] = None
    seeds: ClassVar[tuple[int, ...]] = (1, 2)
    most_calls: ClassVar[int] = 5_000
    stops: ClassVar[tuple[int, ...]] = (1, 13, 31, 61)

    @property
    @once
    def cell(self) -> Cell:
        """The cell it is trained in; AssertionError with the learner's objections if it supports none."""
        reasons: list[str] = []
        for cell in self._candidates():
            reason = self.part_class.supports(cell)
            for part in cell.parts.values():
                reason = reason or plugins.part_class(part.kind, part.name).supports(cell)
            reason = reason or _objection(cell, self.seeds)
            if reason is None:
                return cell
            reasons.append(reason)
        raise AssertionError(
            f"no cell suits it, say which with `environment`, `budget` …: {'; '.join(dict.fromkeys(reasons))}"
        )

    def _candidates(self) -> Iterator[Cell]:
        budgets = [self.budget] if self.budget else [dataclasses.replace(samples.BUDGET, unit=unit) for unit in _UNITS]
        tried = itertools.product(
            [self.environment] if self.environment else _ENVIRONMENTS,
            [self.architecture] if self.architecture else _ARCHITECTURES,
            [self.interaction] if self.interaction else [samples.interaction(execution) for execution in _EXECUTIONS],
            budgets,
        )
        for environment, architecture, interaction, budget in tried:
            yield samples.cell(
                environment=_used("environments", environment),
                architecture=_used("architectures", architecture),
                interaction=interaction,
                learner=self.use,
                budget=budget,
            )

    def program(self, seeds: tuple[int, ...] = ()) -> Any:
        """A fresh program."""
        return self.build().make(RunBatch(self.cell, seeds or self.seeds))

    def trained(self, program: Any, each: Callable[[int], None] = lambda call: None) -> list[Any]:
        """A program brought to its end, `each` called with the number of calls so far; its outcomes."""
        for call in range(self.most_calls):
            if program.done:
                told = [{"columns": outcome.columns, "extras": outcome.extras} for outcome in program.outcomes()]
                return [json.loads(json.dumps(outcome, default=_plain)) for outcome in told]
            program.advance()
            each(call + 1)
        raise AssertionError(f"not done after {self.most_calls} calls of advance")

    @once
    def expected(self) -> list[Any]:
        """The outcomes of a program that nothing disturbs."""
        return self.trained(self.program())

    # ---- what it says of itself ------------------------------------------------------------------------------------

    def test_there_is_a_cell_it_supports(self) -> None:
        """Some small cell suits it, and every other part of that cell has no objection either."""
        require(self.cell.learner.name == self.name, "the cell has another learner")

    def test_precisions_are_known(self) -> None:
        """Number formats are fp32 or bf16, at least one."""
        found = self.part_class.precisions
        require(found and set(found) <= {"fp32", "bf16"}, f"precisions are {found}")

    def test_speed_is_a_number(self) -> None:
        """`reference_units_per_s`, if given, is positive: plans are estimated with it."""
        speed = self.part_class.reference_units_per_s
        require(speed is None or speed > 0, f"reference_units_per_s is {speed}")

    # ---- a program -------------------------------------------------------------------------------------------------

    def test_begins_at_the_beginning(self) -> None:
        """A fresh program is not done and counts within its budget; making it computes nothing lasting."""
        program = self.program()
        require(not program.done, "a fresh program is done")
        require(0 <= program.done_units <= program.total_units, f"{program.done_units} of {program.total_units} units")
        require(program.total_units >= self.cell.budget.steps, "total_units is less than the budget")

    def test_progress_never_goes_back(self) -> None:
        """`done_units` grows to `total_units`, never beyond and never back."""
        program = self.program()
        seen = [program.done_units]
        self.trained(program, lambda _: seen.append(program.done_units))
        require(seen == sorted(seen), "done_units goes back")
        require(seen[-1] == program.total_units, f"done at {seen[-1]} of {program.total_units} units")

    def test_every_run_has_an_outcome(self) -> None:
        """One outcome per seed, with a finite final return."""
        require(len(self.expected()) == len(self.seeds), f"{len(self.expected())} outcomes of {len(self.seeds)} runs")
        for outcome in self.expected():
            final = outcome["columns"].get("eval_return_final")
            require(isinstance(final, (int, float)) and final == final, f"eval_return_final is {final!r}")

    def test_outcomes_fit_a_row(self) -> None:
        """Columns are known ones of the right type, further numbers have a namespace."""
        from rtbench.results.columns import COLUMNS
        from rtbench.results.values import convert

        allowed = {column.name for column in COLUMNS if column.group in _SCORES}
        for outcome in self.expected():
            convert(outcome["columns"], self.label())
            require(set(outcome["columns"]) <= allowed, f"no columns of outcomes: {set(outcome['columns']) - allowed}")
            for name, value in outcome["extras"].items():
                fits = "/" in name and isinstance(value, (int, float))
                require(fits, f"extras are numbers by namespace/name, not {name!r}: {value!r}")

    def test_steps_are_counted(self) -> None:
        """A run says how many environment steps it took: speed is reckoned by it."""
        for outcome in self.expected():
            steps = outcome["columns"].get("env_steps")
            require(isinstance(steps, int) and steps >= 0, f"env_steps is {steps!r}")

    def test_metrics_are_numbers_by_run(self) -> None:
        """What is told on the way: mappings with `step`, and names that end in the run's index."""
        program = self.program()
        told: list[Any] = []
        self.trained(program, lambda _: told.extend(program.metrics()))
        for metrics in [*told, *program.metrics()]:
            for name, value in metrics.items():
                require(isinstance(value, (int, float)), f"{name} is {value!r}")
                index = name.rpartition("/")[2]
                fits = name == "step" or (index.isdigit() and int(index) < len(self.seeds))
                require(fits, f"{name!r} is not `step` and names no run: `name/index`")

    def test_policies_are_files(self) -> None:
        """What was learnt, if anything, survives being written and read: one policy per run."""
        from rtbench.learners.policy import Policy

        program = self.program()
        self.trained(program)
        kept = list(program.policies([f"run-{seed}" for seed in self.seeds]))
        require(len(kept) in (0, len(self.seeds)), f"{len(kept)} policies of {len(self.seeds)} runs")
        for policy in kept:
            content = policy.to_bytes()
            again = Policy.from_bytes(content)
            require(again.to_bytes() == content, "a policy read again is another one")

    # ---- determinism -----------------------------------------------------------------------------------------------

    def test_same_seeds_same_outcomes(self) -> None:
        """Trained again it ends with the same bits."""
        self._same(self.trained(self.program()), "trained twice it ends otherwise")

    def test_threads_do_not_matter(self) -> None:
        """Trained in another thread than the main one it ends with the same bits."""
        with ThreadPoolExecutor(1) as thread:
            self._same(thread.submit(lambda: self.trained(self.program())).result(), "in a thread it ends otherwise")

    def test_global_randomness_does_not_matter(self) -> None:
        """NumPy's, Python's and torch's global generators change nothing: every stream comes from the seed."""
        import random

        import numpy as np
        import torch

        kept = np.random.get_state(), random.getstate(), torch.random.get_rng_state()
        try:
            for seed in (np.random.seed, random.seed, torch.manual_seed):
                seed(987)
            self._same(self.trained(self.program()), "it depends on global random state")
        finally:
            np.random.set_state(kept[0])
            random.setstate(kept[1])
            torch.random.set_rng_state(kept[2])

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def test_state_is_plain_data(self) -> None:
        """State and what has grown are arrays, numbers and text, which files hold without running anything."""
        from rtbench.learners.packing import pack

        program = self.program()

        def look(call: int) -> None:
            if call in self.stops:
                pack(program.state())
                pack(program.appended())

        self.trained(program, look)

    def test_saving_disturbs_nothing(self) -> None:
        """A program that is saved now and then ends as one that is not."""
        from rtbench.learners.checkpoint import CheckpointFolder

        with tempfile.TemporaryDirectory() as folder:
            program, checkpoints = self.program(), CheckpointFolder(Path(folder))
            found = self.trained(program, lambda call: checkpoints.save(program, {}) if call in self.stops else None)
        self._same(found, "saving changes its outcome")

    def test_continues_exactly(self) -> None:
        """Stopped and continued from its files several times, each by a new program, it ends with the same bits."""
        from rtbench.learners.checkpoint import CheckpointFolder

        with tempfile.TemporaryDirectory() as folder:
            program, calls, continued = self.program(), 0, False
            while not program.done:
                program.advance()
                calls += 1
                require(calls <= self.most_calls, "not done after continuing")
                if calls not in self.stops or program.done:
                    continue
                checkpoints = CheckpointFolder(Path(folder) / str(calls))
                checkpoints.save(program, {"calls": calls})
                done, program = program.done_units, self.program()
                found = CheckpointFolder(checkpoints.folder).load(program)
                require(found == {"calls": calls}, "its checkpoint cannot be read")
                require(program.done_units == done, f"restored at {done} units it says {program.done_units}")
                continued = True
            if not continued:
                raise NotApplicable("it is done before it could be stopped")
            self._same(self.trained(program), "continued from its files it ends otherwise")

    def test_checkpoints_follow_each_other(self) -> None:
        """Of two checkpoints in one folder the newer one continues, with what was appended before it."""
        from rtbench.learners.checkpoint import CheckpointFolder

        with tempfile.TemporaryDirectory() as folder:
            program, checkpoints = self.program(), CheckpointFolder(Path(folder))
            for call in range(max(self.stops)):
                if program.done:
                    break
                program.advance()
                if call + 1 in self.stops:
                    checkpoints.save(program, {})
            program = self.program()
            if CheckpointFolder(Path(folder)).load(program) is None:
                raise NotApplicable("it is done before it could be saved")
            self._same(self.trained(program), "continued from the second checkpoint it ends otherwise")

    def _same(self, found: list[Any], message: str) -> None:
        for seed, one, other in zip(self.seeds, found, self.expected(), strict=True):
            differing = [
                f"{key}: {one['columns'].get(key)} and {value}"
                for key, value in other["columns"].items()
                if one["columns"].get(key) != value
            ]
            require(one == other, f"{message}, seed {seed}: {'; '.join(differing) or 'extras differ'}")


def _objection(cell: Cell, seeds: tuple[int, ...]) -> str | None:
    """What is seen only when the environment is there: its actions are not the learner's kind, say."""
    try:
        plugins.build(cell.learner).make(RunBatch(cell, seeds))
    except RtbenchError as error:
        return error.message
    return None


def _used(kind: str, part: tuple[str, dict[str, Any]]) -> PartUse:
    try:
        return plugins.use(kind, *part)
    except RtbenchError as error:
        raise AssertionError(f"the part it is to be checked with is wrong: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):  # a recording of the wall clock
        return value.hex()
    return value.item() if hasattr(value, "item") else value.tolist()
