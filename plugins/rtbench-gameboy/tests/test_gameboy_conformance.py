"""Everything this package offers passes the checks that rtbench has for its kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rtbench.cell import Budget
from rtbench.testing import (
    CommandConformance,
    HookConformance,
    LearnerConformance,
    SuiteConformance,
)

from rtbench_gameboy import conformance
from rtbench_gameboy.cartridges import Cartridge
from rtbench_gameboy.importing import import_cartridge
from rtbench_gameboy.rules import GAMES

ENCOUNTERS = GAMES / "encounters.gb"


class TestFallingBlocks(conformance.FallingBlocksChecks):
    pass


class TestBattles(conformance.BattlesChecks):
    pass


class TestCatch(conformance.CatchChecks):
    pass


class TestSavedBattles(conformance.PokemonBattlesChecks):
    """With the free encounters standing in for the cartridge."""

    params: ClassVar[dict[str, Any]] = {"max_frames": 400, "version": "red"}

    @pytest.fixture(autouse=True)
    def imported(self, red: Cartridge, states: Callable[[str, list[int]], Path]) -> None:
        import_cartridge(ENCOUNTERS, states("battles", [0, 3]))


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
