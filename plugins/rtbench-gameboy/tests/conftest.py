"""The free encounters standing in for Pokémon Red: known by their hash, with addresses of theirs.

Ours are three; theirs come one at a time.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtbench_gameboy import cartridges, rules
from rtbench_gameboy.cartridges import CARTRIDGES, Cartridge
from rtbench_gameboy.console import Console, mask
from rtbench_gameboy.memory import Variable
from rtbench_gameboy.rules import ENCOUNTERS, EncountersRules

ENCOUNTER = rules.GAMES / "encounters.gb"
EMPTY = Variable(0xDE00, "|u1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where imported cartridges lie meanwhile, in its folder `data`."""
    monkeypatch.setenv(cartridges.DATA_VARIABLE, str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Variable]], Cartridge]:
    """Makes the free encounters known as Pokémon Red, with these addresses."""

    def known(variables: dict[str, Variable]) -> Cartridge:
        content = ENCOUNTER.read_bytes()
        sha1 = hashlib.sha1(content).hexdigest()
        made = Cartridge("pokemon-red", "Stand-in", sha1, len(content), "Red", variables, {"done": {}}, True)
        monkeypatch.setitem(CARTRIDGES, "pokemon-red", made)
        return made

    return known


@pytest.fixture
def red(folder: Path, stand_in: Callable[[dict[str, Variable]], Cartridge]) -> Cartridge:
    """The stand-in with addresses that mean what they are called."""
    variables = {f"own_hp_{i + 1}": Variable(0xC025 + 4 * i, "|u1") if i < 3 else EMPTY for i in range(6)}
    variables |= {f"foe_hp_{i + 1}": EMPTY if i else Variable(0xC031, "|u1") for i in range(6)}
    variables |= {f"owned_{i + 1}": EMPTY for i in range(19)}
    variables |= {"party_size": EMPTY, "in_battle": Variable(0xC021, "|i1"), "box_count": ENCOUNTERS["caught"]}
    return stand_in(variables)


@pytest.fixture
def states(folder: Path) -> Callable[[str, list[int]], Path]:
    """Writes saved states of the free encounters, at the first message of these numbers; the folder for --states."""

    def written(kind: str, numbers: list[int]) -> Path:
        where = folder / "states" / kind
        where.mkdir(parents=True)
        for place, number in enumerate(numbers):
            mode: Any = "battles" if kind == "battles" else "catching"
            game = EncountersRules(mode, "limit", 1)
            game._first = number
            console = Console(ENCOUNTER)
            rules._FreeGame.begin(game, console, np.random.default_rng(1))
            for _ in range(60):
                console.frame(mask())
            (where / f"{place + 8}.state").write_bytes(gzip.compress(console.state()))
        return folder / "states"

    return written
