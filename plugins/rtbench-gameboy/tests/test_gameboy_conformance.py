"""Everything this package offers passes the checks that rtbench has for its kind."""

from typing import Any, ClassVar

from rtbench.cell import Budget
from rtbench.testing import (
    CommandConformance,
    EnvironmentConformance,
    HookConformance,
    LearnerConformance,
    SuiteConformance,
)


class TestFallingBlocks(EnvironmentConformance):
    name = "gameboy/falling-blocks"
    params: ClassVar[dict[str, Any]] = {"max_frames": 400, "frames": 2}


class TestBattles(EnvironmentConformance):
    name = "gameboy/encounters"
    params: ClassVar[dict[str, Any]] = {"max_frames": 400}


class TestOneCatch(EnvironmentConformance):
    name = "gameboy/encounters"
    params: ClassVar[dict[str, Any]] = {"mode": "catching", "until": "encounter", "max_frames": 400}


class TestTrainingContinues(LearnerConformance):
    """A learner that is stopped in the middle of a game goes on from its files as if it had not been."""

    name = "dqn"
    params: ClassVar[dict[str, Any]] = {"learning_starts": 20, "epsilon_steps": 60, "batch_size": 4, "replay_size": 200}
    environment = ("gameboy/encounters", {"max_frames": 70})
    architecture = ("mlp", {"layers": 2, "width": 8})
    budget = Budget(steps=100, unit="env_steps", eval_every=50, eval_episodes=1, final_eval_episodes=1)
    seeds = (1,)


class TestCommand(CommandConformance):
    name = "gameboy"


class TestHooks(HookConformance):
    name = "gameboy"


class TestGameBoyRealtime(SuiteConformance):
    name = "gameboy/gameboy-realtime"


class TestGameBoyProgress(SuiteConformance):
    name = "gameboy/gameboy-progress"


class TestTetrisRealtime(SuiteConformance):
    name = "gameboy/tetris-realtime"


class TestPokemonBattles(SuiteConformance):
    name = "gameboy/pokemon-battles"


class TestPokemonCatching(SuiteConformance):
    name = "gameboy/pokemon-catching"
