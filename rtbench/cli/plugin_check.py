"""`rtbench plugins check`: a distribution's conformance as data, and as a table with what failed and why."""

from __future__ import annotations

from typing import Any

import rtbench
from rtbench import plugins as registry
from rtbench.cli import output
from rtbench.cli.facts import HOOKS
from rtbench.cli.parts import BROKEN, show_broken
from rtbench.errors import PluginError
from rtbench.testing.base import Conformance
from rtbench.testing.discovery import GROUP, classes_for, needed_parameters, own_classes
from rtbench.testing.report import Check, Checked, counts, run

REPORT_VERSION = 1


def report(loaded: dict[str, Any], only: str | None = None) -> dict[str, Any]:
    """What became of every check of a distribution: counts in all and by part, every check by name.

    `loaded` is the distribution as `plugins list` has it; `only` one of its parts as kind/name, PluginError if it has
    none of that name. Parts that cannot be loaded are `broken` and not checked.
    """
    own = own_classes(loaded["distribution"])
    parts = [_checked(part, own, loaded["distribution"]) for part in _wanted(loaded["parts"], only)]
    used = {id(each) for part in parts for each in part.pop("classes")}
    if only is None:  # inference times and whatever else it checks beside its parts
        parts += [_result(run(each)) for each in own if id(each) not in used and not _of_a_part(each)]
    return {
        "report_version": REPORT_VERSION,
        "rtbench": rtbench.__version__,
        **{key: loaded[key] for key in ("distribution", "version", "third_party")},
        "counts": _sum([part["counts"] for part in parts]),
        "parts": parts,
    }


def sound(found: dict[str, Any]) -> bool:
    """Whether nothing is broken and no check failed."""
    return not any(part["status"] in (BROKEN, "failed") for part in found["parts"])


def show(found: dict[str, Any]) -> None:
    """The table of parts, then everything that failed, then the sum."""
    output.line(f"{found['distribution']} {found['version']} under rtbench {found['rtbench']}\n")
    shown = {"passed": "passed", "failed": "failed", "expected failure": "expected to fail", "not applicable": "n/a"}
    rows = [
        [part["kind"], part["name"], part["status"].replace(BROKEN, BROKEN.upper())]
        + [part["counts"][outcome] or "" for outcome in shown]
        for part in found["parts"]
    ]
    output.table(["kind", "name", "status", *shown.values()], rows)
    for part in found["parts"]:
        show_broken(part)
        for case in part["cases"]:
            for check in case["checks"]:
                _show_check(case["what"], check)
    total = found["counts"]
    words = [f"{total[outcome]} {outcome}" for outcome in shown if total[outcome]]
    output.line(f"\n{sum(total.values())} checks: {', '.join(words) or 'none'}")


def _show_check(what: str, check: dict[str, Any]) -> None:
    if check["outcome"] != "failed":
        return
    output.line(f"\nFAILED {what} {check['check']}")
    output.line(f"  promise: {check['about']}")
    for text in (check["detail"] if output.debugging() and check["detail"] else check["message"]).splitlines():
        output.line(f"  {text}")


def _wanted(parts: list[dict[str, Any]], only: str | None) -> list[dict[str, Any]]:
    if only is None:
        return parts
    names = {f"{part['kind']}/{part['name']}": part for part in parts}
    if only not in names:
        raise PluginError(f"it has no part {only!r}", place="--part", given=only, allowed=sorted(names))
    return [names[only]]


def _checked(part: dict[str, Any], own: list[type[Conformance]], distribution: str) -> dict[str, Any]:
    if part["status"] == BROKEN:
        return {**part, "counts": counts([]), "cases": [], "classes": []}
    kind = registry.HOOK_GROUP if part["kind"] == HOOKS else part["kind"]
    entry = registry.entries(kind)[part["name"]]
    classes = classes_for(entry, own)
    mine = any(each in own for each in classes)
    needed = [] if mine else needed_parameters(entry)
    done = [_unchecked(entry, needed)] if needed else [run(each) for each in classes]
    status = "failed" if any(each.failed for each in done) else "ok"
    if all(check.name == "is_installed" for each in done for check in each.checks):
        status = "not installed"
    cases = [each.data() for each in done]
    return {**part, "status": status, "counts": counts(done), "cases": cases, "classes": classes}


def _unchecked(entry: registry.Entry, needed: list[str]) -> Checked:
    message = (
        f"it cannot be checked without {', '.join(needed)}: bring a conformance class that gives `params`, in a module "
        f"registered in the group {GROUP!r}"
    )
    return Checked(f"{entry.kind}/{entry.name}", (Check("parameters", "It can be checked.", "failed", message),))


def _of_a_part(found: type[Conformance]) -> bool:
    return bool(getattr(found, "kind", ""))


def _result(done: Checked) -> dict[str, Any]:
    kind, _, name = done.label.partition("/")
    status = "failed" if done.failed else "ok"
    plain = {"kind": kind, "name": name, "target": "", "error": "", "hint": "", "traceback": ""}
    return {**plain, "status": status, "counts": done.counts, "cases": [done.data()]}


def _sum(found: list[dict[str, int]]) -> dict[str, int]:
    return {outcome: sum(each[outcome] for each in found) for outcome in counts([])}
