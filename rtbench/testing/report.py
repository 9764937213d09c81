"""Running conformance classes without pytest, and what came of it: counts, and every check by name, as plain data."""

from __future__ import annotations

import inspect
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rtbench import plugins
from rtbench.testing.base import Conformance, NotApplicable

Outcome = Literal["passed", "failed", "expected failure", "not applicable"]
OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "expected failure", "not applicable")


@dataclass(frozen=True)
class Check:
    """One check: what it promises, what came of it, and why; `detail` is the traceback of one that failed."""

    name: str
    about: str
    outcome: Outcome
    message: str = ""
    detail: str = ""

    def data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        names = ("about", "outcome", "message", "detail")
        return {"check": self.name} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Checked:
    """Everything one class checked."""

    label: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[Check]:
        """The checks that failed, a declared failure that did not fail among them."""
        return [check for check in self.checks if check.outcome == "failed"]

    @property
    def counts(self) -> dict[str, int]:
        """How many checks ended how."""
        found = Counter(check.outcome for check in self.checks)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    def data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"what": self.label, "counts": self.counts, "checks": [check.data() for check in self.checks]}


def counts(checked: Iterable[Checked]) -> dict[str, int]:
    """How many checks of several classes ended how."""
    total: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    for each in checked:
        for outcome, count in each.counts.items():
            total[outcome] += count
    return total


def run(found: type[Conformance]) -> Checked:
    """Every check of a class; none stops the others. A part whose package is missing is one check not applicable."""
    if missing := _missing(found):
        about = "What it needs is installed."
        return Checked(found.label(), (Check("is_installed", about, "not applicable", missing),))
    return Checked(found.label(), tuple(_checked(found, name) for name in found.checks()))


def run_all(classes: Sequence[type[Conformance]]) -> list[Checked]:
    """`run` for each."""
    return [run(each) for each in classes]


def _missing(found: type[Conformance]) -> str | None:
    """The reason a registered part cannot be used here for want of a package, or None."""
    kind, name = getattr(found, "kind", ""), getattr(found, "name", "")
    if kind not in plugins.KINDS or kind in ("suites", "commands"):
        return None
    try:
        return plugins.missing_requirement(plugins.part_class(kind, name))
    except Exception:  # it cannot be loaded: its checks say so, each in its own words
        return None


def _checked(found: type[Conformance], name: str) -> Check:
    check = getattr(found, name)
    about = (inspect.getdoc(check) or "").partition("\n")[0]
    expected = found.expected_failures.get(name)
    outcome, message, detail = _outcome(getattr(check, "__wrapped__", check), found())
    if expected is not None and outcome != "not applicable":  # which may be so on this machine only
        if outcome == "failed":
            return Check(name, about, "expected failure", f"{expected} ({message})")
        return Check(name, about, "failed", f"declared to fail ({expected}), and it does not: remove the declaration")
    return Check(name, about, outcome, message, detail)


def _outcome(check: Any, instance: Conformance) -> tuple[Outcome, str, str]:
    try:
        check(instance)
    except NotApplicable as reason:
        return "not applicable", str(reason), ""
    except AssertionError as error:
        return "failed", str(error), traceback.format_exc()
    except (Exception, SystemExit) as error:  # a stranger's part may raise anything
        return "failed", f"{type(error).__name__}: {error}", traceback.format_exc()
    return "passed", "", ""
