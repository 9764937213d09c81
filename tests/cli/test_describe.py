"""`describe` of parts, hooks, commands, suites and architectures' graphs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from helpers.command_line import printed, printed_json

from rtbench.cli import facts
from rtbench.cli.main import run_command_line

ARCHITECTURES = "rtbench.architectures"
SUITE = """
schema_version = 1
[suite]
name = "tiny/suite"
title = "A small suite"
source = "made up"
revision = 4
[budget]
steps = 20_000
unit = "ticks"
[profiles.smoke]
steps = 100
[seeds]
count = 5
[axes]
environment = [{ use = "mujoco" }, { use = "mujoco", id = "x" }]
architecture = { use = "mlp" }
learner = [{ use = "sac" }, { use = "ppo" }, { use = "dqn" }]
[[cells]]
label = "one more"
[[exclude]]
why = "no"
[published]
table = "published/x.csv"
"""


def test_describe_part(distributions: Any, part_source: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = part_source.replace(
        "revision = 3", "revision = 3\n    requires = ('nobody_has', 'json')\n    extra = 'tiny[all]'"
    )
    distributions.add(
        "rtbench-tiny", {ARCHITECTURES: {"tiny/net": "tiny_net:Tiny"}}, {"tiny_net": source}, version="2.0"
    )
    data = printed_json(capsys, "describe", "architecture", "tiny/net")
    assert data["doc"] == "One layer and nothing else."
    assert (data["revision"], data["distribution"], data["version"], data["third_party"]) == (
        3,
        "rtbench-tiny",
        "2.0",
        True,
    )
    assert data["parameters"] == [
        {
            "name": "width",
            "type": "int",
            "default": 8,
            "required": False,
            "unit": "neurons",
            "doc": "neurons of the one layer",
        }
    ]
    assert data["requires"] == [{"module": "nobody_has", "installed": False}, {"module": "json", "installed": True}]
    assert data["usable"] is False
    text = printed(capsys, "describe", "architectures", "tiny/net")
    for words in (
        "revision: 3",
        "needs: nobody_has (not installed: pip install 'tiny[all]')",
        "needs: json (installed)",
        "neurons of the one layer",
    ):
        assert words in text


def test_describe_shows_required_and_typed_defaults() -> None:
    @dataclasses.dataclass(frozen=True)
    class Params:
        must: int
        several: tuple[int, ...] = dataclasses.field(default_factory=lambda: (1, 2))

    shown = [facts._parameter(field) for field in dataclasses.fields(Params)]
    assert [(each["required"], each["default"]) for each in shown] == [(True, None), (False, (1, 2))]


def test_describe_hook(capsys: pytest.CaptureFixture[str]) -> None:
    data = printed_json(capsys, "describe", "hook", "rtbench_metrics")
    assert data["signature"] == "rtbench_metrics(run_id: str, step: int, unit: str, metrics: dict[str, float]) -> None"
    assert "reports numbers" in data["doc"]
    assert run_command_line(["describe", "hooks", "rtbench_metric"]) == 2
    assert "did you mean: rtbench_metrics" in capsys.readouterr().err


def test_describe_command(capsys: pytest.CaptureFixture[str]) -> None:
    data = printed_json(capsys, "describe", "command", "list")
    assert data["help"] == "rtbench list --help"
    assert data["doc"]


def test_describe_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["describe", "architecture", "mpl"]) == 2
    error = capsys.readouterr().err
    assert "unknown architecture 'mpl'" in error
    assert "did you mean: mlp" in error


@pytest.fixture
def tiny_suite(distributions: Any) -> Any:
    path = distributions.folder / "tiny_suite.toml"
    path.write_text(SUITE)
    source = f"def locate(name):\n    return {str(path)!r}\n"
    distributions.add("rtbench-tiny", {"rtbench.suites": {"tiny/suite": "tiny_suites:locate"}}, {"tiny_suites": source})
    return path


def test_describe_suite_that_cannot_be_expanded_here(tiny_suite: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own words all the same, and what is wrong: an entry of [[cells]] has an unknown key."""
    data = printed_json(capsys, "describe", "suite", "tiny/suite")
    assert data["axes"] == {"environment": ["mujoco", "x"], "architecture": ["mlp"], "learner": ["sac", "ppo", "dqn"]}
    assert (data["product"], data["cells"], data["excludes"], data["seeds"]) == (6, 1, [{"why": "no"}], 5)
    assert (data["title"], data["source"], data["revision"]) == ("A small suite", "made up", 4)
    assert data["budget"] == {"steps": 20000, "unit": "ticks"}
    assert data["published"] == {"table": "published/x.csv"}
    assert data["problem"].startswith("unknown key 'label'")
    text = printed(capsys, "describe", "suite", "tiny/suite")
    assert "answers to: made up" in text
    assert "product: 6" in text
    assert "profile smoke: steps = 100" in text
    assert "20_000" in text


SOUND = """
schema_version = 1
[suite]
name = "tiny/suite"
title = "A small suite"
source = "Paper, Table 3"
[budget]
steps = 20_000
[profiles.smoke]
steps = 100
eval_every = 50
seeds = { count = 1 }
only = [{ architecture = { label = "deep" } }]
[seeds]
count = 5
[axes]
environment = { use = "mujoco", id = "Hopper-v4" }
architecture = [{ use = "mlp", label = "deep" }, { use = "mlp", layers = 1, label = "flat" }]
interaction = [{ execution = "instant" }, { execution = "pipelined", delta = 2 }]
learner = "sac"
[[exclude]]
why = "too slow"
match = { architecture = { label = "flat" }, interaction = { delta = 2 } }
[leaderboard]
group_by = ["architecture", "interaction.delta"]
[published]
table = "x.csv"
ignore = [{ method = "other", why = "not ours" }]
"""
FIGURES = """family,environment,method,delta,mean,spread,metric,spread_kind,ticks,source,seeds
mujoco,Hopper-v4,deep,0,10,1,return,se,100,Table 3,5
mujoco,Hopper-v4,deep,2,9,1,return,se,100,Table 3,5
mujoco,Hopper-v4,other,2,8,1,return,se,100,Table 4,5
"""


def test_describe_suite(tiny_suite: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Two architectures × two interactions, one of the four excluded; of the three figures one is not answered."""
    tiny_suite.write_text(SOUND)
    tiny_suite.with_name("x.csv").write_text(FIGURES)
    data = printed_json(capsys, "describe", "suite", "tiny/suite")
    assert data["problem"] == ""
    counts = {name: (each["cells"], each["seeds"], each["runs"]) for name, each in data["profiles"].items()}
    assert counts == {"paper": (3, 5, 15), "smoke": (2, 1, 2)}
    assert data["profiles"]["smoke"]["steps"] == 100
    assert data["axes"]["interaction"] == ["instant", "pipelined, delta 2"]
    assert data["published"] == {
        "table": "x.csv",
        "figures": [{"source": "Table 3", "metric": "return", "count": 2}],
        "also": [],
        "ignored": [{"why": "not ours", "count": 1, "methods": ["other"]}],
    }
    text = printed(capsys, "describe", "suite", "tiny/suite")
    for words in ("answers to: Paper, Table 3", "not run: too slow", "1 left out: not ours (other)", "2 figures"):
        assert words in text


def test_a_published_row_that_stands_for_cells_of_another_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "describe", "suite", "mujoco-sequential")
    assert "also stands for: sequential three layers w/ aug, as published, delta 3" in text


def test_every_shipped_suite_says_what_it_answers_to(capsys: pytest.CaptureFixture[str]) -> None:
    for found in printed_json(capsys, "list", "suites")["suites"]:
        data = printed_json(capsys, "describe", "suite", found["name"])
        assert data["problem"] == "", found["name"]
        assert data["source"], found["name"]
        assert all(each["runs"] for each in data["profiles"].values())


def test_describe_unreadable_suite(tiny_suite: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_suite.write_text("[suite\n")
    assert run_command_line(["describe", "suite", "tiny/suite"]) == 2
    error = capsys.readouterr().err
    assert "'tiny/suite' cannot be read" in error
    assert "tiny_suite.toml" in error


def test_an_architecture_shows_its_ages(capsys: pytest.CaptureFixture[str]) -> None:
    """Three layers of δ = 2: the plain chain rests on an observation six steps old, with skips the newest is two."""
    assert run_command_line(["describe", "architecture", "mlp", "--delta", "2", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)["graph"]
    assert plain["observation_ages_steps"] == {"newest": 6, "oldest": 6}
    arguments = ["describe", "architecture", "mlp", "--delta", "2", "--set", "skips=from-obs"]
    assert run_command_line([*arguments, "--json"]) == 0
    skips = json.loads(capsys.readouterr().out)["graph"]
    assert skips["observation_ages_steps"] == {"newest": 2, "oldest": 6}
    assert skips["violations"] == []
    assert run_command_line(arguments) == 0
    assert "observations 2 to 6 steps old" in capsys.readouterr().out
    assert run_command_line(["describe", "architecture", "mlp", "--delta", "0"]) == 2
    assert run_command_line(["describe", "learner", "sac", "--delta", "1"]) == 2


def test_ages_are_those_of_the_execution(capsys: pytest.CaptureFixture[str]) -> None:
    """Three layers of δ = 2 one after the other take six steps, under `instant` none."""
    base = ["describe", "architecture", "mlp", "--set", "skips=from-obs"]
    one = printed_json(capsys, *base, "--delta", "2", "--execution", "sequential")["graph"]
    assert one["observation_ages_steps"] == {"newest": 6, "oldest": 6}
    none = printed_json(capsys, *base, "--execution", "instant")["graph"]
    assert none["observation_ages_steps"] == {"newest": 0, "oldest": 0}
    assert run_command_line([*base, "--execution", "instant", "--delta", "2"]) == 2
    assert run_command_line([*base, "--execution", "paralel"]) == 2
    assert "did you mean" not in capsys.readouterr().out


def test_drawing_of_an_architecture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "deep" / "drawn.svg"
    arguments = ["describe", "architecture", "mlp", "--set", "skips=from-obs", "--delta", "1.5", "--svg", str(file)]
    graph = printed_json(capsys, *arguments)["graph"]
    assert graph["drawing"]["delta"] == "3/2"
    box = next(each for each in graph["drawing"]["boxes"] if each["tick"] == 1)
    assert box == {"layer": "layer1", "tick": 1, "start": "3/2", "end": "3", "highlighted": True}
    first = file.read_bytes()
    words = [each.text for each in ElementTree.fromstring(first).iter("{http://www.w3.org/2000/svg}text")]
    assert words[0] == 'mlp, skips = "from-obs"'
    text = printed(capsys, *arguments)
    assert file.read_bytes() == first
    assert all(line in text.splitlines() for line in graph["text"])


def test_too_much_to_draw_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["describe", "architecture", "mlp", "--set", "skips=all", "--set", "layers=60"]
    graph = printed_json(capsys, *arguments)["graph"]
    assert graph["drawing"] is None
    assert "no drawing" in graph["text"][0]
    assert graph["observation_ages_steps"] == {"newest": 1, "oldest": 60}
    file = tmp_path / "drawn.svg"
    assert run_command_line([*arguments, "--svg", str(file)]) == 2
    assert not file.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["suite", "mujoco-delta"],
        ["architecture", "mlp", "--delta", "2", "--set", "skips=all", "--svg", "drawn.svg"],
    ],
)
def test_describing_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from rtbench.cli.main import run_command_line; "
        f"assert run_command_line({['describe', *arguments]!r}) == 0; "
        "print(sorted(set(sys.modules) & {'torch', 'gymnasium', 'mujoco', 'pandas', 'pyarrow', 'scipy', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
