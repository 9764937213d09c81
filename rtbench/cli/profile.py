"""`rtbench profile`: how long inference takes on this machine, saved as a latency that suites and `simulate` read."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.backends.measure import (
    EXECUTIONS,
    Contender,
    Measurement,
    architecture_text,
    refusal,
    with_threads,
)
from rtbench.cli.output import JsonOption, emit, given_parameters
from rtbench.cli.profile_told import Refused, Saved, show, told
from rtbench.cli.results import STATE, StateOption
from rtbench.errors import SuiteError
from rtbench.interaction.profile import MACHINE_FIELDS, SUFFIX, LatencyProfile, digest, write_profile
from rtbench.parts import PartUse, PolicyShape
from rtbench.plugins import use
from rtbench.results.places import local_folder

if TYPE_CHECKING:
    from rtbench.interaction.profile import ProfileGroup

FOLDER = "profiles"


def profile(
    architectures: Annotated[list[str], typer.Argument(metavar="ARCH…", help="See rtbench list architectures.")],
    backend: Annotated[list[str] | None, typer.Option(help="Backend, eager if not given; may be repeated.")] = None,
    layers: Annotated[list[str] | None, typer.Option(help="The architecture's parameter layers: 3, or 1,3,10.")] = None,
    width: Annotated[list[str] | None, typer.Option(help="The architecture's parameter width; may be several.")] = None,
    skips: Annotated[str | None, typer.Option(help="The architecture's parameter skips.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any of its parameters as key=value; may be repeated.")
    ] = None,
    observation_size: Annotated[int, typer.Option(help="Numbers in an observation.")] = 17,
    action_size: Annotated[int, typer.Option(help="Numbers in an action; the head gives mean and spread of each.")] = 6,
    batch: Annotated[list[str] | None, typer.Option(help="Observations per inference: 1, or 1,16,256.")] = None,
    samples: Annotated[int, typer.Option(help="Timed inferences, at least 2000.")] = 2000,
    warmup: Annotated[int, typer.Option(help="Inferences before the timed ones.")] = 200,
    rounds: Annotated[int, typer.Option(help="Rounds in which everything of one size has its turn.")] = 10,
    threads: Annotated[list[str] | None, typer.Option(help="Threads of arithmetic: 1, or 1,2.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random weights and observations.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .parquet file, or a folder for several; default STATE/profiles."),
    ] = None,
    state: StateOption = STATE,
    json: JsonOption = False,
) -> None:
    """Measure how long inference takes here: a whole pass (sequential) and one tick (pipelined)."""
    hows = [Measurement(samples, warmup, each, seed, rounds) for each in _numbers(batch, "--batch") or (1,)]
    for how in hows:
        how.check()
    shape = _shape(observation_size, action_size)
    networks = _networks(architectures, layers, width, given_parameters({"skips": skips}, settings or []))
    contenders = _contenders(backend or ["eager"], _numbers(threads, "--threads") or (1,))
    refused = _refused(networks, contenders)
    target = output or local_folder(state) / FOLDER
    _check_target(target, len(networks) * len(hows) * len(contenders) // len(EXECUTIONS))
    machine = _machine()
    saved: list[Saved] = []
    for network, how in itertools.product(networks, hows):
        groups, cannot = _measured(network, contenders, shape, how)
        refused += [Refused(network, contender, how.batch, reason) for contender, reason in cannot]
        saved += [_save(network, found, machine, target) for found in groups]
    if not saved:
        raise SuiteError(refused[0].reason, place=refused[0].title)
    emit(told(saved, refused, machine), json=json, render=lambda: show(saved, refused, machine, hows[0]))


def _numbers(texts: Sequence[str] | None, place: str) -> tuple[int, ...]:
    """Numbers from "1,3,10", repeated or not, each once."""
    found = []
    for text in itertools.chain.from_iterable(given.split(",") for given in texts or ()):
        if not re.fullmatch(r"\s*-?\d+\s*", text):
            raise SuiteError(f"not a whole number: {text!r}", place=place, hint="write 3, or 1,3,10")
        found.append(int(text))
    return tuple(dict.fromkeys(found))


def _networks(
    architectures: Sequence[str],
    layers: Sequence[str] | None,
    width: Sequence[str] | None,
    given: dict[str, Any],
) -> list[PartUse]:
    """Every architecture in every size."""
    sizes = {"layers": _numbers(layers, "--layers"), "width": _numbers(width, "--width")}
    for name in sizes:
        if sizes[name] and name in given:
            raise SuiteError(f"parameter {name!r} is given twice", place="--set")
    asked = {name: values for name, values in sizes.items() if values}
    return [
        use("architectures", name, given | dict(zip(asked, values, strict=True)), place="ARCH")
        for name in dict.fromkeys(architectures)
        for values in itertools.product(*asked.values())
    ]


def _contenders(backends: Sequence[str], threads: Sequence[int]) -> list[Contender]:
    """Every backend under both executions, with every number of threads."""
    for count in threads:
        if count < 1:
            raise SuiteError(f"threads must be at least 1, got {count}", place="--threads")
    return [
        Contender(with_threads(use("backends", name, place="--backend"), count), execution, count)
        for name in dict.fromkeys(backends)
        for count in threads
        for execution in EXECUTIONS
    ]


def _refused(networks: Sequence[PartUse], contenders: Sequence[Contender]) -> list[Refused]:
    """Nothing yet; SuiteError before anything is measured if all of it would be refused."""
    reasons = [(one, other, refusal(one, other)) for one in networks for other in contenders]
    if all(reason for *_, reason in reasons):
        network, contender, reason = reasons[0]
        raise SuiteError(str(reason), place=f"{network.title} on {contender.title}")
    return []


def _measured(
    network: PartUse, contenders: Sequence[Contender], shape: PolicyShape, how: Measurement
) -> tuple[list[tuple[ProfileGroup, ...]], list[tuple[Contender, str]]]:
    """Groups that belong into one file each, and what was refused with the reason."""
    from rtbench.backends.stopwatch import Stopwatch

    wanted = [one for one in contenders if not refusal(network, one)]
    if not wanted:
        return [], [(one, str(refusal(network, one))) for one in contenders]
    watch = Stopwatch(network, contenders, shape, how)
    while not watch.done:
        watch.advance()
    files: dict[tuple[str, int], list[ProfileGroup]] = {}
    for _, group in watch.groups():
        files.setdefault((group.backend, group.threads), []).append(group)
    return [tuple(found) for found in files.values()], watch.refused


def _shape(observation_size: int, action_size: int) -> PolicyShape:
    """The widths of a policy whose head gives a mean and a spread for every action."""
    for name, value in (("--observation-size", observation_size), ("--action-size", action_size)):
        if value < 1:
            raise SuiteError(f"{name} must be at least 1, got {value}", place=name)
    return PolicyShape(observation_size, action_size, 2 * action_size)


def _check_target(target: Path, profiles: int) -> None:
    """SuiteError before anything is measured if the profiles cannot be written there."""
    is_file = target.suffix == SUFFIX
    if is_file and profiles > 1:
        raise SuiteError(
            f"{profiles} profiles (architectures × sizes × backends × threads) do not go into one file: "
            "a latency is one of them",
            place="--output",
            hint="name a folder",
        )
    if is_file and target.is_dir():
        raise SuiteError("cannot write the latency profile: it is a folder", place=str(target))
    folder = target.parent if is_file else target
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        hint = "" if is_file else f"a file's name ends in {SUFFIX}"
        raise SuiteError(f"cannot write the latency profile: {there} is not a folder", place=str(target), hint=hint)
    if not os.access(there, os.W_OK):
        raise SuiteError("cannot write the latency profile: no permission", place=str(there))


def _machine() -> dict[str, str]:
    from rtbench.backends.machine import fingerprint

    facts = fingerprint(1)
    return {name: str(facts[name]) for name in MACHINE_FIELDS}


def _save(architecture: PartUse, groups: tuple[ProfileGroup, ...], machine: dict[str, str], target: Path) -> Saved:
    """Write one profile: to the file named, or into the folder under a name that its content makes unique."""
    found = LatencyProfile(groups, machine)
    path = target
    if target.suffix != SUFFIX:
        group = groups[0]
        words = (
            machine["cpu"],
            architecture_text(architecture),
            f"{group.layers}x{group.width}",
            group.backend,
            *([f"batch{group.batch}"] if group.batch > 1 else []),
            *([f"{group.threads}-threads"] if group.threads > 1 else []),
            digest(found)[:8],  # measuring again never overwrites what a cell may name
        )
        path = target / ("-".join(_slug(word) for word in words) + SUFFIX)
    return Saved(path, write_profile(found, path), groups)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
