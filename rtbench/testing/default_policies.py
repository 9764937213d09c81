"""Conformance of default policies: what fills in at steps without a new action."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtbench.errors import RtbenchError
from rtbench.parts import EnvironmentSpec
from rtbench.testing.base import PartConformance, require
from rtbench.testing.samples import SPECS


class DefaultPolicyConformance(PartConformance):
    """Checks a default policy with `params` in continuous and discrete action spaces."""

    kind = "default_policies"

    def policies(self) -> Iterator[tuple[str, EnvironmentSpec, Any]]:
        """(what is particular, specification, β) of every sample that it does not refuse."""
        for about, spec in SPECS.items():
            try:
                yield about, spec, self.build().make(spec)
            except RtbenchError as error:
                require(error.message, f"it refuses {about} and does not say why")

    def row(self, spec: EnvironmentSpec, policy: Any, seed: int = 0, count: int = 50) -> list[Any]:
        """The actions of so many steps in a row, each told the one before."""
        rng = np.random.default_rng(seed)
        found: list[Any] = []
        for _ in range(count):
            found.append(policy(found[-1] if found else None, rng))
        return found

    @staticmethod
    def last(spec: EnvironmentSpec, seed: int = 0) -> Any:
        """An action that may have been applied before."""
        rng = np.random.default_rng(seed)
        if spec.continuous:
            return rng.uniform(-1, 1, spec.action_size).astype(np.float32)
        return int(rng.integers(spec.action_size))

    def test_fits_some_environment(self) -> None:
        """It acts somewhere: continuous or discrete."""
        require(list(self.policies()), "it refuses every sample environment")

    def test_actions_have_their_type(self) -> None:
        """float32 vectors where actions are continuous, Python integers where they are discrete."""
        for about, spec, policy in self.policies():
            for action in self.row(spec, policy):
                if spec.continuous:
                    fits = isinstance(action, np.ndarray) and action.dtype == np.float32
                    require(fits and action.shape == (spec.action_size,), f"{about}: {action!r} is no float32 vector")
                else:
                    require(type(action) is int, f"{about}: {action!r} is no int")

    def test_actions_are_within_their_space(self) -> None:
        """−1 … 1 where continuous, one of the buttons where discrete."""
        for about, spec, policy in self.policies():
            for action in self.row(spec, policy):
                within = np.abs(action).max() <= 1 if spec.continuous else 0 <= action < spec.action_size
                require(within, f"{about}: {action!r} is outside")

    def test_acts_before_any_action(self) -> None:
        """There is an action for the steps before the first."""
        for about, _, policy in self.policies():
            require(policy(None, np.random.default_rng(0)) is not None, f"{about}: no action at an episode's start")

    def test_same_draws_same_actions(self) -> None:
        """All randomness is that of the generator it is given."""
        for about, spec, policy in self.policies():
            one, other = self.row(spec, policy), self.row(spec, self.build().make(spec))
            require(_same(one, other), f"{about}: the same generator gives other actions")

    def test_what_it_says_of_holding_is_true(self) -> None:
        """With `holds` a step repeats the last action; it then keeps ageing."""
        if not self.part_class.holds:
            return
        for about, spec, policy in self.policies():
            for seed in range(5):
                last = self.last(spec, seed)
                kept = policy(last, np.random.default_rng(0))
                require(np.array_equal(kept, last), f"{about}: holds is True, and after {last!r} comes {kept!r}")

    def test_the_last_action_is_left_alone(self) -> None:
        """What it is told is not written into."""
        for about, spec, policy in self.policies():
            last = self.last(spec)
            copy = np.copy(last)
            policy(last, np.random.default_rng(0))
            require(np.array_equal(copy, last), f"{about}: it changes the action it is told")

    def test_actions_are_handed_out(self) -> None:
        """An action belongs to whoever got it: writing into it changes no later one."""
        for about, spec, policy in self.policies():
            if not spec.continuous:
                continue
            untouched = self.row(spec, self.build().make(spec), count=2)
            rng = np.random.default_rng(0)
            first: NDArray[Any] = policy(None, rng)
            kept = first.copy()
            first[:] = 0.123
            require(
                _same([kept, policy(kept, rng)], untouched), f"{about}: a later action depends on what became of one"
            )

    def test_threads_do_not_disturb_each_other(self) -> None:
        """In several threads it gives what it gives alone."""
        for about, spec, policy in self.policies():
            alone = [self.row(spec, policy, seed) for seed in range(4)]
            with ThreadPoolExecutor(4) as threads:
                rows = list(threads.map(lambda seed, s=spec, p=policy: self.row(s, p, seed), range(4)))
            require(all(_same(a, b) for a, b in zip(alone, rows, strict=True)), f"{about}: threads disturb each other")


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
