"""Bringing in a cartridge image and saved states of the user's own: recognised by SHA-1, tried, laid in a folder."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtbench import files
from rtbench.errors import RtbenchError

from rtbench_gameboy import cartridges
from rtbench_gameboy.cartridges import CARTRIDGES, KINDS, Cartridge
from rtbench_gameboy.console import Console, mask, switched_on
from rtbench_gameboy.imported_rules import saved
from rtbench_gameboy.memory import Variable

_POWER_ON_FRAMES = 600
"""Ten seconds: what comes before a title has passed."""
_PRESSES, _BETWEEN_FRAMES, _PLAYS_FRAMES = 12, 90, 30


@dataclass(frozen=True)
class Imported:
    """What was brought in: which cartridge, where it lies, how many saved states of each kind."""

    cartridge: Cartridge
    folder: Path
    states: Mapping[str, int]


def recognise(rom: Path) -> Cartridge:
    """Which known cartridge a file is; RtbenchError naming the known ones if it is none."""
    try:
        content = rom.read_bytes()
    except OSError as error:
        raise RtbenchError(f"cannot be read: {error.strerror}", place=str(rom)) from error
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    for cartridge in CARTRIDGES.values():
        if cartridge.sha1 == sha1:
            return cartridge
    known = "; ".join(f"{found.title}: {found.sha1}" for found in CARTRIDGES.values())
    raise RtbenchError(
        f"no known cartridge image: {len(content):,} bytes with SHA-1 {sha1}",
        place=str(rom),
        hint=f"known are {known}. A dump with other bytes keeps its numbers elsewhere, so it is not guessed at",
    )


def import_cartridge(rom: Path, states: Path | None = None) -> Imported:
    """Bring in an image, and the saved states in `states`/battles and `states`/catching; everything is tried first.

    RtbenchError if the image is not known, or if it or a saved state does not run in the emulator.
    """
    cartridge = recognise(rom)
    found = _states(cartridge, states) if states is not None else {}
    folder = cartridges.data_folder() / cartridge.folder
    content = rom.read_bytes()
    _write(folder / cartridges.ROM, content)
    _write(folder / "rom.sha", f"{cartridge.sha1}\n".encode())
    variables = {name: {"address": v.address, "type": v.type} for name, v in cartridge.variables.items()}
    _write(folder / "data.json", _json({"info": variables}))
    _write(folder / "scenario.json", _json(cartridge.scenario))
    _write(folder / "metadata.json", _json({"default_state": cartridges.START.removesuffix(".state")}))
    image = folder / cartridges.ROM
    first = start_of_tetris(image, cartridge) if "score" in cartridge.variables else switched_on(image, 60)
    _write(folder / cartridges.START, gzip.compress(first, mtime=0))
    for kind, paths in found.items():
        _bring_states(image, paths, folder / kind)
    return Imported(cartridge, folder, {kind: len(cartridges.states_of(cartridge.name, kind)) for kind in KINDS})


def start_of_tetris(image: Path, cartridge: Cartridge) -> bytes:
    """The state at which the next START and A begin a game."""
    return start_of(image, cartridge.variables["state"], lambda state: state == 0)


def start_of(
    image: Path, state: Variable, playing: Callable[[int], bool], *, power_on_frames: int = _POWER_ON_FRAMES
) -> bytes:
    """Press START and A, again and again, from the title on: the state before the press after which a game is played.

    RtbenchError if no press begins one.
    """
    console = Console(image)
    console.load(switched_on(image, power_on_frames))
    for _ in range(_PRESSES):
        before, waiting = console.state(), not playing(console.read(state))
        console.frame(mask("START", "A"))
        played = 0
        for _ in range(_BETWEEN_FRAMES):
            console.frame(mask())
            played = played + 1 if playing(console.read(state)) else 0
        if waiting and played >= _PLAYS_FRAMES:
            return before
    raise RtbenchError("no game begins, however often START and A are pressed", place=str(image))


def _states(cartridge: Cartridge, folder: Path) -> dict[str, list[Path]]:
    if not cartridge.takes_states:
        raise RtbenchError(f"{cartridge.title} needs no saved states", place=str(folder), hint="leave --states out")
    found = {kind: paths for kind in KINDS if (paths := cartridges.in_order(folder / kind))}
    if not found:
        raise RtbenchError(
            "no saved states are there",
            place=str(folder),
            hint="they are expected as battles/*.state and catching/*.state, in the order of their names",
        )
    return found


def _bring_states(image: Path, paths: list[Path], folder: Path) -> None:
    """Try every state, then write them; states of an earlier import go."""
    console = Console(image)
    for path in paths:
        try:
            console.load(saved(path))
        except (RtbenchError, OSError, EOFError) as error:
            raise RtbenchError(
                "not a saved state of this cartridge under stable-retro's Game Boy emulator",
                place=str(path),
                hint="the published states of the 'Blue' battles need the Red cartridge; check the version, and that "
                "the file was written by stable-retro",
            ) from error
        console.frame(mask())
    for old in folder.glob("*.state"):
        old.unlink()
    for path in paths:
        _write(folder / path.name, path.read_bytes())


def states_digests() -> dict[str, str]:
    """A digest of the saved states of every cartridge and kind that are there."""
    found = {}
    for name, cartridge in CARTRIDGES.items():
        if not cartridge.takes_states:
            continue
        for kind in KINDS:
            if paths := cartridges.states_of(name, kind):
                content = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths))
                found[f"gameboy/{name} {kind}"] = f"{len(paths)} states, {content.hexdigest()[:16]}"
    return found


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    files.write(path, content, kind="cartridge")
