"""Everything this package offers passes the checks that rtbench has for its kind."""

from rtbench.testing import CommandConformance, EnvironmentConformance, HookConformance, SuiteConformance


class TestFallingBlocks(EnvironmentConformance):
    name = "gameboy/falling-blocks"
    params = {"max_frames": 400, "frames": 2}


class TestBattles(EnvironmentConformance):
    name = "gameboy/encounters"
    params = {"max_frames": 400}


class TestOneCatch(EnvironmentConformance):
    name = "gameboy/encounters"
    params = {"mode": "catching", "until": "encounter", "max_frames": 400}


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
