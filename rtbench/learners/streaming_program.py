"""Streaming learners as a program: every decision is learnt from once, when the next one is applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtbench.learners.acting import actings, take_anew
from rtbench.learners.base import Outcome
from rtbench.learners.dqn_program import check_discrete
from rtbench.learners.evaluation import Evaluation
from rtbench.learners.loop import Loop
from rtbench.learners.obgd import Moments, RewardScale
from rtbench.learners.policy import HEADS, Policy, graph_columns
from rtbench.learners.streaming_agents import ActorCritic, QLambda
from rtbench.learners.tally import told_by, training_columns
from rtbench.learners.training import StepByStep
from rtbench.plugins import build
from rtbench.seeds import derive

if TYPE_CHECKING:
    from rtbench.backends.base import Acting
    from rtbench.cell import Cell, RunBatch
    from rtbench.learners.streaming import Params
    from rtbench.parts import EnvironmentSpec

Array = NDArray[np.float32]


class Normalising:
    """An acting that is served normalised observations; what it has seen before is not told it anew."""

    def __init__(self, acting: Acting, serve: Callable[[Array], Array]) -> None:
        self._acting, self._serve = acting, serve

    def restart(self, observation: Array) -> Array:
        """As the acting."""
        return self._acting.restart(self._serve(observation))

    def tick(self, observation: Array, action: Array) -> Array:
        """As the acting."""
        return self._acting.tick(self._serve(observation), action)

    def refresh(self) -> None:
        """As the acting."""
        take_anew([self._acting])

    def state(self) -> dict[str, Any]:
        """As the acting."""
        return self._acting.state()

    def restore(self, state: dict[str, Any]) -> None:
        """As the acting."""
        self._acting.restore(state)


class Stream:
    """One run: a world, an agent, running moments; a recorder of its own loop."""

    def __init__(self, cell: Cell, spec: EnvironmentSpec, p: Params, seed: int) -> None:
        self._p, self.seed, self._unit = p, seed, cell.budget.unit
        rng = torch.Generator().manual_seed(derive(seed, "network"))
        self.agent: QLambda | ActorCritic
        self.agent = (ActorCritic if cell.learner.name == "stream-ac" else QLambda)(cell, spec, p, rng, seed)
        self._signs = spec.training_reward == "sign"
        self._moments = Moments(spec.observation_size) if p.normalise_observations else None
        self._rewards = RewardScale(p.gamma) if p.scale_rewards else None
        self._cell, self._spec = cell, spec
        self._actings = self.actings("train")
        self.loop = Loop(
            cell,
            self.agent.graph,
            self._actings,
            self.agent.decide,
            seed=seed,
            phase="train",
            recorder=self,
            spec=spec,
            epsilon=self.agent.epsilon,
        )
        self._seen: dict[int, Array] = {}
        self._forget()

    @property
    def normalises(self) -> bool:
        """Whether observations are normalised."""
        return self._moments is not None

    def actings(self, phase: str, *, fixed: bool = False) -> list[Acting]:
        """One per process, served what the agent learns from."""
        found = actings(self._cell, self.agent.graph, self.agent.parameters, "zero", self.seed, phase, fixed=fixed)
        return [Normalising(acting, self._normalised) for acting in found]

    def _normalised(self, served: Array) -> Array:
        return served if self._moments is None else self._moments.normalised(served)

    def _forget(self) -> None:
        self._open: Array | None = None
        self._action = np.zeros(0, np.float32)
        self._return, self._weight = 0.0, 1.0
        self._pending: int | None = None
        self._newest: NDArray[Any] | None = None

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def done_units(self) -> int:
        """Units of the budget behind it."""
        return self.loop.tally.env_steps if self._unit == "env_steps" else len(self.loop.returns)

    def advance(self) -> None:
        """One environment step."""
        loop = self.loop
        if loop.over:
            first = loop.served(loop.reset())
            loop.begin([acting.restart(first) for acting in self._actings].pop())
        for wanted in loop.before():
            seen = loop.served(wanted.observation)
            if self._moments is not None:
                self._moments.learn(seen)
            self._seen[wanted.inference] = self._normalised(seen)
            loop.deliver(wanted, self._actings[0].tick(seen, wanted.action))
        found, reward, terminated, truncated, info = loop.env.step(loop.chosen())
        loop.after(found, float(reward), bool(terminated), bool(truncated), told_by(info))

    # ---- recording (rtbench.learners.loop.Recorder) ----------------------------------------------------------------

    def begin_episode(self, observation: NDArray[Any]) -> None:
        """Nothing is open."""
        self._seen.clear()
        self._forget()
        self.agent.forget()

    def begin_inference(self, read_step: int, process: int = 0) -> None:
        """What it read is known."""

    def apply(self, inference: int) -> None:
        """The decision before leads here: it is learnt from; this one is open from now on."""
        following = self._seen[inference]
        self._learn(following, self._weight)
        self._open, self._return, self._weight = following, 0.0, 1.0
        self._seen = {m: seen for m, seen in self._seen.items() if m > inference or m in self.loop.flying}
        self._pending = inference

    def end_step(self, action: Array, reward: float, observation: NDArray[Any]) -> None:
        """Rewards add up until the next decision is applied."""
        reward = float(np.sign(reward)) if self._signs else reward
        if self._pending is not None:
            self._action, self._pending = action, None
        if self._rewards is not None:
            reward = self._rewards.scaled(reward)
        self._return += self._weight * reward
        self._weight *= self._p.gamma
        self._newest = observation

    def end_episode(self, terminated: bool, bootstrap: int | None) -> None:
        """The last decision; after a time limit it leads to what the next would have rested on."""
        if terminated:
            self._learn(self._open, 0.0)
        elif bootstrap is not None and self._newest is not None:
            # Where no inference was under way the loop has made one, which nobody heard of, on the newest observation.
            following = self._seen.get(bootstrap)
            following = self._normalised(self.loop.served(self._newest)) if following is None else following
            self._learn(following, self._weight)
        if self._rewards is not None:
            self._rewards.over()

    def _learn(self, following: Array | None, discount: float) -> None:
        if self._open is not None and following is not None:
            self.agent.learn(self._open, int(self._action.argmax()), self._return, discount, following)

    # ---- telling ---------------------------------------------------------------------------------------------------

    def columns(self) -> dict[str, Any]:
        """The training columns of a row."""
        return training_columns([self.loop]) | {"updates": self.agent.updates}

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Agent, moments, the open decision, the world."""
        return {
            "agent": self.agent.state(),
            "moments": self._moments.state() if self._moments else None,
            "rewards": self._rewards.state() if self._rewards else None,
            "open": self._open,
            "action": self._action,
            "pending": [self._return, self._weight, self._pending],
            "seen": [[inference, seen] for inference, seen in self._seen.items()],
            "loop": self.loop.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state."""
        self.loop.restore(state["loop"])
        self.agent.restore(state["agent"])
        if self._moments is not None:
            self._moments.restore(state["moments"])
        if self._rewards is not None:
            self._rewards.restore(state["rewards"])
        self._open, self._action = state["open"], np.asarray(state["action"], np.float32)
        self._return, self._weight, self._pending = state["pending"]
        self._seen = {int(inference): np.asarray(seen) for inference, seen in state["seen"]}


class StreamProgram(StepByStep):
    """Trains; one `advance` is some environment steps of every run, or one evaluation episode."""

    def __init__(self, batch: RunBatch, params: Params) -> None:
        super().__init__(batch)
        spec = build(batch.cell.environment).spec()
        check_discrete(spec, batch.cell.learner.name)
        self.trainers: list[Stream] = [Stream(batch.cell, spec, params, seed) for seed in batch.seeds]
        self.evaluation = Evaluation(batch.cell.budget, [self._evaluating(each, spec) for each in self.trainers])

    def _evaluating(self, stream: Stream, spec: EnvironmentSpec) -> Loop:
        return Loop(
            self._cell,
            stream.agent.graph,
            stream.actings("evaluate", fixed=True),
            HEADS[stream.agent.head].decider(stream.seed, "evaluate"),
            seed=stream.seed,
            phase="evaluate",
            spec=spec,
            bootstraps=False,
        )

    def outcomes(self) -> list[Outcome]:
        """The outcome of every run."""
        return [
            Outcome(
                {
                    **self.evaluation.columns(run),
                    **stream.columns(),
                    **graph_columns(stream.agent.graph, self._cell.interaction),
                },
                stream.loop.tally.extras() | self.evaluation.extras(run),
            )
            for run, stream in enumerate(self.trainers)
        ]

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """What every run has learnt; none where observations are normalised, which no policy's file can say."""
        if any(stream.normalises for stream in self.trainers):
            return []
        return [
            Policy(self._cell, stream.seed, run_id, stream.agent.parameters, stream.agent.head, "zero")
            for stream, run_id in zip(self.trainers, run_ids, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """Every run's, and the curves."""
        return {
            "streams": [stream.state() for stream in self.trainers],
            "evaluation": self.evaluation.state(),
            "done_units": self.done_units,
        }

    def appended(self) -> dict[str, Any]:
        """Nothing grows."""
        return {}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state."""
        for stream, saved in zip(self.trainers, state["streams"], strict=True):
            stream.restore(saved)
        self.evaluation.restore(state["evaluation"])
