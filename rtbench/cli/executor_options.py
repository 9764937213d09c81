"""Options of `rtbench run` for the executor it names: one flag for every parameter of that part, over `--set`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import json
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from rtbench import plugins
from rtbench.cli.output import given_parameters

OPTION = "--executor"
FROM_SUITE = ("retries",)
"""Parameters that a suite gives."""

Command = Callable[..., Any]


def executor_name(given: str) -> str:
    """The registered name: `slurm` stands for `slurm/slurm`, a plugin's namespace for the part of that name in it."""
    known, full = plugins.entries("executors"), f"{given}/{given}"
    return full if given not in known and full in known else given


def build_executor(name: str, shared: dict[str, Any], settings: Sequence[str]) -> Any:
    """The executor with its `--set` parameters; of `shared`, what every executor may want, it gets what it has."""
    full = executor_name(name)
    known = {field.name for field in dataclasses.fields(plugins.part_class("executors", full, place=OPTION).Params)}
    given = given_parameters({key: value for key, value in shared.items() if key in known}, settings)
    return plugins.build(plugins.use("executors", full, given, place=OPTION))


def with_executor_options(command: Command) -> Command:
    """A command with `executor` and `settings` (`--set`) among its parameters; the command line asks it to grow."""
    command.for_arguments = functools.partial(_grown, command)  # type: ignore[attr-defined]
    return command


def _grown(command: Command, arguments: Sequence[str]) -> Command:
    """The command with a flag for each parameter of the executor that the arguments name, but for those it has."""
    signature = inspect.signature(command, eval_str=True)
    name = executor_name(_named(arguments) or signature.parameters["executor"].default)
    part = plugins.part_class("executors", name, place=OPTION)
    hints = get_type_hints(part.Params)
    own = [f for f in dataclasses.fields(part.Params) if f.name not in (*signature.parameters, *FROM_SUITE)]
    flags = {field.name: _flag(field, hints[field.name]) for field in own}
    if not flags:
        return command

    @functools.wraps(command)
    def grown(settings: list[str] | None = None, **values: Any) -> Any:
        given = {key: values.pop(key) for key in flags}
        written = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
        return command(settings=[*(settings or []), *written], **values)

    parameters = [*signature.parameters.values(), *flags.values()]
    grown.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    grown.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return grown


def _named(arguments: Sequence[str]) -> str | None:
    """The value of the option, as it stands among the arguments."""
    for argument, following in itertools.pairwise([*arguments, ""]):
        if argument == OPTION:
            return following
        if argument.startswith(f"{OPTION}="):
            return argument.partition("=")[2]
    return None


def _flag(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    """An option that is None unless given: true and false as `--name/--no-name`, else a number or a text."""
    kind = _plain(hint)
    word = field.name.replace("_", "-")
    unit, doc = field.metadata.get("unit", ""), field.metadata.get("doc", "")
    default = "" if field.default in (None, "", dataclasses.MISSING) else f" [default: {_shown(field.default)}]"
    text = doc + (f" ({unit})" if unit else "") + default
    declared = f"--{word}/--no-{word}" if kind is bool else f"--{word}"
    option = typer.Option(declared, help=text, show_default=False, rich_help_panel=None)
    annotation: Any = Annotated[kind | None, option]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _plain(hint: Any) -> type[Any]:
    """What the command line reads for a type: itself if it is plain, that of an optional one, else a text."""
    if get_origin(hint) in (Union, types.UnionType):
        inner = [kind for kind in get_args(hint) if kind is not type(None)]
        hint = inner[0] if len(inner) == 1 else str
    return hint if hint in (bool, int, float, str) else str


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
