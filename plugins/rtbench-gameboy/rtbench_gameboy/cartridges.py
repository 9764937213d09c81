"""The cartridge images that a user may bring, how each is known, and where what was imported lies.

An imported image becomes a folder as stable-retro wants it (rom.gb, data.json, scenario.json, metadata.json,
Start.state, rom.sha) within a folder of the user's; no image and no saved state of others comes with this package.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rtbench_gameboy.memory import Variable

DATA_VARIABLE = "RTBENCH_GAMEBOY_DATA"
"""Names the folder of imported cartridges, where it is not the user's ordinary one."""
ROM, START = "rom.gb", "Start.state"
KINDS = ("battles", "catching")
"""Folders of saved states, one state an encounter."""
PARTY, HIT_POINTS_APART = 6, 44


def _pokemon(shift: int) -> dict[str, Variable]:
    """The addresses of Red and Blue; in Yellow all lie one lower (`shift` −1)."""
    ours = {f"own_hp_{i + 1}": Variable(0xD16C + HIT_POINTS_APART * i + shift, ">u2") for i in range(PARTY)}
    theirs = {f"foe_hp_{i + 1}": Variable(0xD8A5 + HIT_POINTS_APART * i + shift, ">u2") for i in range(PARTY)}
    owned = {f"owned_{i + 1}": Variable(0xD2F7 + i + shift, "|u1") for i in range(19)}
    return {
        **ours,
        **theirs,
        **owned,
        "party_size": Variable(0xD163 + shift, "|u1"),
        "in_battle": Variable(0xD057 + shift, "|i1"),
        "box_count": Variable(0xDA80 + shift, "|u1"),
    }


_TETRIS = {
    "score": Variable(0xC0A0, "<d3"),
    "level": Variable(0xFFA9, "|d1"),
    "state": Variable(0xFFE1, "|i1"),
}
_TETRIS_SCENARIO = {
    "reward": {"variables": {"score": {"reward": 1.0}}},
    "done": {"variables": {"state": {"op": "nonzero"}}},
}
_POKEMON_SCENARIO = {"done": {"variables": {"in_battle": {"op": "zero"}}}}


@dataclass(frozen=True)
class Cartridge:
    """A known cartridge image: its SHA-1, its size in bytes, and what its memory means."""

    name: str
    title: str
    sha1: str
    size: int
    folder: str
    variables: Mapping[str, Variable] = field(repr=False)
    scenario: Mapping[str, object] = field(repr=False)
    takes_states: bool = False


CARTRIDGES = {
    found.name: found
    for found in (
        Cartridge(
            "tetris-rev-1",
            "Tetris (World) (Rev 1)",
            "74591cc9501af93873f9a5d3eb12da12c0723bbc",
            32_768,
            "TetrisRev1-GameBoy",
            _TETRIS,
            _TETRIS_SCENARIO,
        ),
        Cartridge(
            "tetris",
            "Tetris (World)",
            "3f2a6407c9900ad5817ee1cfb3609c5ee17400fc",
            32_768,
            "Tetris-GameBoy",
            _TETRIS,
            _TETRIS_SCENARIO,
        ),
        *(
            Cartridge(
                f"pokemon-{version}",
                f"Pokémon {version.capitalize()} (USA, Europe)",
                sha1,
                1_048_576,
                f"Pokemon{version.capitalize()}-GameBoy",
                _pokemon(shift),
                _POKEMON_SCENARIO,
                True,
            )
            for version, sha1, shift in (
                ("red", "ea9bcae617fdf159b045185467ae58b2e4a48b9a", 0),
                ("blue", "d7037c83e1ae5b39bde3c30787637ba1d4c48ce2", 0),
                ("yellow", "cc7d03262ebfaf2f06772c1a480c7d9d5f4a38e1", -1),
            )
        ),
    )
}
"""Dumps whose SHA-1 is public knowledge, by name."""


def data_folder() -> Path:
    """Where imported cartridges lie."""
    from platformdirs import user_data_path

    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen) if chosen else user_data_path("rtbench-gameboy", appauthor=False)


def rom_of(name: str) -> Path:
    """Where the image of a cartridge lies once it was imported."""
    return data_folder() / CARTRIDGES[name].folder / ROM


def states_of(name: str, kind: str) -> list[Path]:
    """The saved states of a cartridge's encounters, in their order; empty if none was imported."""
    return in_order(data_folder() / CARTRIDGES[name].folder / kind)


def in_order(folder: Path) -> list[Path]:
    """The saved states of a folder; numbers in names count as numbers."""
    import re

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.stem)]

    return sorted(folder.glob("*.state"), key=key)


def missing(name: str, kind: str = "") -> str | None:
    """Why a cartridge, or its saved states of a kind, cannot be used here, with the command that mends it; or None."""
    cartridge = CARTRIDGES[name]
    if not rom_of(name).is_file():
        states = " --states DIR" if kind else ""
        return f"no image of {cartridge.title} was imported; type: rtbench gameboy import --rom FILE{states}"
    if kind and not states_of(name, kind):
        return f"no saved states of {kind} were imported; type: rtbench gameboy import --rom FILE --states DIR"
    return None
