"""`rtbench gameboy`: bring in cartridge images of one's own, see what is there, record a scripted player."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from rtbench_gameboy import cartridges
from rtbench_gameboy.cartridges import CARTRIDGES, KINDS

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

gameboy = typer.Typer(
    help="Game Boy cartridges: the free games need nothing, others come from you.", no_args_is_help=True
)


@gameboy.command("import")
def import_(
    rom: Annotated[Path, typer.Option(help="A cartridge image (.gb) of your own.")],
    states: Annotated[
        Path | None, typer.Option(help="A folder with battles/*.state and catching/*.state, for Pokémon.")
    ] = None,
    json: Json = False,
) -> None:
    """Recognise a cartridge image by its SHA-1, try it, and lay it where the environments find it."""
    from rtbench_gameboy.importing import import_cartridge

    found = import_cartridge(rom, states)
    told = {"cartridge": found.cartridge.name, "title": found.cartridge.title, "folder": str(found.folder)}
    if json:
        typer.echo(json_module.dumps(told | {"states": dict(found.states)}, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{found.cartridge.title}, in {found.folder}")
    if found.cartridge.takes_states:
        typer.echo(", ".join(f"{count} saved states of {kind}" for kind, count in found.states.items()))
        if not any(found.states.values()):
            typer.echo(
                "its environments need saved states of encounters: rtbench gameboy import --rom FILE --states DIR"
            )


@gameboy.command("list")
def list_(json: Json = False) -> None:
    """The cartridges that are known, and which of them were imported here."""
    told = [
        {
            "cartridge": name,
            "title": found.title,
            "sha1": found.sha1,
            "imported": cartridges.rom_of(name).is_file(),
            "states": {kind: len(cartridges.states_of(name, kind)) for kind in KINDS} if found.takes_states else {},
        }
        for name, found in CARTRIDGES.items()
    ]
    if json:
        typer.echo(json_module.dumps(told, indent=2, ensure_ascii=False))
        return
    for one in told:
        states = ", ".join(f"{count} {kind}" for kind, count in one["states"].items())  # type: ignore[attr-defined]
        there = ("imported" + (f" ({states})" if states else "")) if one["imported"] else "not imported"
        typer.echo(f"{one['title']:32} {one['sha1']}  {there}")


@gameboy.command()
def record(
    player: Annotated[str, typer.Argument(help="falling_blocks, battles or catching.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the recording is written (.json).")],
    seed: Annotated[int, typer.Option(help="Seed of the reset.")] = 0,
    frames: Annotated[int, typer.Option(help="Frames at most.")] = 36_000,
) -> None:
    """Record an episode of a scripted player: the seed and the actions, from which every screen follows."""
    from rtbench_gameboy.recordings import PLAYERS, record_player

    if player not in PLAYERS:
        raise typer.BadParameter(f"no such player: {player}; there are {', '.join(PLAYERS)}")
    found = record_player(player, seed, frames)
    found.write(out)
    typer.echo(f"{len(found.actions):,} frames, {found.non_idle:,} actions, return {found.total:g}, in {out}")


@gameboy.command()
def transitions(
    recordings: Annotated[list[Path], typer.Argument(help="Recordings (.json), played again one after another.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the transitions are written (.npz).")],
) -> None:
    """Turn recordings into `transitions` of learner dqn, from which it makes its `warm_updates`."""
    from rtbench_gameboy.recordings import Recording, export

    count = export((Recording.read(path) for path in recordings), out)
    typer.echo(f"{count:,} decisions, in {out}")
