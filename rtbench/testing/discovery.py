"""Which classes check an installed distribution: those it brings, and for its other parts the plain one of their kind.

A distribution brings classes by an entry point in the group `rtbench.conformance`: a module that holds them, or a
function that answers with a list of them.
"""

from __future__ import annotations

import dataclasses
import re
from importlib import metadata
from typing import Any

from rtbench import plugins
from rtbench.errors import PluginError
from rtbench.testing.architectures import ArchitectureConformance
from rtbench.testing.backends import BackendConformance
from rtbench.testing.base import Conformance, RegisteredConformance, classes_in
from rtbench.testing.commands import CommandConformance
from rtbench.testing.default_policies import DefaultPolicyConformance
from rtbench.testing.environments import EnvironmentConformance
from rtbench.testing.executors import ExecutorConformance
from rtbench.testing.hooks import HookConformance
from rtbench.testing.learners import LearnerConformance
from rtbench.testing.schedulers import SchedulerConformance
from rtbench.testing.suites import SuiteConformance

GROUP = "rtbench.conformance"
OF_KIND: dict[str, type[RegisteredConformance]] = {
    each.kind: each
    for each in (
        *(EnvironmentConformance, ArchitectureConformance, SchedulerConformance, LearnerConformance),
        *(BackendConformance, ExecutorConformance, SuiteConformance, DefaultPolicyConformance),
        *(CommandConformance, HookConformance),
    )
}
"""The class that checks a kind."""


def plain_class(kind: str, name: str, **given: Any) -> type[RegisteredConformance]:
    """A class that checks one registered name, with class attributes as given (`params`, say)."""
    words = re.sub(r"[^0-9a-zA-Z]+", " ", name).title().replace(" ", "")
    return type(f"Test{words}", (OF_KIND[kind],), {"name": name, **given})


def own_classes(distribution: str) -> list[type[Conformance]]:
    """The classes a distribution brings; PluginError if they cannot be imported."""
    found: list[type[Conformance]] = []
    for point in metadata.distribution(distribution).entry_points:
        if point.group != GROUP:
            continue
        try:
            loaded = point.load()
            found += loaded() if callable(loaded) else classes_in(loaded)
        except Exception as error:  # a stranger's module may raise anything; it is named, not hidden
            raise PluginError(
                f"the conformance classes of {distribution} cannot be imported: {type(error).__name__}: {error}",
                place=point.value,
            ) from error
    return found


def classes_for(entry: plugins.Entry, own: list[type[Conformance]]) -> list[type[Conformance]]:
    """The classes among `own` that check a registration, else the plain one of its kind."""
    mine = [each for each in own if (getattr(each, "kind", ""), getattr(each, "name", "")) == (entry.kind, entry.name)]
    return mine or [plain_class(entry.kind, entry.name)]


def needed_parameters(entry: plugins.Entry) -> list[str]:
    """The parameters without a default that a part cannot be checked without."""
    if entry.kind in ("suites", "commands", plugins.HOOK_GROUP):
        return []
    fields = dataclasses.fields(plugins.part_class(entry.kind, entry.name).Params)
    absent = dataclasses.MISSING
    return [field.name for field in fields if field.default is absent and field.default_factory is absent]
