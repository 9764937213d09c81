"""Conformance of inference times: what a distribution or a measured profile must be, before timelines rest on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rtbench.cell import Latency, cell_from_json, cell_to_json
from rtbench.interaction.latency import LatencyModel, parse_latency
from rtbench.testing.base import Conformance, once, require
from rtbench.testing.samples import cell, interaction


class LatencyConformance(Conformance):
    """Checks an inference time: `name` as a suite file or a command line gives it, such as `profile:FILE`.

    `draws` are taken per process; the mean of so many is compared with the model's own within five standard errors.
    """

    name: ClassVar[Any] = ""
    draws: ClassVar[int] = 20_000

    @classmethod
    def label(cls) -> str:
        """The inference time."""
        return f"latency/{cls.name}"

    @property
    @once
    def latency(self) -> Latency:
        """As a cell has it."""
        return parse_latency(self.name)

    def model(self, seed: int = 0, **more: Any) -> LatencyModel:
        """Its random streams."""
        return LatencyModel(self.latency, seed, "conformance", **more)

    @once
    def drawn(self) -> NDArray[np.int64]:
        """A long row of draws of one process."""
        return self.model().draw_block(0, self.draws)

    def test_is_positive(self) -> None:
        """Every draw is a whole number of nanoseconds, at least 1."""
        require(self.drawn().dtype == np.int64 and self.drawn().min() >= 1, "an inference takes at least 1 ns")

    def test_same_seed_same_draws(self) -> None:
        """Draws depend on the seed and the process alone."""
        require(np.array_equal(self.model().draw_block(0, self.draws), self.drawn()), "one seed gives two rows")

    def test_block_sizes_do_not_matter(self) -> None:
        """Drawn one by one, or in uneven blocks, the row is the same."""
        model, sizes = self.model(), (1, 1, 5, 100, 3, 1000)
        pieces = np.concatenate([model.draw_block(0, size) for size in sizes])
        require(np.array_equal(pieces, self.drawn()[: sum(sizes)]), "draws depend on the sizes of blocks")

    def test_processes_do_not_disturb_each_other(self) -> None:
        """What one process draws does not change another's row, in one thread or in several."""
        model = self.model()
        model.draw_block(1, 17)
        require(np.array_equal(model.draw_block(0, 1000), self.drawn()[:1000]), "processes share a row of draws")
        with ThreadPoolExecutor(3) as threads:
            rows = list(threads.map(lambda process: self.model().draw_block(process, 1000), (0, 0, 1)))
        require(np.array_equal(rows[0], rows[1]), "threads disturb each other's draws")

    def test_mean_is_what_it_says(self) -> None:
        """The mean of many draws is the model's own, within five standard errors."""
        drawn = self.drawn()
        error = 5 * float(drawn.std()) / len(drawn) ** 0.5 + 1
        told, found = self.model().mean_ns(), float(drawn.mean())
        require(abs(found - told) <= error, f"the mean is said to be {told:.0f} ns, and is {found:.0f} ± {error:.0f}")

    def test_longest_is_what_it_says(self) -> None:
        """At most one draw in a thousand is longer than the model's longest."""
        share = float((self.drawn() > self.model().longest_ns()).mean())
        require(share <= 1e-3, f"{share:.2%} of the draws exceed the longest, {self.model().longest_ns()} ns")

    def test_floor_and_shares_hold(self) -> None:
        """`at_least_ns` is a floor, `split` gives equal shares rounded up."""
        floor = int(np.median(self.drawn())) + 1
        require(self.model(at_least_ns=floor).draw_block(0, 1000).min() >= floor, "a draw lies below the floor")
        halves = self.model(split=2).draw_block(0, 1000)
        require(np.array_equal(halves, -(-self.drawn()[:1000] // 2)), "two shares do not make the whole")

    def test_survives_a_cell(self) -> None:
        """In a cell, as JSON and back, it is the same and has the same identity."""
        met = cell(interaction=interaction("sequential", 0.0, latency=self.latency))
        again = cell_from_json(cell_to_json(met))
        require(again == met and again.data() == met.data(), "as JSON and back it is another inference time")
