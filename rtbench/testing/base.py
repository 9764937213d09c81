"""What a conformance class is: a part to be checked, named checks as methods, failures that are declared beforehand.

A class of checks runs under pytest (name the subclass `Test…`) and without it (`rtbench.testing.report`), and says the
same. Nothing here needs pytest.
"""

from __future__ import annotations

import functools
import sys
import unittest
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

from rtbench import plugins
from rtbench.errors import RtbenchError
from rtbench.parts import PartUse

S = TypeVar("S")
T = TypeVar("T")
PREFIX = "test_"


class NotApplicable(unittest.SkipTest):
    """A check that has no meaning for this part, with the reason; pytest calls it skipped."""


def require(condition: object, message: str) -> None:
    """AssertionError with the message unless the condition holds (also under `python -O`)."""
    if not condition:
        raise AssertionError(message)


def refused(call: Callable[[], Any], message: str) -> RtbenchError:
    """The RtbenchError that a call raises; AssertionError with the message if it raises none."""
    try:
        call()
    except RtbenchError as error:
        return error
    raise AssertionError(message)


class Conformance:
    """Base of all conformance classes: every method `test_…` is a check, its docstring says what it promises.

    `expected_failures`: check -> why it cannot hold here. A declared failure must fail: once it holds, the declaration
    is an error, under pytest (a strict xfail) as in a report. One that does not apply here (for want of a cartridge,
    say) stays so. A check that is not there is a TypeError.
    """

    expected_failures: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        own = vars(cls).get("expected_failures", {})
        unknown = sorted(set(own) - set(cls.checks()))
        if unknown:
            raise TypeError(f"{cls.__name__} expects {unknown[0]} to fail, but has no such check: {cls.checks()}")
        for name in cls.checks() if "expected_failures" in vars(cls) else ():
            check = getattr(cls, name)
            if name in own:
                setattr(cls, name, _expected(check, own[name]))
            elif hasattr(check, "__wrapped__"):  # what a base class declared and this one does not
                setattr(cls, name, check.__wrapped__)

    @classmethod
    def checks(cls) -> list[str]:
        """The names of its checks, base classes' first, in the order they are written."""
        return list(
            dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base) if _is_check(base, name))
        )

    @classmethod
    def label(cls) -> str:
        """What it checks, for a report."""
        return cls.__name__


def _is_check(base: type[Any], name: str) -> bool:
    return name.startswith(PREFIX) and callable(vars(base)[name])


def _expected(check: Callable[[Any], None], reason: str) -> Callable[[Any], None]:
    """The check as a method of its own, which pytest knows to be a strict xfail."""
    check = getattr(check, "__wrapped__", check)

    @functools.wraps(check)
    def marked(self: Any) -> None:
        check(self)

    if pytest := sys.modules.get("pytest"):
        marked = pytest.mark.xfail(strict=True, reason=reason)(marked)
    return marked


def once(make: Callable[[S], T]) -> Callable[[S], T]:
    """A method whose answer is kept for the class, however many instances ask: for what is costly and never changed."""
    kept: dict[type[Any], T] = {}

    @functools.wraps(make)
    def answer(self: S) -> T:
        if type(self) not in kept:
            kept[type(self)] = make(self)
        return kept[type(self)]

    return answer


class RegisteredConformance(Conformance):
    """Base for everything that is registered: `kind` is fixed by the class for a kind, `name` is the registered one."""

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""

    @classmethod
    def label(cls) -> str:
        """Its kind and name."""
        return f"{cls.kind}/{cls.name}"

    @property
    def entry(self) -> plugins.Entry:
        """Its registration; AssertionError if there is none."""
        found = plugins.entries(self.kind)
        require(self.name in found, f"nothing is registered as {self.kind} {self.name!r}; installed: {sorted(found)}")
        return found[self.name]

    def test_is_registered(self) -> None:
        """Its name is its own: registered once, with a namespace unless it is the core's."""
        self.entry.check()

    def test_loads_and_is_what_its_kind_asks_for(self) -> None:
        """Importing it works, and gives what the kind is."""
        plugins.verify(self.entry)

    def test_registration_is_light(self) -> None:
        """Importing its module brings no heavy package along: listing parts must cost nothing."""
        from rtbench.testing.imports import brought

        found = brought(self.entry.target.partition(":")[0])
        require(not found, f"importing {self.entry.target} imports {', '.join(sorted(found))}: do it inside functions")

    def test_its_source_is_found(self) -> None:
        """Its code has a digest, by which results are known to be stale once it changes."""
        digest = plugins.source_digest(self.entry.target.partition(":")[0])
        require(digest, f"no source file is found for {self.entry.target}")


class PartConformance(RegisteredConformance):
    """What every part must keep, whatever its kind: registration, parameters, documentation, identity.

    `params` are the parameters it is checked with, as a suite file gives them; write a class for every variant that
    behaves differently.
    """

    params: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def label(cls) -> str:
        """Its kind and name with the parameters given."""
        given = ", ".join(f"{key}={value}" for key, value in cls.params.items())
        return f"{cls.kind}/{cls.name}" + (f"({given})" if given else "")

    @property
    def use(self) -> PartUse:
        """The part as a cell uses it."""
        return plugins.use(self.kind, self.name, dict(self.params), place=self.label())

    @property
    def part_class(self) -> type[Any]:
        """The class."""
        return plugins.part_class(self.kind, self.name)

    def build(self) -> Any:
        """The part, ready for `make`."""
        return plugins.build(self.use)

    def test_has_a_docstring_of_its_own(self) -> None:
        """It says in its own words what it is: `rtbench describe` shows them."""
        require(vars(self.part_class).get("__doc__"), f"{self.part_class.__name__} has no docstring of its own")

    def test_has_a_revision(self) -> None:
        """`revision` is an integer from 1 on."""
        revision = self.part_class.revision
        require(type(revision) is int and revision >= 1, f"revision must be an integer from 1 on, not {revision!r}")

    def test_says_what_it_needs(self) -> None:
        """What may be missing on a user's machine is named, with what to type then."""
        part = self.part_class
        for names in (part.requires, part.preload):
            words = "requires and preload are tuples of module names"
            require(isinstance(names, tuple) and all(isinstance(name, str) for name in names), words)
        require(not part.requires or part.extra, f"it requires {part.requires}: say in `extra` what to install")

    def test_what_is_preloaded_can_be_imported(self) -> None:
        """Modules that are imported before workers are forked are there."""
        import importlib

        for module in self.part_class.preload:
            importlib.import_module(module)

    def test_every_parameter_is_typed(self) -> None:
        """Each field of `Params` has a type that values can be checked against."""
        import dataclasses
        from typing import get_type_hints

        hints = get_type_hints(self.part_class.Params)
        for field in dataclasses.fields(self.part_class.Params):
            require(hints[field.name] is not Any, f"{field.name} is Any: what may a suite file say?")

    def test_every_parameter_is_documented(self) -> None:
        """Each field of `Params` is made with `rtbench.parts.param` and says what it is."""
        import dataclasses

        for field in dataclasses.fields(self.part_class.Params):
            require("unit" in field.metadata, f"{field.name} is not made with rtbench.parts.param")
            require(field.metadata.get("doc"), f"{field.name} has no doc")

    def test_unknown_parameters_are_refused(self) -> None:
        """A name that is no parameter is an error that says which there are."""
        given = {**self.params, "no_such_parameter": 1}
        refused(lambda: plugins.use(self.kind, self.name, given), "a parameter that does not exist is accepted")

    def test_parameters_survive_a_row(self) -> None:
        """Coerced, written as canonical JSON and read again they are the same: identity does not depend on spelling."""
        import json

        from rtbench.parts import canonical_json

        use = self.use
        again = plugins.use(self.kind, self.name, json.loads(canonical_json(dict(use.params))))
        require(again == use, f"read again, {dict(use.params)} become {dict(again.params)}")

    def test_equal_parameters_build_equal_parts(self) -> None:
        """Building it twice gives equal parameters, and leaves those it was given alone."""
        given = dict(self.use.params)
        use = self.use
        one, other = plugins.build(use), plugins.build(use)
        require(one.params == other.params, f"built twice: {one.params} and {other.params}")
        require(dict(use.params) == given, "building it changes the parameters it is given")

    def test_answers_whether_it_supports_a_cell(self) -> None:
        """`supports` answers None or a reason for any cell, and raises nothing."""
        from rtbench.testing.samples import cells_with

        for cell in cells_with(self.use):
            answer = self.part_class.supports(cell)
            words = f"supports must answer None or a reason, not {answer!r}"
            require(answer is None or (isinstance(answer, str) and answer.strip()), words)
            require(answer == self.part_class.supports(cell), "asked twice about the same cell it answers differently")


def classes_in(module: Any) -> Iterator[type[Conformance]]:
    """The conformance classes that a module defines or imports for a name, in order of their names."""
    for _, found in sorted(vars(module).items()):
        if isinstance(found, type) and issubclass(found, Conformance) and is_named(found):
            yield found


def is_named(found: type[Conformance]) -> bool:
    """Whether a class says what it checks, rather than being a base for others."""
    return bool(getattr(found, "name", ""))
