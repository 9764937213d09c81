"""What both algorithms share: worlds with a delay, the policy on augmented observations, evaluation, checkpoints."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from rtbench.backends.torch_arithmetic import TorchArithmetic, initial_parameters
from rtbench.errors import RtbenchError
from rtbench.learners.acting import actings
from rtbench.learners.adam import Adam
from rtbench.learners.base import Outcome
from rtbench.learners.evaluation import Evaluation
from rtbench.learners.loop import Loop
from rtbench.learners.policy import graph_columns, mean_action
from rtbench.learners.refusals import check_trainable
from rtbench.learners.sac_networks import Critics, squashed
from rtbench.learners.tally import training_columns
from rtbench.learners.training import Training
from rtbench.parts import PolicyShape
from rtbench.plugins import build
from rtbench.seeds import derive, generator
from rtbench.unrolling import instant
from torch import Tensor

from rtbench_rlrd.acting import AugmentedActing
from rtbench_rlrd.delays import Delays
from rtbench_rlrd.fragments import Batch, Fragments

if TYPE_CHECKING:
    from rtbench.cell import RunBatch
    from rtbench.graph import LayerGraph
    from rtbench.learners.policy import Policy
    from rtbench.parts import EnvironmentSpec

    from rtbench_rlrd.learners import Params

Array = NDArray[np.float32]
_SPARE = 1024


class AugmentedProgram(Training):
    """Trains; one `advance` is one unit of the budget and its update, or one episode of evaluation.

    Everything has a run axis first. `x` is an augmented observation [runs, batch, F + K·A]: what was read, then the K
    last actions decided, newest first.
    """

    name: str
    correcting: bool
    critic_sees_action: bool

    def __init__(self, batch: RunBatch, params: Params) -> None:
        super().__init__(batch)
        self._p = params
        spec = build(self._cell.environment).spec()
        check_trainable(self.name, spec)
        self._spec, self._action_size = spec, spec.action_size
        self.delays = self._delays(spec)
        augmented = spec.observation_size + self.delays.in_flight * spec.action_size
        self.graph = self._graph(augmented)
        self._torch_rngs = [torch.Generator().manual_seed(derive(seed, "network")) for seed in self._seeds]
        self._rngs = [generator(seed, self.name) for seed in self._seeds]
        self.parameters = initial_parameters(self.graph, self._torch_rngs)
        for tensor in self.tensors:
            tensor.requires_grad_()
        inputs = augmented + (spec.action_size if self.critic_sees_action else 0)
        self.critics = Critics(inputs, params.critic_width, params.critic_layers, self._torch_rngs)
        self._optimisers = {
            "policy": Adam(self.tensors, params.learning_rate),
            "critics": Adam(self.critics.members, params.learning_rate),
        }
        self.replays = [self._replay() for _ in self._seeds]
        self.loops = [self._loop(run, "train") for run in range(len(self._seeds))]
        self.evaluation = Evaluation(
            self._cell.budget, [self._loop(run, "evaluate") for run in range(len(self._seeds))]
        )
        self._done_units = self._updates = 0

    # ---- making ----------------------------------------------------------------------------------------------------

    def _delays(self, spec: EnvironmentSpec) -> Delays:
        """How many actions are in flight; it depends on the network's depth alone, not on what it reads."""
        delays = Delays.of(self._cell.interaction, len(self._graph(spec.observation_size).layers), spec.step_s)
        if self.correcting and not delays.fragment:
            raise RtbenchError(
                "every decision is applied before the next observation is read: there is no delay to correct",
                place=f"learner {self.name}",
                hint="use sac, or an interaction in which an inference takes time",
            )
        return delays

    def _graph(self, observation_size: int) -> LayerGraph:
        """The architecture on augmented observations; RtbenchError if it remembers, draws, or sees actions itself."""
        shape = PolicyShape(observation_size, self._action_size, 2 * self._action_size)
        graph: LayerGraph = build(self._cell.architecture).make(shape)
        plan = graph.plan(self._cell.interaction.execution, self._cell.interaction.delta or 1)
        given = {
            "reads past actions": bool(plan.action_ticks),
            "remembers earlier observations": graph.recurrent or plan.window_ticks > 1,
            "draws (dropout)": graph.random,
            "has convolutions": any(layer.op == "conv" for layer in graph.layers),
        }
        for what, does in given.items():
            if does:
                raise RtbenchError(
                    f"the network {what}, and this learner gives it one observation and the actions in flight",
                    place=f"learner {self.name}",
                    given=self._cell.architecture.title,
                    hint="a plain perceptron: mlp without augmentation, lstm and dropout",
                )
        return graph

    def _replay(self) -> Fragments:
        budget, gamma = self._cell.budget, self._p.gamma
        per_step = budget.unit == "env_steps"
        return Fragments(
            self._spec.observation_size,
            self._action_size,
            # Beside the decisions at most as many ends of episodes.
            size=min(self._p.replay_size, 2 * budget.steps) + _SPARE,
            delays=self.delays,
            correcting=self.correcting,
            gamma_decision=1.0 if per_step else gamma,
            gamma_step=gamma if per_step else 1.0,
        )

    def _loop(self, run: int, phase: str) -> Loop:
        """A run's world in one phase; its acting sees every update at once."""
        views = {
            name: {"weight": layer["weight"].detach()[run].numpy(), "bias": layer["bias"].detach()[run, 0].numpy()}
            for name, layer in self.parameters.items()
        }
        training, seed = phase == "train", self._seeds[run]
        inner, *_ = actings(self._cell, self.graph, views, "zero", seed, phase)
        acting = AugmentedActing(
            inner,
            self._explore(run) if training else mean_action,
            in_flight=self.delays.in_flight,
            action_size=self._action_size,
            **({"told": self.replays[run].decided} if training else {}),
        )
        return Loop(
            self._cell,
            self.graph,
            [acting],
            acting.decide,
            seed=seed,
            phase=phase,
            recorder=self.replays[run] if training else None,
            spec=self._spec,
            first_action=False,
            bootstraps=False,
        )

    def _explore(self, run: int) -> Callable[[Array], Array]:
        """A sampled action; uniform until learning starts."""
        rng, size = self._rngs[run], self._action_size

        def decide(output: Array) -> Array:
            if self._done_units <= self._p.learning_starts:  # units are counted from 1 while they run
                uniform: Array = rng.uniform(-1, 1, size).astype(np.float32)
                return uniform
            noise = rng.standard_normal(size, dtype=np.float32)
            action, _ = squashed(torch.from_numpy(output), torch.from_numpy(noise))
            drawn: Array = action.numpy()
            return drawn

        return decide

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def trained_units(self) -> int:
        """Units of the budget behind it."""
        return self._done_units

    def _train(self) -> None:
        """One unit, and its update."""
        self._done_units += 1
        per_step = self._cell.budget.unit == "env_steps"
        for loop in self.loops:
            while (loop.tally.env_steps if per_step else loop.tally.ticks) < self._done_units:
                loop.advance()
        if self._done_units > self._p.learning_starts and all(replay.ready for replay in self.replays):
            drawn = [
                replay.gather(replay.choose(rng, self._p.batch_size))
                for replay, rng in zip(self.replays, self._rngs, strict=True)
            ]
            self.update(stacked(drawn))
            self._updates += 1

    @abstractmethod
    def update(self, batch: TensorBatch) -> None:
        """One update of policy and critics on a batch of every run."""

    # ---- the policy ------------------------------------------------------------------------------------------------

    @property
    def tensors(self) -> list[Tensor]:
        """The policy's parameters, layer by layer: weight, bias."""
        return [tensor for layer in self.parameters.values() for tensor in layer.values()]

    def draw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """An action [runs, batch, A] of the current policy on x, differentiable, and its log-probability."""
        none = x.new_zeros(*x.shape[:-1], self._action_size)
        values = instant(self.graph, TorchArithmetic(self.parameters), x, none, lambda layer: none)
        noise = torch.stack([torch.randn(none.shape[1:], generator=rng) for rng in self._torch_rngs])
        return squashed(values[self.graph.head.name], noise)

    def learn(self, actor_loss: Tensor, critic_inputs: Tensor, goal: Tensor) -> None:
        """Both down their gradients, each critic's of mean (value − goal)²; then the targets follow."""
        to_policy = torch.autograd.grad(actor_loss, self.tensors)
        to_critics = self.critics.layers.gradients(critic_inputs, goal)
        self._optimisers["policy"].step(to_policy)
        self._optimisers["critics"].step(to_critics)
        self.critics.follow(self._p.tau)

    # ---- telling ---------------------------------------------------------------------------------------------------

    def outcomes(self) -> list[Outcome]:
        """The outcome columns of every run, and how long its delay is in decisions."""
        about = {"updates": self._updates, **graph_columns(self.graph, self._cell.interaction)}
        delay = {"rlrd/actions_in_flight": float(self.delays.in_flight)}
        return [
            Outcome(
                self.evaluation.columns(run) | training_columns([loop]) | about,
                loop.tally.extras() | self.evaluation.extras(run) | delay,
            )
            for run, loop in enumerate(self.loops)
        ]

    def policies(self, run_ids: Sequence[str]) -> list[Policy]:
        """None: what a policy's file describes acts on the environment's observations, without actions in flight."""
        return []

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Networks, optimisers, generators, worlds, curves."""
        return {
            "policy": [tensor.detach() for tensor in self.tensors],
            "critics": self.critics.parameters,
            "target": self.critics.target,
            "optimisers": {name: optimiser.state() for name, optimiser in self._optimisers.items()},
            "torch": [rng.get_state() for rng in self._torch_rngs],
            "rngs": [rng.bit_generator.state for rng in self._rngs],
            "loops": [loop.state() for loop in self.loops],
            "replays": [replay.state() for replay in self.replays],
            "evaluation": self.evaluation.state(),
            "counts": [self._done_units, self._updates],
        }

    def appended(self) -> dict[str, Any]:
        """What every replay has gained since the last call."""
        gained = [replay.appended() for replay in self.replays]
        return {"replays": gained, "spent": min(replay.spent for replay in self.replays)}

    def restore(self, state: dict[str, Any], segments: Iterable[dict[str, Any]]) -> None:
        """Back to a state, in place: acting keeps its views of the policy."""
        for name, tensors in (
            ("policy", [tensor.detach() for tensor in self.tensors]),
            ("critics", self.critics.parameters),
            ("target", self.critics.target),
        ):
            for tensor, value in zip(tensors, state[name], strict=True):
                tensor.copy_(value)
        for name, optimiser in self._optimisers.items():
            optimiser.restore(state["optimisers"][name])
        for torch_rng, saved in zip(self._torch_rngs, state["torch"], strict=True):
            torch_rng.set_state(saved)
        for rng, saved in zip(self._rngs, state["rngs"], strict=True):
            rng.bit_generator.state = saved
        for segment in segments:
            for replay, gained in zip(self.replays, segment["replays"], strict=True):
                replay.absorb(gained)
        for replay, saved in zip(self.replays, state["replays"], strict=True):
            replay.restore(saved)
        for loop, saved in zip(self.loops, state["loops"], strict=True):
            loop.restore(saved)
        self._done_units, self._updates = state["counts"]
        self.evaluation.restore(state["evaluation"])


@dataclasses.dataclass(frozen=True)
class TensorBatch:
    """`rtbench_rlrd.fragments.Batch` of every run: the same with a run axis in front."""

    observations: Tensor
    in_flight: Tensor
    actions: Tensor
    rewards: Tensor
    discounts: Tensor
    length: Tensor


def stacked(batches: Sequence[Batch]) -> TensorBatch:
    """A batch per run as one."""
    names = [field.name for field in dataclasses.fields(TensorBatch)]
    return TensorBatch(
        **{name: torch.from_numpy(np.stack([getattr(batch, name) for batch in batches])) for name in names}
    )
