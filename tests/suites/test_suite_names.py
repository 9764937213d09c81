"""A suite's short name, without its namespace, stands for it where no other suite's ends so."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command_line import printed_json
from helpers.samples import install_parts, write_suite

from rtbench.errors import SuiteError
from rtbench.suites.model import find_suite, load_suite

MODULE = """
from pathlib import Path

def locate(name):
    return Path(__file__).parent / "shipped" / f"{name.replace('/', '-')}.toml"
"""


@pytest.fixture
def shipped(distributions, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Suites `mine/quick`, `mine/twice` and `yours/twice` of a plugin."""
    install_parts(distributions.folder / "parts", monkeypatch)
    names = ("mine/quick", "mine/twice", "yours/twice")
    folder = distributions.folder / "shipped"
    for name in names:
        written = Path(write_suite(folder, ('name = "tiny"', f'name = "{name}"')))
        written.rename(folder / f"{name.replace('/', '-')}.toml")
    distributions.add("stranger", {"rtbench.suites": dict.fromkeys(names, "offering:locate")}, {"offering": MODULE})
    return folder


def test_the_one_that_ends_so(shipped: Path) -> None:
    assert load_suite("quick").name == "mine/quick"
    assert find_suite("quick") == find_suite("mine/quick") == shipped / "mine-quick.toml"


def test_a_whole_name_comes_first(shipped: Path, distributions) -> None:
    distributions.add("another", {"rtbench.suites": {"theirs/mine/quick": "offering:locate"}})
    assert find_suite("mine/quick") == shipped / "mine-quick.toml"


def test_of_several_none_is_guessed(shipped: Path) -> None:
    with pytest.raises(SuiteError) as told:
        load_suite("twice")
    assert told.value.allowed == ("mine/twice", "yours/twice")
    with pytest.raises(SuiteError, match="unknown suite 'uick'"):
        load_suite("uick")


def test_commands_take_it(shipped: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert printed_json(capsys, "describe", "suite", "quick")["name"] == "mine/quick"
    planned = printed_json(capsys, "plan", "quick", "--profile", "smoke", "--state", str(tmp_path))
    assert planned["suite"] == "mine/quick"


def test_rows_of_a_suite_that_is_not_installed_are_not_anothers(shipped: Path) -> None:
    """Rows name suites whole; only people are given the short form."""
    with pytest.raises(SuiteError):
        find_suite("quick", whole=True)
