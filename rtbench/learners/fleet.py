"""Many environments of one run, step by step together: one call per layer for all inferences that start at a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtbench.backends.eager_many import EagerMany
from rtbench.graph import ActingSpec
from rtbench.interaction.timing import graph_execution, timing
from rtbench.learners.categorical import Categorical
from rtbench.learners.loop import Loop
from rtbench.learners.recorder import Wanted
from rtbench.learners.rollouts import Counting, Inputs, Recording, inputs
from rtbench.learners.tally import Tally, told_by, training_columns
from rtbench.plugins import build
from rtbench.seeds import generator

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.learners.ppo_networks import Actor
    from rtbench.many import Many
    from rtbench.parts import EnvironmentSpec


class Seat:
    """One of many environments, as a loop that steps alone sees it."""

    def __init__(self, many: Many, index: int) -> None:
        self._many, self._index = many, index

    def reset(self, *, seed: int) -> tuple[NDArray[Any], dict[str, Any]]:
        """A new episode."""
        self._many.reset(self._index, seed)
        return self._many.observations[self._index], {}

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """One step of this environment alone."""
        actions = np.zeros((self._many.count, *np.shape(action)), np.asarray(action).dtype)
        actions[self._index] = action
        rewards, terminated, truncated = self._many.step(actions, only=[self._index])
        found = (array[self._index] for array in (rewards, terminated, truncated))
        reward, over, cut = found
        info = dict(self._many.infos[self._index])
        return self._many.observations[self._index], float(reward), bool(over), bool(cut), info


def columns_of(cell: Cell, actor: Actor) -> int:
    """Memories per environment: one for each inference process, or one for all if the graph remembers nothing."""
    remembers = any(actor.lags.edges.values())
    return cell.interaction.processes if remembers and cell.interaction.execution != "instant" else 1


class Fleet:
    """Loops over `count` environments that share a policy; equal to as many loops that act one after the other.

    Each environment is a phase of its own, with random streams of its own.
    """

    def __init__(
        self, cell: Cell, spec: EnvironmentSpec, actor: Actor, count: int, counting: Counting, seed: int
    ) -> None:
        self._actor, self._graph, self._spec = actor, actor.graph, spec
        self.many: Many = build(cell.environment).make_many(count)
        self._columns = columns_of(cell, actor)
        times = timing(cell.interaction, len(actor.graph.layers), spec.step_s)
        held = actor.start == "hold" and graph_execution(cell.interaction) != "instant"
        self.recordings = [
            Recording(
                counting, columns=self._columns, lookback_steps=-(-times.sensor_ns // times.step_ns), held_start=held
            )
            for _ in range(count)
        ]
        self.acting = EagerMany(
            ActingSpec(actor.graph, *actor.timing, actor.start),
            actor.parameters,
            count * self._columns,
            spec.observation_dtype,
            actor.scale,
        )
        self.loops = [
            Loop(
                cell,
                actor.graph,
                [],
                Categorical(generator(seed, phase, "actions")),
                seed=seed,
                phase=phase,
                recorder=recording,
                env=Seat(self.many, index),
                spec=spec,
                start=actor.start,
                bootstraps=False,
            )
            for index, recording in enumerate(self.recordings)
            for phase in (f"train {index}",)
        ]

    # ---- acting ----------------------------------------------------------------------------------------------------

    def collect(self, decisions: int) -> None:
        """Go on until every environment has made so many decisions and would apply the next one.

        An environment that is there first waits for the others; its own time does not pass.
        """
        while going := [index for index in range(len(self.loops)) if not self._there(index, decisions)]:
            self._step(going)
        for recording in self.recordings:
            recording.close()

    def _there(self, index: int, decisions: int) -> bool:
        return len(self.recordings[index].decisions) >= decisions and self.loops[index].decides_next

    def _step(self, going: Sequence[int]) -> None:
        """One environment step of some of the environments."""
        over = [index for index in going if self.loops[index].over]
        if over:
            self._restart(over)
        wanted = [[(index, each) for each in self.loops[index].before()] for index in going]
        # A loop may start several inferences during a step, of which each may be the same process's.
        for turn in range(max(map(len, wanted))):
            self._infer([found[turn] for found in wanted if turn < len(found)])
        actions: list[Any] = [0] * len(self.loops)
        for index in going:
            actions[index] = self.loops[index].chosen()
        rewards, terminated, truncated = self.many.step(np.asarray(actions), only=going)
        for index in going:
            self.loops[index].after(
                self.many.observations[index],
                float(rewards[index]),
                bool(terminated[index]),
                bool(truncated[index]),
                told_by(self.many.infos[index]),
            )

    def _restart(self, over: Sequence[int]) -> None:
        firsts = np.stack([self.loops[index].reset() for index in over])
        rows = (np.asarray(over)[:, None] * self._columns + np.arange(self._columns)).reshape(-1)
        heads = self.acting.restart(rows, firsts.repeat(self._columns, axis=0))
        for index, head in zip(over, heads[:: self._columns], strict=True):
            self.loops[index].begin(head)
            if episode := self.recordings[index].episode:
                episode.output = head.copy()

    def _infer(self, wanted: Sequence[tuple[int, Wanted]]) -> None:
        columns = [each.process % self._columns for _, each in wanted]
        rows = np.array([index * self._columns + column for (index, _), column in zip(wanted, columns, strict=True)])
        outputs = self.acting.tick(
            rows, np.stack([each.observation for _, each in wanted]), np.stack([each.action for _, each in wanted])
        )
        newest = {node: self.acting.newest(node) for node in self._actor.recurrent}
        for (index, each), column, row, output in zip(wanted, columns, rows, outputs, strict=True):
            self.loops[index].deliver(each, output)
            made = self.recordings[index].columns[column][-1]
            made.output = output.copy()
            if newest:
                made.held = {node: values[row].copy() for node, values in newest.items()}

    @property
    def tally(self) -> Tally:
        """What all environments counted."""
        return Tally.over(loop.tally for loop in self.loops)

    def columns(self) -> dict[str, Any]:
        """The training columns of a row, over all environments."""
        return training_columns(self.loops)

    # ---- between rollouts ------------------------------------------------------------------------------------------

    def inputs(self, environments: Sequence[int] | None = None) -> Inputs:
        """What the policy read in some environments, or all, since the last `renew`."""
        chosen = self.recordings if environments is None else [self.recordings[index] for index in environments]
        return inputs(chosen, self._graph, self._actor.lookback_ticks, self._actor.recurrent)

    @torch.no_grad()
    def renew(self) -> None:
        """Let the rollout go, and do anew what is under way: with parameters that an update has changed.

        What layers hold, and actions that were decided and not applied yet, are then those that the next rollout's
        update computes: its first ratio is exactly 1, and nothing is masked.
        """
        for loop, recording in zip(self.loops, self.recordings, strict=True):
            recording.forget(loop.flying, self._actor.lookback_ticks)
        given = self.inputs()
        if not given.observations.shape[1]:
            return
        values, before = self._actor.values(given)
        heads = values[self._graph.head.name].float().flatten(0, 2)
        for index, (loop, recording) in enumerate(zip(self.loops, self.recordings, strict=True)):
            for column in range(self._columns):
                place = index * self._columns + column
                for row in recording.columns[column][recording.begins[column] :]:
                    r = given.place[id(row)] // given.since.shape[2]
                    row.held = {node: values[node][0, r, place].float().numpy() for node in self._actor.recurrent}
            for inference, row in recording.under_way:
                loop.redecide(inference, heads[given.place[id(row)]].numpy())
        self._remember(given, values, before)

    def begin_anew(self) -> None:
        """Let the rollout go; the next one begins as an episode does, whatever lies before it, as published code does.

        Acting goes on with what layers hold, and with actions that are under way.
        """
        for loop, recording in zip(self.loops, self.recordings, strict=True):
            recording.forget(loop.flying, 0)
            recording.begin_anew()

    def _remember(self, given: Inputs, values: dict[str, Any], before: dict[str, Any]) -> None:
        """What layers finished in the newest ticks of this episode, and the start rule's before."""
        lookback = self._actor.lookback_ticks
        if not lookback:
            return
        columns = [(recording, column) for recording in self.recordings for column in range(self._columns)]
        newest = torch.tensor([lookback - rec.begins[column] + len(rec.columns[column]) - 1 for rec, column in columns])
        ticks = torch.tensor([rec.ticks[column] if rec.episode else lookback for rec, column in columns])
        rows, width = given.since.shape[1:]
        starts = torch.tensor([given.place[id(rec.episode)] - rows * width if rec.episode else 0 for rec, _ in columns])
        every = torch.arange(width)
        for layer in self._graph.layers:
            held = []
            for ago in reversed(range(lookback)):
                found = values[layer.name][0, newest - ago, every].float()
                if layer.name in before:
                    start = before[layer.name][0][starts].float()
                else:
                    start = torch.zeros_like(found)
                held.append(torch.where((ticks > ago).unsqueeze(1), found, start))
            self.acting.remember(layer.name, torch.stack(held).numpy())

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Between rollouts: loops, what the graph remembers, rows that are looked back at."""
        return {
            "loops": [loop.state() for loop in self.loops],
            "acting": self.acting.state(),
            "recordings": [recording.state() for recording in self.recordings],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state; every episode under way is played again."""
        for loop, saved in zip(self.loops, state["loops"], strict=True):
            loop.restore(saved)
        self.acting.restore(state["acting"])
        for recording, saved in zip(self.recordings, state["recordings"], strict=True):
            recording.restore(saved)
