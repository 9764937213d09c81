"""Files as parameters: identity is the content, the path is beside it, a changed file is an error."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from helpers.cells import small_cell

from rtbench import plugins
from rtbench.cell import cell_from_json, cell_to_json
from rtbench.contents import check_content, is_named, name_content
from rtbench.errors import SuiteError
from rtbench.suites.expand import expand
from rtbench.suites.identity import cell_id
from rtbench.suites.model import load_suite

READER = '''
from dataclasses import dataclass

from rtbench.parts import Environment, param


@dataclass(frozen=True)
class Params:
    track: str = param("", file=True, doc="a file, or none")
    laps: int = param(1, unit="laps", doc="how often")


class Race(Environment):
    """Reads a file."""

    Params = Params

    def make(self, render_mode=None):
        raise AssertionError("not built here")

    def spec(self):
        raise AssertionError("not built here")
'''


@pytest.fixture
def race(distributions, tmp_path):
    """An environment with a file as a parameter; the file."""
    distributions.add("acme", {"rtbench.environments": {"acme/race": "acme_race:Race"}}, {"acme_race": READER})
    track = tmp_path / "track.txt"
    track.write_text("left, right\n")
    return track


def named(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def test_a_path_becomes_its_content(race) -> None:
    used = plugins.use("environments", "acme/race", {"track": str(race)})
    assert used.params == {"track": named(b"left, right\n"), "laps": 1}
    assert used.files == {"track": str(race)}
    assert used.title == "acme/race(laps=1, track=track.txt)"
    assert plugins.build(used).files == {"track": str(race)}


def test_where_it_lies_is_not_identity(race, tmp_path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "copy.txt").write_bytes(race.read_bytes())
    one = plugins.use("environments", "acme/race", {"track": str(race)})
    two = plugins.use("environments", "acme/race", {"track": "copy.txt"}, folder=other)
    assert one == two
    cells = [replace(small_cell(), environment=part) for part in (one, two)]
    assert cell_id(cells[0]) == cell_id(cells[1])
    race.write_text("left, left\n")
    changed = plugins.use("environments", "acme/race", {"track": str(race)})
    assert cell_id(replace(cells[0], environment=changed)) != cell_id(cells[0])


def test_a_changed_file_is_an_error_with_both_digests(race) -> None:
    used = plugins.use("environments", "acme/race", {"track": str(race)})
    before = used.params["track"]
    race.write_text("other\n")
    with pytest.raises(SuiteError, match="has changed") as caught:
        plugins.build(used)
    assert before[7:19] in str(caught.value)
    assert named(b"other\n")[7:19] in str(caught.value)
    race.write_text("left, right\n")
    plugins.build(used)


def test_a_cell_keeps_where_its_files_lie(race) -> None:
    used = plugins.use("environments", "acme/race", {"track": str(race)})
    cell = replace(small_cell(), environment=used)
    again = cell_from_json(cell_to_json(cell))
    assert again == cell
    assert again.environment.files == {"track": str(race)}


def test_no_file_and_a_file_from_a_row(race) -> None:
    assert plugins.build(plugins.use("environments", "acme/race")).files == {}
    from_row = plugins.use("environments", "acme/race", {"track": named(b"left, right\n")})
    assert from_row == plugins.use("environments", "acme/race", {"track": str(race)})
    assert from_row.title == f"acme/race(laps=1, track={named(b'left, right' + bytes([10]))[:19]})"
    with pytest.raises(SuiteError, match="not known here"):
        plugins.build(from_row)


def test_a_missing_file_is_named_with_its_place(race, tmp_path) -> None:
    with pytest.raises(SuiteError, match=r"no such file: .*gone\.txt") as caught:
        plugins.use("environments", "acme/race", {"track": "gone.txt"}, folder=tmp_path, place="my.toml, line 3")
    assert "my.toml, line 3" in caught.value.place
    assert "track" in caught.value.place


SUITE = """
schema_version = 1
[suite]
name = "races"
title = "Races"
[budget]
steps = 10
eval_every = 10
[seeds]
count = 1
[axes]
environment = {{ use = "acme/race", track = "{track}" }}
architecture = {{ use = "mlp" }}
interaction = {{ execution = "instant" }}
learner = {{ use = "sac" }}
"""


def test_a_suite_means_paths_from_its_own_folder(race, tmp_path, monkeypatch) -> None:
    suite = tmp_path / "races.toml"
    suite.write_text(SUITE.format(track="track.txt"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (cell,) = expand(load_suite(str(suite)), support=False)
    assert cell.cell.environment.files == {"track": str(race)}


# ---- functions -------------------------------------------------------------------------------------------------------


def test_a_function_is_its_name_and_its_modules_source(distributions, tmp_path) -> None:
    source = "raise RuntimeError('looking must not import')\n"
    distributions.add("acme", {}, {"acme_policy": source})
    text = "python:acme_policy:act"
    name, where = name_content(text, tmp_path)
    assert name == f"{text}#{named(source.encode())}"
    assert where == text
    assert is_named(name)
    check_content(name, where)
    (distributions.folder / "acme_policy.py").write_text("x = 1")
    assert name_content(text, tmp_path)[0] == f"{text}#{named(b'x = 1')}"
    with pytest.raises(SuiteError, match="has changed"):
        check_content(name, where)


@pytest.mark.parametrize("text", ["python:", "python:acme_policy", "python:acme_policy:act()", "python:a b:c"])
def test_what_is_no_function(text, tmp_path) -> None:
    with pytest.raises(SuiteError, match="not a function"):
        name_content(text, tmp_path)


@pytest.mark.parametrize("module", ["acme_nowhere", "acme_nowhere.inner"])
def test_a_module_that_is_not_there(module, tmp_path) -> None:
    with pytest.raises(SuiteError, match=r"no Python module|cannot be looked up"):
        name_content(f"python:{module}:act", tmp_path)
