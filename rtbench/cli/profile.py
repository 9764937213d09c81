"""`rtbench profile`: how long inference takes on this machine, saved as a latency that suites and `simulate` read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.backends.measure import Measurement, architecture_text, check_supported, figures, measure
from rtbench.cli.output import JsonOption, emit, given_parameters, line, table
from rtbench.cli.results import STATE, StateOption
from rtbench.errors import SuiteError
from rtbench.interaction.profile import MACHINE_FIELDS, LatencyProfile, digest, write_profile
from rtbench.parts import PartUse, PolicyShape
from rtbench.plugins import use

if TYPE_CHECKING:
    from rtbench.interaction.profile import ProfileGroup

FOLDER = "profiles"
SUFFIX = ".parquet"


@dataclass(frozen=True)
class Saved:
    """A written profile: one architecture on one backend, with a group per execution."""

    path: Path
    digest: str
    groups: tuple[ProfileGroup, ...]


def profile(
    architectures: Annotated[list[str], typer.Argument(metavar="ARCH…", help="See rtbench list architectures.")],
    backend: Annotated[list[str] | None, typer.Option(help="Backend, eager if not given; may be repeated.")] = None,
    layers: Annotated[int | None, typer.Option(help="The architecture's parameter layers.")] = None,
    width: Annotated[int | None, typer.Option(help="The architecture's parameter width.")] = None,
    skips: Annotated[str | None, typer.Option(help="The architecture's parameter skips.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any of its parameters as key=value; may be repeated.")
    ] = None,
    observation_size: Annotated[int, typer.Option(help="Numbers in an observation.")] = 17,
    action_size: Annotated[int, typer.Option(help="Numbers in an action; the head gives mean and spread of each.")] = 6,
    batch: Annotated[int, typer.Option(help="Observations per inference; acting is at batch 1 for now.")] = 1,
    samples: Annotated[int, typer.Option(help="Timed inferences, at least 2000.")] = 2000,
    warmup: Annotated[int, typer.Option(help="Inferences before the timed ones.")] = 200,
    threads: Annotated[int, typer.Option(help="Threads of arithmetic.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the random weights and observations.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .parquet file, or a folder for several; default STATE/profiles."),
    ] = None,
    state: StateOption = STATE,
    json: JsonOption = False,
) -> None:
    """Measure how long inference takes here: a whole pass (sequential) and one tick (pipelined)."""
    how = Measurement(samples, warmup, threads, batch, seed)
    how.check()
    shape = _shape(observation_size, action_size)
    given = given_parameters({"layers": layers, "width": width, "skips": skips}, settings or [])
    uses = [use("architectures", name, given, place="ARCH") for name in dict.fromkeys(architectures)]
    backends = [use("backends", name, place="--backend") for name in dict.fromkeys(backend or ["eager"])]
    pairs = [(one, other) for one in uses for other in backends]
    for pair in pairs:
        check_supported(*pair)
    target = output or state / FOLDER
    _check_target(target, len(pairs))
    measured = [(one, measure(one, other, shape, how)) for one, other in pairs]
    machine = _machine(threads)
    saved = [_save(one, groups, machine, target) for one, groups in measured]
    emit(_data(saved, machine), json=json, render=lambda: _print(saved, machine, how))


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
            f"{profiles} profiles (architectures × backends) do not go into one file: a latency is one of them",
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


def _machine(threads: int) -> dict[str, str]:
    from rtbench.backends.machine import fingerprint

    facts = fingerprint(threads)
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
            digest(found)[:8],  # measuring again never overwrites what a cell may name
        )
        path = target / ("-".join(_slug(word) for word in words) + SUFFIX)
    return Saved(path, write_profile(found, path), groups)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def _uses(path: Path) -> dict[str, str]:
    """How a profile is used, in a suite and on the command line."""
    return {
        "suite": f'latency = {{ profile = "{path.as_posix()}" }}',
        "simulate": f"--latency profile:{path.as_posix()}",
    }


def _data(saved: Sequence[Saved], machine: dict[str, str]) -> dict[str, Any]:
    """Everything but the samples, which are in the files."""
    names = ("architecture", "backend", "execution", "layers", "width", "batch", "threads")
    return {
        "schema_version": 1,
        "machine": machine,
        "profiles": [
            {
                "file": one.path.as_posix(),
                "digest": one.digest,
                "use": _uses(one.path),
                "groups": [
                    {**{name: getattr(group, name) for name in names}, **figures(group)} for group in one.groups
                ],
            }
            for one in saved
        ],
    }


def _print(saved: Sequence[Saved], machine: dict[str, str], how: Measurement) -> None:
    table(
        ("architecture", "layers × width", "backend", "execution", "p50", "p95", "p99", "max", "jitter", "per second"),
        [_cells(group) for one in saved for group in one.groups],
        title=(
            f"{machine['cpu']}: {how.samples} samples after {how.warmup}, batch {how.batch}, "
            f"{how.threads} thread{'s' if how.threads > 1 else ''}; "
            "sequential: a whole pass, pipelined: one tick of all layers; jitter: p95 − p50"
        ),
    )
    line()
    for one in saved:
        line(f"saved: {one.path.as_posix()}")
    uses = _uses(saved[0].path)
    line(f"use it in a suite: {uses['suite']}")
    line(f"or in rtbench simulate: {uses['simulate']}")


def _cells(group: ProfileGroup) -> tuple[str, ...]:
    # imported late: it brings NumPy, whose threads are pinned before it is imported
    from rtbench.interaction.forecast import duration

    found = figures(group)
    times = (duration(found[f"{name}_ns"]) for name in ("p50", "p95", "p99", "max", "jitter"))
    size = f"{group.layers} × {group.width}"
    return (group.architecture, size, group.backend, group.execution, *times, f"{found['per_s']:.4g}")
