"""What a policy would rather do: action probabilities behind every step of an agent with discrete actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtbench.learners.recorder import Silence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtbench.learners.policy import Policy

    Array = NDArray[np.float32]

DRAWN = "categorical"
"""The head whose outputs are the logits of one discrete action."""


@dataclass(frozen=True)
class Choice:
    """The probabilities that an applied action was drawn with, in the order of actions, and which it was."""

    probabilities: tuple[float, ...]
    taken: int


class Score(Silence):
    """Adds up an episode's steps and rewards, as a loop's recorder."""

    step = 0
    reward = 0.0
    choice: Choice | None = None
    """What is known of the action of the newest step."""

    def begin_episode(self, observation: Any) -> None:
        """From nothing."""
        self.step, self.reward = 0, 0.0

    def end_step(self, action: Any, reward: float, observation: Any) -> None:
        """One more."""
        self.step += 1
        self.reward += reward


class Witness(Score):
    """Sees a loop from two sides: as its recorder, and as the one who decides in a decider's stead.

    `choice` after a step: that of the inference whose action is applied or held, or of the start rule's first action;
    None before any. Whether the default policy acted in its stead, the loop's tally knows.
    """

    def __init__(self, decide: Callable[[Array], Array]) -> None:
        self._decide = decide
        self._asked: list[Choice] = []
        self._made: list[Choice | None] = []

    def __call__(self, output: Array) -> Array:
        """Decides as the one it stands in for."""
        action = self._decide(output)
        self._asked.append(Choice(probabilities(output), int(action.argmax())))
        return action

    def begin_episode(self, observation: Any) -> None:
        """Nothing is decided yet; what is decided before the first inference is the start rule's."""
        super().begin_episode(observation)
        self.choice = None
        self._asked.clear()
        self._made.clear()

    def begin_inference(self, read_step: int, process: int = 0) -> None:
        """An inference has decided; a random action was decided by nobody."""
        self._made.append(self._asked.pop() if self._asked else None)
        self._started()

    def apply(self, inference: int) -> None:
        """Its action acts from now on."""
        self.choice = self._made[inference]

    def end_step(self, action: Any, reward: float, observation: Any) -> None:
        """A step is over."""
        super().end_step(action, reward, observation)
        self._started()

    def _started(self) -> None:
        """What is left was decided before all inferences."""
        if self._asked:
            self.choice = self._asked.pop()


def probabilities(logits: Array) -> tuple[float, ...]:
    """What logits [A] stand for."""
    import numpy as np

    weights = np.exp(logits - logits.max(), dtype=np.float64)
    return tuple((weights / weights.sum()).tolist())


def score_for(policy: Policy, phase: str) -> Score:
    """A witness of a policy whose actions are drawn from logits; of others the score alone."""
    from rtbench.learners.policy import HEADS

    return Witness(HEADS[policy.head].decider(policy.seed, phase)) if policy.head == DRAWN else Score()


def action_names(env: Any, count: int) -> tuple[str, ...]:
    """What an environment calls its actions (`get_action_meanings`, as Atari's have it), or their numbers."""
    told = getattr(env.unwrapped, "get_action_meanings", None)
    names = tuple(str(name).lower() for name in told()) if told else ()
    return names if len(names) == count else tuple(map(str, range(count)))
