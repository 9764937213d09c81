"""Named checks, declared failures that must fail, checks that do not apply: with pytest and without it, alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rtbench.testing.base import Conformance, NotApplicable, classes_in, once, require
from rtbench.testing.report import counts, run, run_all


class Base(Conformance):
    """Four checks."""

    name = "base"

    def test_holds(self) -> None:
        """It holds."""

    def test_fails(self) -> None:
        """It fails.

        With more to say.
        """
        require(False, "it does not")

    def test_raises(self) -> None:
        """It raises something else."""
        raise ValueError("sunk")

    def test_has_no_meaning(self) -> None:
        """It applies to others."""
        raise NotApplicable("not to this one")


class Declared(Base):
    """The same, of which two are known."""

    name = "declared"
    expected_failures = {"test_fails": "for a reason", "test_raises": "for another"}  # noqa: RUF012


class Wrong(Base):
    """Declared to fail: one that holds, one that does not apply."""

    name = "wrong"
    expected_failures = {"test_holds": "so they say", "test_has_no_meaning": "so they say"}  # noqa: RUF012


class Again(Declared):
    """What a base class declares is withdrawn."""

    name = "again"
    expected_failures = {"test_raises": "for another"}  # noqa: RUF012


def outcomes(found: type[Conformance]) -> dict[str, str]:
    return {check.name: check.outcome for check in run(found).checks}


def test_every_check_has_an_outcome() -> None:
    assert outcomes(Base) == {
        "test_holds": "passed",
        "test_fails": "failed",
        "test_raises": "failed",
        "test_has_no_meaning": "not applicable",
    }
    by_name = {check.name: check for check in run(Base).checks}
    assert by_name["test_fails"].about == "It fails."
    assert by_name["test_fails"].message == "it does not"
    assert by_name["test_raises"].message == "ValueError: sunk"
    assert "require(False" in by_name["test_fails"].detail
    assert by_name["test_has_no_meaning"].message == "not to this one"


def test_declared_failures_must_fail() -> None:
    assert outcomes(Declared)["test_fails"] == outcomes(Declared)["test_raises"] == "expected failure"
    wrong = {check.name: check for check in run(Wrong).checks}
    assert wrong["test_holds"].outcome == "failed"
    assert "remove the declaration" in wrong["test_holds"].message
    assert wrong["test_has_no_meaning"].outcome == "not applicable"
    assert outcomes(Again)["test_fails"] == "failed"
    assert outcomes(Again)["test_raises"] == "expected failure"


def test_only_checks_can_be_declared() -> None:
    with pytest.raises(TypeError, match="test_fials"):
        type("Typo", (Base,), {"expected_failures": {"test_fials": "a typo"}})


def test_counts_add_up() -> None:
    done = run_all([Base, Declared])
    assert done[0].counts == {"passed": 1, "failed": 2, "expected failure": 0, "not applicable": 1}
    assert counts(done) == {"passed": 2, "failed": 2, "expected failure": 2, "not applicable": 2}
    data = done[1].data()
    assert data["what"] == "Declared"
    assert {"check", "about", "outcome", "message", "detail"} == set(data["checks"][0])


def test_classes_without_a_name_are_bases() -> None:
    module = sys.modules[__name__]
    assert [found.__name__ for found in classes_in(module)] == ["Again", "Base", "Declared", "Wrong"]


def test_once_is_once_per_class() -> None:
    class Counting(Base):
        calls: list[str] = []  # noqa: RUF012

        @once
        def costly(self) -> int:
            self.calls.append(type(self).__name__)
            return len(self.calls)

    class Other(Counting):
        pass

    assert [Counting().costly(), Counting().costly(), Other().costly(), Counting().costly()] == [1, 1, 2, 1]


MODULE = """
from testing_kit.test_conformance_base import Again, Base, Declared, Wrong

class TestBase(Base): pass
class TestDeclared(Declared): pass
class TestWrong(Wrong): pass
class TestAgain(Again): pass
"""


def test_pytest_says_the_same(tmp_path: Path) -> None:
    """Under pytest: 4 checks in 4 classes, a failure of each kind where the report has one."""
    (tmp_path / "test_module.py").write_text(MODULE)
    tests = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-c", "/dev/null", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tests), "PATH": ""},
        capture_output=True,
        text=True,
    )
    told = {"passed": "PASSED", "failed": "FAILED", "expected failure": "XFAIL"}
    for found in (Base, Declared, Wrong, Again):
        for check, outcome in outcomes(found).items():
            if outcome in told:
                assert f"{told[outcome]} test_module.py::Test{found.__name__}::{check}" in done.stdout, done.stdout
    total = counts(run_all([Base, Declared, Wrong, Again]))
    assert f"{total['not applicable']} skipped" in done.stdout
