"""The command line: commands found through entry points, one place where errors become words and exit codes.

Exit codes: 0 done, 1 some runs failed or an unforeseen error, 2 usage or suite, 3 plugin, 4 leaderboard stale,
5 invalid results, 130 interrupted. A command may return its exit code as an integer or raise `typer.Exit`.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

import rtbench
from rtbench import plugins
from rtbench.cli import output
from rtbench.errors import PluginError, RtbenchError, SuiteError

_COMMAND_BASE: type[Any] = TyperCommand.__mro__[1]
_PLAIN: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False}
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


class LazyCommands(TyperGroup):
    """A group whose commands are entry points, each imported when it is invoked (or listed in the help)."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the entry points: nothing is imported."""
        return list(plugins.entries("commands"))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One command; a plugin that cannot be imported gives a command that says so."""
        found = plugins.entries("commands").get(cmd_name)
        if found is None:
            return None
        try:
            return as_command(cmd_name, found.load(), found)
        except PluginError as error:
            return _broken_command(cmd_name, error)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does, with our words for a command that does not exist."""
        names = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in names:
            raise SuiteError(f"unknown command {args[0]!r}", given=args[0], allowed=names, hint="rtbench --help")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C ends with 130 whatever the command was doing."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            output.note("interrupted")
            raise typer.Exit(130) from None


def as_command(name: str, loaded: Any, entry: plugins.Entry) -> Any:
    """A registered object as a command: a typed function, a `typer.Typer`, or a click command (run as it is)."""
    if isinstance(loaded, _COMMAND_BASE):
        return loaded
    holder = typer.Typer(**_PLAIN)
    holder.callback()(_nothing)  # with a callback typer builds a group, from which the one command is taken
    if isinstance(loaded, typer.Typer):
        holder.add_typer(loaded, name=name)
    elif callable(getattr(loaded, "main", None)) and hasattr(loaded, "get_short_help_str"):
        # typer carries a click of its own, so a command of the other click is handed its arguments untouched
        holder.command(name, help=loaded.get_short_help_str(200), add_help_option=False, context_settings=_PASS_ON)(
            _foreign(loaded)
        )
    elif callable(loaded):
        grow = getattr(loaded, "for_arguments", None)  # a command whose options depend on what is asked of it
        holder.command(name)(grow(output.invocation) if grow else loaded)
    else:
        raise PluginError(
            f"command {name!r} of {entry.distribution} is {loaded!r}: neither a function, nor a typer app, nor a click "
            "command",
            place=entry.target,
        )
    group: Any = typer.main.get_command(holder)
    return group.commands[name]


def _nothing() -> None:
    """The callback of a holder."""


def _foreign(command: Any) -> Callable[[typer.Context], Any]:
    def run_foreign(ctx: typer.Context) -> Any:
        return command.main(args=list(ctx.args), prog_name=ctx.command_path, standalone_mode=False)

    return run_foreign


def _broken_command(name: str, error: PluginError) -> Any:
    def raise_error() -> None:
        raise error

    holder = typer.Typer(**_PLAIN)
    holder.callback()(_nothing)
    holder.command(name, help=f"BROKEN: {error.message}", add_help_option=False, context_settings=_PASS_ON)(raise_error)
    group: Any = typer.main.get_command(holder)
    return group.commands[name]


def _show_version(value: bool) -> None:
    if value:
        output.line(f"rtbench {rtbench.__version__}")
        raise typer.Exit()


def _set_debug(value: bool) -> None:
    if value:
        os.environ[output.DEBUG_VARIABLE] = "1"


def _no_third_party(value: bool) -> None:
    if value:
        os.environ[plugins.DISABLE_VARIABLE] = "1"


def _disable(names: list[str]) -> list[str]:
    """Add to what the environment switches off already; everything stays off if it was."""
    before = os.environ.get(plugins.DISABLE_VARIABLE, "").strip()
    if names and before.lower() not in {"1", "all", "true"}:
        os.environ[plugins.DISABLE_VARIABLE] = ",".join([*filter(None, [before]), *names])
    return names


# The callbacks act while options are read (eager), before any command is looked up.
def _root(
    debug: Annotated[
        bool, typer.Option("--debug", is_eager=True, callback=_set_debug, help="Show tracebacks of errors.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
    no_third_party: Annotated[
        bool,
        typer.Option("--no-third-party", is_eager=True, callback=_no_third_party, help="Switch all plugins off."),
    ] = False,
    disable: Annotated[
        list[str] | None,
        typer.Option(
            "--disable",
            metavar="DIST",
            is_eager=True,
            callback=_disable,
            help="Switch one distribution off (repeatable).",
        ),
    ] = None,
) -> None:
    """The benchmark suite for real-time reinforcement learning: the world does not wait while the agent thinks."""


def root_command() -> Any:
    """The whole command line as one command object."""
    app = typer.Typer(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]}, **_PLAIN)
    app.callback()(_root)
    return typer.main.get_command(app)


def run_command_line(args: Sequence[str]) -> int:
    """Run one command line; the exit code. Every error ends here as words on the error stream."""
    output.invocation[:] = args
    try:
        result = root_command().main(args=list(args) or ["--help"], prog_name="rtbench", standalone_mode=False)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return explain(error)
    return result if type(result) is int else 0


def explain(error: Exception) -> int:
    """Say on the error stream what went wrong (with --debug also where); the exit code."""
    if output.debugging():
        output.note("".join(traceback.format_exception(error)).rstrip())
        if isinstance(error, plugins.BrokenPlugin):
            output.note(f"\nthe plugin's own traceback:\n{error.detail.rstrip()}\n")
    if isinstance(error, RtbenchError):
        output.fail(error)
        return error.exit_code
    if type(error).__name__ == "Abort":  # a prompt that was answered with Ctrl-C or refused
        output.note("stopped")
        return 130
    if hasattr(error, "format_message"):
        return _explain_usage(error)
    reason = _plain_os_error(error) if isinstance(error, OSError) else ""
    if reason:
        output.fail(RtbenchError(reason, hint="mend that and run the same command again; what was finished is kept"))
        return 1
    output.fail(
        RtbenchError(
            f"unexpected {type(error).__name__}: {error}",
            hint="this is a bug or an unforeseen input; rtbench --debug … shows the traceback",
        )
    )
    return 1


def _plain_os_error(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk is full{where}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"no permission{where}"
    if error.errno == errno.EROFS:
        return f"the file system is read-only{where}"
    return ""


def _explain_usage(error: Any) -> int:
    """A mistake on the command line, as click tells it, with the nearest option and the next step."""
    code = int(getattr(error, "exit_code", 2))
    message = str(error.format_message())
    ctx = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        output.note(message)
        return code
    path = ctx.command_path if ctx is not None else "rtbench"
    given = str(getattr(error, "option_name", "") or "") if type(error).__name__ == "NoSuchOption" else ""
    allowed: list[str] = []
    hint = f"{path} --help"
    if given and ctx is not None:
        message = f"unknown option {given}"
        allowed = sorted({name for option in ctx.command.get_params(ctx) for name in option.opts if name[:1] == "-"})
        top = ctx.find_root()
        if top is not ctx and given in {name for option in top.command.params for name in option.opts}:
            hint = f"{given} comes before the command: rtbench {given} {path.removeprefix('rtbench ')} …"
    output.fail(SuiteError(message, place=path, given=given, allowed=allowed, hint=hint))
    return code


def main() -> NoReturn:
    """The entry point of the `rtbench` script."""
    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
