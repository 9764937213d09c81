"""Conformance of suites: files that expand to cells under every profile, with everything they name."""

from __future__ import annotations

import functools
from pathlib import Path

from rtbench import plugins
from rtbench.errors import RtbenchError
from rtbench.suites.expand import SuiteCell, expand, missing_parts
from rtbench.suites.model import Suite, load_suite
from rtbench.suites.published import ALL
from rtbench.testing.base import RegisteredConformance, once, require


@functools.cache
def _loaded(name: str, profile: str) -> Suite:
    return load_suite(name, profile)


class SuiteConformance(RegisteredConformance):
    """Checks a registered suite under all its profiles."""

    kind = "suites"

    @property
    @once
    def profiles(self) -> tuple[str, ...]:
        """Its profiles."""
        return _loaded(self.name, "paper").profiles

    @once
    def cells(self) -> dict[str, list[SuiteCell]]:
        """Its cells by profile, no part asked what it supports."""
        return {profile: expand(_loaded(self.name, profile), support=False) for profile in self.profiles}

    def test_is_a_file(self) -> None:
        """Its entry point says where its TOML file lies."""
        path = Path(self.entry.load()(self.name))
        require(path.is_file() and path.suffix == ".toml", f"{path} is no TOML file: is it part of the wheel?")

    def test_is_valid(self) -> None:
        """Every table and key is one that suites have."""
        for profile in self.profiles:
            _loaded(self.name, profile)

    def test_says_where_it_is_from(self) -> None:
        """It has a title and a source."""
        suite = _loaded(self.name, "paper")
        require(suite.title.strip() and suite.source.strip(), "title and source say what it answers")

    def test_has_a_small_profile(self) -> None:
        """Besides `paper` there is a profile to try it out with."""
        require(len(self.profiles) > 1 or self._small("paper"), f"its only profile is {self.profiles[0]!r}")

    def _small(self, profile: str) -> bool:
        suite = _loaded(self.name, profile)
        return len(self.cells()[profile]) * len(suite.seeds) <= 20

    def test_names_parts_that_are_there(self) -> None:
        """Every part it names is registered by some installed distribution."""
        missing = missing_parts(_loaded(self.name, "paper"))
        require(not missing, f"not installed: {', '.join(missing)}")

    def test_expands_under_every_profile(self) -> None:
        """Each profile has cells; what is excluded says why."""
        for profile, cells in self.cells().items():
            require(cells, f"profile {profile} has no cell")
            require(any(cell.excluded is None for cell in cells), f"profile {profile} excludes every cell")

    def test_expands_the_same_every_time(self) -> None:
        """Expanded again it has the same cells in the same order."""
        for profile, cells in self.cells().items():
            again = expand(load_suite(self.name, profile), support=False)
            require([c.cell_id for c in again] == [c.cell_id for c in cells], f"profile {profile} expands otherwise")

    def test_runs_have_names_of_their_own(self) -> None:
        """No two of its runs are the same."""
        for profile, cells in self.cells().items():
            names = [run for cell in cells for run in cell.run_ids]
            require(len(set(names)) == len(names), f"profile {profile} has a run twice")

    def test_cells_can_run_or_say_why_not(self) -> None:
        """Under every profile each cell is supported here, or says why it is not."""
        for profile in self.profiles:
            for cell in expand(_loaded(self.name, profile)):
                reason = cell.unsupported
                require(reason is None or reason.strip(), f"profile {profile}: a cell is unsupported without a reason")

    def test_published_rows_have_cells(self) -> None:
        """Every figure it answers to belongs to a cell."""
        suite = _loaded(self.name, "paper")
        there = {cell.published_key for cell in self.cells()["paper"]}
        own = [row for row in suite.published if ALL not in row.key]  # others sum several cells up
        lost = [row.key for row in own if not there.intersection(row.keys)]
        require(not lost, f"no cell answers to {lost[:3]}")

    def test_graphs_can_be_made(self) -> None:
        """The architecture of every cell that can run here has a graph for its environment."""
        from rtbench.parts import PolicyShape

        for cell in expand(_loaded(self.name, self.profiles[-1]))[:10]:
            if cell.unsupported or cell.excluded:
                continue
            try:
                spec = plugins.build(cell.cell.environment).spec()
                plugins.build(cell.cell.architecture).make(PolicyShape.of(spec, 2 * spec.action_size))
            except RtbenchError as error:
                raise AssertionError(f"{cell.environment}, {cell.method}: {error}") from None
