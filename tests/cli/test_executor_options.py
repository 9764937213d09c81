"""`rtbench run --executor NAME`: its parameters are options, and so they reach it; `status` asks where its runs are."""

from __future__ import annotations

import json

import pytest
from helpers.command_line import printed, printed_json
from helpers.distribution import write_distribution
from helpers.executors_common import suite

from rtbench.cli.main import run_command_line

OFFICE = """
import dataclasses, json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from rtbench.executors.handed import Handed, write
from rtbench.parts import Executor, param
from rtbench.results.store import FolderStore

@dataclass(frozen=True)
class Params:
    jobs: int = param(3, doc="at a time")
    retries: int = param(5, doc="after failures")
    account: str = param("", doc="who pays")
    array_size: int = param(10, unit="tasks", doc="in an array")
    share: float = param(0.5, doc="of a GPU")
    exclusive: bool = param(True, doc="nobody beside")
    kind: Literal["big", "small"] = param("small", doc="which nodes")
    floor: int | None = param(None, doc="which floor")

class Office(Executor):
    "Hands every run on, and forgets the second one."
    Params = Params
    def make(self, state, tell):
        self.state, self.tell = Path(state), tell
        return self
    def run(self, jobs):
        self.state.mkdir(exist_ok=True)
        (self.state / "given.json").write_text(json.dumps(dataclasses.asdict(self.params)))
        write(FolderStore(self.state), Handed("office/office", {str(i): job.run_ids for i, job in enumerate(jobs)}))
        self.tell({"event": "note", "text": f"{len(jobs)} handed on"})
        return False
    def queued(self, tasks):
        return {task: ("queued", "closed today") for task in tasks if task != "1"}
"""


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """The arguments of a run in the executor `office/office`, and what it was made with."""
    points = "[rtbench.executors]\noffice/office = office:Office\n"
    monkeypatch.syspath_prepend(str(write_distribution(tmp_path / "site", "office", points, {"office.py": OFFICE})))
    state = tmp_path / "state"
    common = ["run", str(suite(tmp_path, seeds=2)), "--state", str(state), "--results", str(tmp_path), "--yes"]
    return common, lambda: json.loads((state / "given.json").read_text())


def test_every_parameter_is_an_option_of_its_type(tried, capsys):
    common, given = tried
    flags = ["--account", "123", "--array-size", "7", "--share", "1", "--no-exclusive", "--kind", "big", "--floor", "2"]
    out = printed(capsys, *common, "--jobs", "2", *flags, "--executor", "office")
    assert "next: rtbench status" in out
    expected = {"jobs": 2, "retries": 0, "account": "123", "array_size": 7, "share": 1.0}
    assert given() == expected | {"exclusive": False, "kind": "big", "floor": 2}


def test_what_is_not_given_is_the_parts_own_and_set_is_the_same(tried, capsys):
    common, given = tried
    printed(capsys, *common, "--executor=office/office", "--set", "array_size=8", "--set", 'account="9"')
    assert (given()["array_size"], given()["account"], given()["exclusive"]) == (8, "9", True)


def test_help_shows_them_with_unit_and_default(tried, capsys):
    out = printed(capsys, "run", "--executor", "office", "--help")
    assert "--array-size" in out
    assert "in an array (tasks) [default: 10]" in " ".join(out.split())
    assert "--exclusive / --no-exclusive" in " ".join(out.split())
    assert "--retries" not in out
    assert "--array-size" not in printed(capsys, "run", "--help")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--executor", "office", "--array-sice", "7"], "unknown option --array-sice"),
        (["--array-size", "7"], "unknown option --array-size"),
        (["--executor", "office", "--kind", "huge"], "parameter 'kind' cannot be 'huge'"),
        (["--executor", "office", "--account", "1", "--set", "account=2"], "given twice"),
        (["--executor", "offise"], "unknown executor 'offise'"),
        (["--set", "account=2"], "unknown parameter 'account'"),
    ],
)
def test_mistakes_are_usage_errors(tried, capsys, arguments, words):
    common, _ = tried
    assert run_command_line([*common, *arguments]) == 2
    assert words in capsys.readouterr().err


def test_status_says_where_handed_on_runs_are(tried, capsys):
    common, _ = tried
    printed(capsys, *common, "--executor", "office")
    state = common[3]
    out = printed(capsys, "status", common[1], "--state", state)
    assert "office: 1 queued (closed today)" in out
    assert "office: 1 gone (not in the queue any more" in out
    told = printed_json(capsys, "status", common[1], "--state", state)["handed_on"]
    assert sorted((found["task"], found["where"]) for found in told) == [("0", "queued"), ("1", "gone")]
