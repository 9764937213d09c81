"""What `rtbench plugins check rtbench-gameboy` checks, with short games; without a cartridge what does not need it."""

from __future__ import annotations

from typing import Any, ClassVar

from rtbench.testing import EnvironmentConformance, NotApplicable


class FallingBlocksChecks(EnvironmentConformance):
    """The free falling blocks."""

    name = "gameboy/falling-blocks"
    params: ClassVar[dict[str, Any]] = {"max_frames": 400, "frames": 2}


class BattlesChecks(EnvironmentConformance):
    """The free encounters, one after another."""

    name = "gameboy/encounters"
    params: ClassVar[dict[str, Any]] = {"max_frames": 400}


class CatchChecks(EnvironmentConformance):
    """The free encounters, one an episode."""

    name = "gameboy/encounters"
    params: ClassVar[dict[str, Any]] = {"mode": "catching", "until": "encounter", "max_frames": 400}


class _CartridgeChecks(EnvironmentConformance):
    """Only what can be checked without the cartridge, where it was not imported."""

    params: ClassVar[dict[str, Any]] = {"max_frames": 400}

    def build(self) -> Any:
        """The part; making an environment of it does not apply without its cartridge."""
        part = super().build()
        reason = type(part)._lacks(self.use.params)
        if reason is not None:

            def absent(*_: Any) -> Any:
                raise NotApplicable(reason)

            part.make = absent
        return part


class TetrisChecks(_CartridgeChecks):
    """Tetris, if it was imported."""

    name = "gameboy/tetris"


_SAVED = {"test_the_seed_matters": "an episode begins with the first saved state, and all chance is in the cartridge"}


class PokemonBattlesChecks(_CartridgeChecks):
    """Battles of Pokémon, if they were imported."""

    name = "gameboy/pokemon-battles"
    expected_failures = _SAVED


class PokemonCatchingChecks(_CartridgeChecks):
    """Catching Pokémon, if it was imported."""

    name = "gameboy/pokemon-catching"
    expected_failures = _SAVED
