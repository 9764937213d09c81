"""Finding parts by name through entry points, lazily; telling everyone something through pluggy hooks, guarded.

Looking one thing up imports that thing only. A plugin that fails to import is kept as *broken*, with its traceback, and
stops nothing else. `RTBENCH_DISABLE_PLUGINS=1` switches every third-party distribution off,
`RTBENCH_DISABLE_PLUGINS=name,name` only those.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import traceback
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rtbench import contents
from rtbench.errors import PluginError, SuiteError
from rtbench.parts import Part, PartUse, coerce_params, params_data

KINDS = (
    "environments",
    "architectures",
    "schedulers",
    "learners",
    "backends",
    "executors",
    "suites",
    "default_policies",
    "commands",
)
HOOK_GROUP = "rtbench"
DISABLE_VARIABLE = "RTBENCH_DISABLE_PLUGINS"
CORE = "rtbench"


@dataclass(frozen=True)
class Entry:
    """One registration: which distribution offers which object under which name.

    `problem` is set where the registration itself is wrong (a name taken twice, a bare name from outside the core):
    such a part is listed and named, any use of it is an error, and every other part works.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    problem: str = ""
    problem_hint: str = ""

    @property
    def third_party(self) -> bool:
        """True for everything that did not come with the core."""
        return self.distribution != CORE

    def check(self) -> None:
        """PluginError if the registration itself is wrong; imports nothing."""
        if self.problem:
            raise PluginError(self.problem, place=self.target, hint=self.problem_hint)

    def load(self) -> Any:
        """The object itself; PluginError with the traceback as its `detail` if importing it fails."""
        self.check()
        try:
            return metadata.EntryPoint(self.name, self.target, f"rtbench.{self.kind}").load()
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything; it is named, not hidden
            raise BrokenPlugin(self, error) from error


class BrokenPlugin(PluginError):
    """A plugin's object cannot be imported; `detail` holds its own traceback."""

    def __init__(self, entry: Entry, error: BaseException) -> None:
        super().__init__(
            f"{entry.kind} {entry.name!r} of distribution {entry.distribution} {entry.version} cannot be imported: "
            f"{type(error).__name__}: {error}",
            place=entry.target,
            hint=f"mend or uninstall {entry.distribution}, or switch it off: {DISABLE_VARIABLE}={entry.distribution}"
            if entry.third_party
            else f"install {CORE} again: a part of its own is missing or damaged",
        )
        self.detail = "".join(traceback.format_exception(error))


def _disabled() -> tuple[bool, frozenset[str]]:
    value = os.environ.get(DISABLE_VARIABLE, "").strip()
    if value.lower() in {"1", "all", "true"}:
        return True, frozenset()
    return False, frozenset(_normal(name) for name in value.split(",") if name.strip())


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


@functools.lru_cache(maxsize=4)
def _scan(path_key: tuple[str, ...], all_off: bool, off: frozenset[str]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = defaultdict(list)
    wanted = {f"rtbench.{kind}" for kind in KINDS} | {HOOK_GROUP}
    seen: set[str] = set()
    for distribution in metadata.distributions():
        entry_points = [point for point in distribution.entry_points if point.group in wanted]
        if not entry_points:
            continue
        name = _normal(distribution.metadata["Name"] or "")
        if name in seen:  # the same distribution twice on sys.path: the first one wins, as for imports
            continue
        seen.add(name)
        if name != CORE and (all_off or name in off):
            continue
        for point in entry_points:
            kind = point.group.removeprefix("rtbench.") if point.group != HOOK_GROUP else HOOK_GROUP
            groups[kind].append(Entry(kind, point.name, point.value, name, distribution.version))
    for entries in groups.values():
        entries.sort(key=lambda entry: (entry.name, entry.distribution, entry.target))
    return dict(groups)


def registrations(kind: str) -> list[Entry]:
    """Every registration of a kind, two of one name included, sorted by name; imports none of them."""
    import sys

    return list(_scan(tuple(sys.path), *_disabled()).get(kind, []))


def entries(kind: str) -> dict[str, Entry]:
    """The registrations of a kind by name, importing none of them.

    A name that two distributions register, or a bare name from outside the core, carries a `problem`: using that name
    is an error which says who registered it, listing and using the others goes on.
    """
    found: dict[str, Entry] = {}
    for entry in registrations(kind):
        first = found.get(entry.name)
        found[entry.name] = _conflict(first, entry) if first else _with_namespace_checked(entry)
    return found


def _conflict(first: Entry, second: Entry) -> Entry:
    by = [f"by {one.distribution} {one.version} ({one.target})" for one in (first, second)]
    stranger = second if second.third_party else first
    return dataclasses.replace(
        first,
        problem=f"{first.kind} {first.name!r} is registered twice: {by[0]} and {by[1]}",
        problem_hint=f"uninstall one, or switch one off: {DISABLE_VARIABLE}={stranger.distribution}",
    )


def _with_namespace_checked(entry: Entry) -> Entry:
    if entry.kind in {HOOK_GROUP, "commands"} or not entry.third_party or "/" in entry.name:
        return entry
    return dataclasses.replace(
        entry,
        problem=f"{entry.kind} {entry.name!r} of {entry.distribution} has no namespace: bare names are the core's",
        problem_hint=f"register it as {entry.distribution.removeprefix('rtbench-')}/{entry.name}",
    )


def entry(kind: str, name: str, *, place: str = "") -> Entry:
    """One registration by name; SuiteError with the nearest name if there is none."""
    found = entries(kind)
    if name not in found:
        raise SuiteError(
            f"unknown {singular(kind)} {name!r}",
            place=place,
            given=name,
            allowed=sorted(found),
            hint=f"rtbench list {kind}; what a plugin brings is known once its distribution is installed",
        )
    found[name].check()
    return found[name]


def singular(kind: str) -> str:
    """'default_policies' -> 'default policy'."""
    return (kind.removesuffix("ies") + "y" if kind.endswith("ies") else kind.removesuffix("s")).replace("_", " ")


def part_class(kind: str, name: str, *, place: str = "") -> type[Part]:
    """The class a name stands for, checked to be a part of that kind."""
    found = entry(kind, name, place=place)
    loaded = found.load()
    if not (isinstance(loaded, type) and issubclass(loaded, Part) and loaded.kind == kind):
        raise PluginError(
            f"{kind} {name!r} of {found.distribution} is {loaded!r}, not a subclass of rtbench.parts for that kind",
            place=found.target,
        )
    return loaded


def verify(found: Entry) -> None:
    """Load one registration and check that it is what its kind asks for; PluginError if not."""
    entries(found.kind)[found.name].check()
    if found.kind == HOOK_GROUP:
        import pluggy

        from rtbench import hookspecs

        manager = pluggy.PluginManager(HOOK_GROUP)
        manager.add_hookspecs(hookspecs)
        _register(manager, found.load(), found.name, found.distribution)
    elif found.kind in {"commands", "suites"}:
        found.load()
    else:
        _verify_part(part_class(found.kind, found.name), found)


def _verify_part(part: type[Part], found: Entry) -> None:
    """PluginError if a part's class lacks what its kind must have, or its `Params` are not frozen."""
    lacking = sorted(getattr(part, "__abstractmethods__", ()))
    if lacking:
        raise PluginError(f"{found.kind} {found.name!r} has no {' and no '.join(lacking)}", place=found.target)
    parameters = getattr(part.Params, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise PluginError(
            f"the Params of {found.kind} {found.name!r} must be a frozen dataclass",
            place=found.target,
            hint="write @dataclass(frozen=True) above it",
        )


def use(
    kind: str,
    name: str,
    given: dict[str, Any] | None = None,
    *,
    label: str = "",
    place: str = "",
    folder: Path | None = None,
) -> PartUse:
    """A part as a cell uses it: name looked up, parameters coerced, defaults filled in, files named by their content.

    Relative paths of files are meant from `folder` (default: the current one).
    """
    part = part_class(kind, name, place=place)
    where = f"{place or kind} ({name})"
    data = params_data(coerce_params(part.Params, given or {}, place=where))
    files: dict[str, str] = {}
    for key in file_params(part.Params):
        if data.get(key) and not contents.is_named(data[key]):
            data[key], files[key] = contents.name_content(data[key], folder or Path(), place=f"{where}, {key}")
    return PartUse(kind, name, part.revision, data, label, files)


def file_params(params_type: type[Any]) -> list[str]:
    """The parameters that are files (`rtbench.contents`)."""
    return [field.name for field in dataclasses.fields(params_type) if field.metadata.get("file")]


def build(part_use: PartUse) -> Any:
    """The part itself, ready for `make`; its files are checked to be what the cell names.

    Raises SuiteError naming the extra if something it needs is not installed.
    """
    part = part_class(part_use.kind, part_use.name)
    missing = missing_requirement(part)
    if missing:
        raise SuiteError(missing, place=f"{singular(part_use.kind)} {part_use.name!r}")
    params = coerce_params(part.Params, part_use.params, place=part_use.name)
    named = {key: getattr(params, key) for key in file_params(part.Params) if getattr(params, key)}
    for key, content in named.items():
        contents.check_content(content, part_use.files.get(key, ""), place=f"{part_use.name}, {key}")
    return part(params, part_use.files) if named else part(params)


def missing_requirement(part: type[Part]) -> str | None:
    """The reason a part cannot be used here for want of a package, or None."""
    for module in part.requires:
        if importlib.util.find_spec(module) is None:
            return f"the package {module!r} is not installed; install it with: pip install '{part.extra or module}'"
    return None


def hooks(extra_plugins: Iterable[tuple[str, Any]] = ()) -> tuple[Any, list[BrokenPlugin]]:
    """A pluggy manager with every hook plugin, loaded in sorted order, and the ones that broke.

    pluggy's own loader stops at the first broken plugin; this loop does not. A misspelt hook is a PluginError, as is a
    name registered twice.
    """
    import pluggy

    from rtbench import hookspecs

    manager = pluggy.PluginManager(HOOK_GROUP)
    manager.add_hookspecs(hookspecs)
    broken: list[BrokenPlugin] = []
    for name, found in sorted(entries(HOOK_GROUP).items()):
        try:
            plugin = found.load()
        except BrokenPlugin as error:
            broken.append(error)
            continue
        _register(manager, plugin, name, found.distribution)
    for name, plugin in extra_plugins:
        _register(manager, plugin, name, name)
    return manager, broken


def _register(manager: Any, plugin: Any, name: str, distribution: str) -> None:
    import pluggy

    try:
        manager.register(plugin, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"hook plugin {name!r} of {distribution} does not fit: {error}",
            hint="rtbench describe hooks NAME lists them",
        ) from None


def sources(part_use: PartUse) -> dict[str, str]:
    """Where a part comes from: distribution, version and a digest of its source (for *stale*)."""
    found = entry(part_use.kind, part_use.name)
    digest = source_digest(found.target.split(":")[0], core=found.distribution == CORE)
    return {"distribution": found.distribution, "version": found.version, "source_digest": digest}


@functools.cache
def source_digest(module: str, *, core: bool = False) -> str:
    """A digest of a module and its neighbours in the same package, among which a part's real work may lie.

    A part of the core also rests on the modules directly in `rtbench` (the graph, its running, seeds).
    """
    import hashlib

    spec = importlib.util.find_spec(module)
    origin = Path(spec.origin) if spec and spec.origin else None
    if origin is None or not origin.is_file():
        return ""
    files = {origin}
    if "." in module:  # a module of its own has the whole of site-packages for neighbours
        files |= set(origin.parent.glob("*.py"))
    if core:
        files |= set(Path(__file__).parent.glob("*.py"))
    content = hashlib.sha256()
    for path in sorted(files, key=lambda path: (path.parent.name, path.name)):
        content.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return content.hexdigest()[:16]


def call_each(caller: Any, given: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """Call a hook's implementations one by one: what they answered, and a line for each that failed.

    pluggy stops at the first exception; here one plugin's mistake neither silences another nor stops a run.
    """
    answers: list[Any] = []
    problems: list[str] = []
    for implementation in sorted(caller.get_hookimpls(), key=lambda found: str(found.plugin_name)):
        try:
            answer = implementation.function(**{name: given[name] for name in implementation.argnames})
        except Exception as error:  # a stranger's hook may raise anything; it is named and passed over
            name = type(error).__name__
            problems.append(f"plugin {implementation.plugin_name}: {caller.name} failed: {name}: {error}")
            continue
        if answer is not None:
            answers.append(answer)
    return answers, problems
