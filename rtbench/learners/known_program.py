"""Playing a known policy as a program, and keeping account of what it loses on whose steps."""

from __future__ import annotations

import functools
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtbench.interaction.timing import chunk_of, draws, graph_execution
from rtbench.learners.backs import Backs
from rtbench.learners.episodes import Episodes
from rtbench.learners.known_answers import ANSWERS, Situation, Tries, expected_loss, random_loss, right
from rtbench.learners.known_pattern import Pattern, instant_pattern, pattern, without_age
from rtbench.learners.loop import Loop
from rtbench.learners.policy import graph_columns
from rtbench.learners.schedule import Schedule
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.theory import formulas
from rtbench.theory.promises import promise

if TYPE_CHECKING:
    from rtbench.cell import Cell, RunBatch
    from rtbench.graph import LayerGraph
    from rtbench.learners.known import Params

Array = NDArray[np.float32]
PARTS = ("inaction", "delay", "learning")
_PHASE = "evaluate"
_EXACT = 1e-9
"""Differences below it are of the last bits of sums."""


@dataclass
class Account:
    """What one episode lost, by part: as it happened and as expected given its timeline."""

    steps: int = 0
    lost: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    expected: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    ages: Counter[int] = field(default_factory=Counter)
    """Of the agent's own actions, as the formulas count them."""
    counts: Counter[str] = field(default_factory=Counter)
    variance: float = 0.0
    """Of the whole loss, were steps independent."""

    def state(self) -> dict[str, Any]:
        """Plain data."""
        tables = {name: sorted(getattr(self, name).items()) for name in ("lost", "expected", "ages", "counts")}
        lists = {name: [list(pair) for pair in table] for name, table in tables.items()}
        return {"steps": self.steps, "variance": self.variance, **lists}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Account:
        """From `state`."""
        ages, counts = Counter(dict(state["ages"])), Counter(dict(state["counts"]))
        lost, expected = dict(state["lost"]), dict(state["expected"])
        return cls(state["steps"], lost, expected, ages, counts, state["variance"])


class Mind:
    """The policy of one run as a loop meets it (`Acting` of all processes, and `Recorder`), with its accounts.

    It lives on a schedule of its own, which is the loop's own over again, so as to know each episode's beforehand.
    """

    def __init__(self, cell: Cell, graph: LayerGraph, policy: str, seed: int) -> None:
        environment = build(cell.environment)
        self._cell, self._world, self._spec = cell, environment.params, environment.spec()
        self._answer, self._tries = ANSWERS[policy, self._world.id], policy == "trying"
        met = cell.interaction
        self._back = Backs.of(graph, met, "hold").newest
        self._rows = chunk_of(met)
        self._at_once = graph_execution(met) == "instant"
        self._chunk = 1 if self._at_once else self._rows
        default = build(met.default_policy)
        self._holds = default.holds
        self._default_loss = random_loss(self._world) if met.default_policy.name == "random" else 1.0
        self._schedule = Schedule(cell, len(graph.layers), self._spec, seed, _PHASE)
        self._fixed = met.on_reset == "restart" and not draws(met, len(graph.layers), self._spec.step_s)
        self._pattern: Pattern | None = None
        self._earlier_steps = 0
        self.accounts: list[Account] = []

    # ---- an episode (rtbench.learners.loop.Recorder) ---------------------------------------------------------------

    def begin_episode(self, observation: NDArray[Any]) -> None:
        """Learn the episode's timeline."""
        steps = self._world.steps
        if self._schedule.trivial:
            self._pattern = self._pattern or instant_pattern(steps)
        elif self._pattern is None or not self._fixed:
            self._schedule.begin(len(self.accounts), self._earlier_steps)
            found = pattern(self._schedule, steps, self._rows, holds=self._holds)
            self._pattern = without_age(found) if self._at_once else found
        self._number = 0
        self._seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._answers: list[list[int]] = []
        self._basis: list[tuple[int, int]] = []
        self._taken: list[int] = []
        self._state = self._state_of(observation)
        self._found_out = Tries()
        self._account = Account()

    def _state_of(self, observation: NDArray[Any]) -> int:
        return int(observation[: self._world.states].argmax())

    def begin_inference(self, read_step: int, process: int = 0) -> None:
        """The inference that has just been computed is under way."""
        self._number += 1

    def apply(self, inference: int) -> None:
        """The pattern has it."""

    def end_step(self, action: Array, reward: float, observation: NDArray[Any]) -> None:
        """Book the step's loss, and what was to be expected of it."""
        assert self._pattern is not None
        use = self._pattern.used[len(self._taken)]
        account = self._account
        if use is None:
            part, expected = "inaction", self._default_loss
        elif self._pattern.inferences[use.inference].random:
            part, expected = "learning" if use.new else "inaction", random_loss(self._world)
        else:
            state, read_step = self._basis[use.inference]
            age, answer = len(self._taken) - read_step, self._answers[use.inference][use.offset]
            part = ("learning" if self._tries else "delay") if use.new else "inaction"
            expected = expected_loss(self._world, state, answer, age)
            if use.new:
                account.ages[age] += 1
        account.steps += 1
        account.lost[part] += 1 - reward
        account.expected[part] += expected
        account.variance += expected * (1 - expected)
        account.counts[part] += 1
        account.counts["decisions"] += use is not None and use.new and use.offset == 0
        self._taken.append(int(action.argmax()))
        self._found_out.learn(self._state, self._taken[-1], reward)
        self._state = self._state_of(observation)

    def end_episode(self, terminated: bool, bootstrap: int | None) -> None:
        """Close the episode's account."""
        self._earlier_steps += self._account.steps
        self.accounts.append(self._account)

    # ---- acting (rtbench.backends.base.Acting) ---------------------------------------------------------------------

    def restart(self, observation: Array) -> Array:
        """Nothing is known before the first inference."""
        return np.zeros(self._spec.action_size, np.float32)

    def tick(self, observation: Array, action: Array) -> Array:
        """The answer to the newest observation that the graph lets through, one row per action of a chunk."""
        assert self._pattern is not None
        number = self._number
        process, read_step = 0, len(self._taken)
        if number < len(self._pattern.inferences):  # the one beyond the end is asked for its value only
            process, read_step = (getattr(self._pattern.inferences[number], name) for name in ("process", "read_step"))
        seen = self._seen[process]
        seen.append((self._state_of(observation), read_step))
        state, read_step = seen[max(0, len(seen) - 1 - self._back)]
        now = len(self._taken)
        given = (self._pattern, self._taken, self._answers, self._chunk)
        at = Situation(number, state, read_step, now, *given, self._found_out.right if self._tries else right)
        answers = self._answer(self._world, at)
        self._answers.append(answers)
        self._basis.append((state, read_step))
        rows = answers * (self._rows // self._chunk)  # with age 0 only the first of a chunk is used
        chosen: Array = np.eye(self._spec.action_size, dtype=np.float32)[rows]
        return chosen if self._rows > 1 else chosen[0]

    def state(self) -> dict[str, Any]:
        """The accounts; there is nothing else between episodes, and a program stops nowhere else."""
        return {"accounts": [account.state() for account in self.accounts], "steps": self._earlier_steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self.accounts = [Account.restored(saved) for saved in state["accounts"]]
        self._earlier_steps = state["steps"]


class KnownProgram(Episodes):
    """Episodes of a known policy, and its regret beside the formulas'."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        cell = batch.cell
        spec = build(cell.environment).spec()
        shape = PolicyShape.of(spec, spec.action_size)
        self._graph: LayerGraph = build(cell.architecture).make(shape)
        self._policy, self._world = params.policy, build(cell.environment).params
        self._minds = [Mind(cell, self._graph, params.policy, seed) for seed in batch.seeds]
        loops = [
            Loop(
                cell,
                self._graph,
                [mind],
                lambda answer: answer,
                seed=seed,
                phase=_PHASE,
                recorder=mind,
                spec=spec,
                start="hold",
                first_action=False,
            )
            for mind, seed in zip(self._minds, batch.seeds, strict=True)
        ]
        super().__init__(cell, loops, graph_columns(self._graph, cell.interaction))

    def extras(self, run: int) -> dict[str, float]:
        """The numbers that `rtbench.learners.known.Known` explains, over the final episodes."""
        accounts = self._minds[run].accounts[self._cell.budget.eval_episodes :]
        if not accounts:
            return {}
        steps = sum(account.steps for account in accounts)
        lost = {part: sum(account.lost[part] for account in accounts) / steps for part in PARTS}
        found = {"regret_per_step": sum(lost.values()), "regret_total": sum(lost.values()) * steps / len(accounts)}
        found |= {f"regret_{part}": value for part, value in lost.items()}
        if self._has_formula:
            found |= self._expected(accounts, steps)
        acted = sum(account.counts["delay"] for account in accounts)
        if acted:
            found["regret_per_agent_step"] = lost["delay"] * steps / acted
        decisions, silent = (sum(account.counts[name] for account in accounts) for name in ("decisions", "inaction"))
        if decisions:
            found["inaction_per_decision"] = silent / decisions
        found |= self._promised() | self._bounds(accounts)
        return super().extras(run) | {f"rtbench/{name}": float(value) for name, value in found.items()}

    @property
    def _has_formula(self) -> bool:
        """Whether the loss of every step is known given the timeline: in the additive world if nothing can surprise.

        What a later inference or the default policy does at random, or a repeated action leads to, no rolling foresees.
        """
        met = self._cell.interaction
        sure = not met.epsilon and met.default_policy.name in ("noop", "zero")
        always = self._policy == "observed" and met.execution == "instant"
        return self._world.id != "additive" or always or (self._policy == "optimal" and sure)

    def _expected(self, accounts: list[Account], steps: int) -> dict[str, float]:
        expected = {part: sum(account.expected[part] for account in accounts) / steps for part in PARTS}
        differences = [
            (sum(account.lost.values()) - sum(account.expected.values())) / account.steps for account in accounts
        ]
        difference, count = float(np.mean(differences)), len(differences)
        # Where the formula says that hardly ever anything happens, a sample in which nothing did has no spread.
        least = math.sqrt(sum(account.variance for account in accounts)) / steps
        error = max(least, float(np.std(differences, ddof=1)) / math.sqrt(count) if count > 1 else 0.0)
        out = {f"regret_{part}_exact": value for part, value in expected.items()}
        out |= {"regret_exact": sum(expected.values()), "regret_difference": difference, "regret_difference_se": error}
        if error > _EXACT or abs(difference) < _EXACT:
            out["regret_difference_in_se"] = difference / error if error > _EXACT else 0.0
        return out

    def _promised(self) -> dict[str, float]:
        met = self._cell.interaction
        found = promise(met, self._graph, self._world.step_s)
        own = met.execution == "instant" or met.default_policy.name in ("noop", "zero")
        if found is None or not own or (self._world.id == "additive" and self._policy != "optimal"):
            return {}
        delay = 0.0
        if self._world.id == "delay-cycle":
            loss = formulas.optimal_loss if self._policy == "optimal" else formulas.observed_loss
            delay = loss(found.age_steps, self._world.stay, self._world.states) / found.interval_steps
        return {"regret_theorem": formulas.inaction_loss(found.interval_steps) + delay}

    def _bounds(self, accounts: list[Account]) -> dict[str, float]:
        """Equation 4 at the measured ages, of the agent's steps."""
        ages = sum((account.ages for account in accounts), Counter[int]())
        world = self._world
        if world.id != "delay-cycle" or not ages or math.isclose(world.stay, 0):
            return {}
        out = {}
        for name, distractors in (("delay_bound", world.distractors), ("delay_bound_tight", 1)):
            chance = formulas.minimax(world.stay, distractors)
            share = sum(ages.values()) / sum(account.steps for account in accounts)
            out[name] = share * (1 - formulas.expected(functools.partial(pow, chance), ages))
        return out
