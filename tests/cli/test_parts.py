"""`rtbench list`, `describe`, `plugins`."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from rtbench import plugins
from rtbench.cli import facts
from rtbench.cli.main import run_command_line
from rtbench.cli.parts import plural
from rtbench.errors import SuiteError

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


def printed(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert run_command_line(list(args)) == code
    return capsys.readouterr().out


def printed_json(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    return json.loads(printed(capsys, *args, "--json", code=code))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("architecture", "architectures"),
        ("Architectures", "architectures"),
        ("default-policy", "default_policies"),
        ("default_policies", "default_policies"),
        ("hook", "hooks"),
        ("suite", "suites"),
    ],
)
def test_kinds_in_singular_and_plural(given: str, expected: str) -> None:
    assert plural(given) == expected


def test_unknown_kind_gives_the_nearest() -> None:
    with pytest.raises(SuiteError) as caught:
        plural("enviroments")
    assert caught.value.nearest == "environments"


def test_list_is_every_registration(capsys: pytest.CaptureFixture[str]) -> None:
    data = printed_json(capsys, "list")
    assert list(data) == [*plugins.KINDS, "hooks"]
    for kind in plugins.KINDS:
        assert [part["name"] for part in data[kind]] == list(plugins.entries(kind))
    assert "rtbench_run_finished" in [hook["name"] for hook in data["hooks"]]
    text = printed(capsys, "list")
    assert all(part["name"] in text for parts in data.values() for part in parts)


def test_list_one_kind(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "list", "scheduler").splitlines()
    assert lines[0].split() == ["kind", "name", "from"]
    assert {line.split()[0] for line in lines[1:]} == {"schedulers"}


def test_list_marks_strangers_and_conflicts(
    distributions: Any, part_source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    distributions.add("rtbench-tiny", {ARCHITECTURES: {"tiny/net": "tiny_net:Tiny"}}, {"tiny_net": "1 / 0"})
    distributions.add("rtbench-bare", {ARCHITECTURES: {"bare": "bare_net:Tiny"}})
    lines = {line.split()[1]: line for line in printed(capsys, "list", "architectures").splitlines()[1:]}
    assert lines["tiny/net"].endswith("rtbench-tiny 1.0  third party")
    assert "no namespace" in lines["bare"]
    assert lines["mlp"].endswith("rtbench 0.1.0")


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


def test_describe_suite(tiny_suite: Any, capsys: pytest.CaptureFixture[str]) -> None:
    data = printed_json(capsys, "describe", "suite", "tiny/suite")
    assert data["axes"] == {"environment": 2, "architecture": 1, "learner": 3}
    assert (data["product"], data["cells"], data["excludes"], data["seeds"]) == (6, 1, 1, 5)
    assert (data["title"], data["source"], data["revision"]) == ("A small suite", "made up", 4)
    assert data["budget"] == {"steps": 20000, "unit": "ticks"}
    assert data["published"] == "published/x.csv"
    text = printed(capsys, "describe", "suite", "tiny/suite")
    assert "product: 6" in text
    assert "profile smoke: steps = 100" in text
    assert "20_000" in text


def test_describe_unreadable_suite(tiny_suite: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_suite.write_text("[suite\n")
    assert run_command_line(["describe", "suite", "tiny/suite"]) == 2
    error = capsys.readouterr().err
    assert "'tiny/suite' cannot be read" in error
    assert "tiny_suite.toml" in error


def test_plugins_names_the_broken_and_loads_the_rest(
    distributions: Any, part_source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    distributions.add(
        "rtbench-mixed",
        {
            ARCHITECTURES: {"mixed/bad": "mixed_bad:Tiny", "mixed/good": "mixed_good:Tiny"},
            "rtbench": {"mixed": "mixed_hook"},
        },
        {
            "mixed_bad": "raise RuntimeError('sunk')",
            "mixed_good": part_source,
            "mixed_hook": "from rtbench.hookspecs import hookimpl\n@hookimpl\ndef rtbench_typo():\n    pass\n",
        },
    )
    data = printed_json(capsys, "plugins", "check", "rtbench_Mixed", code=3)
    assert [one["distribution"] for one in data] == ["rtbench-mixed"]
    status = {part["name"]: part for part in data[0]["parts"]}
    assert {name: part["status"] for name, part in status.items()} == {
        "mixed/bad": "broken",
        "mixed/good": "ok",
        "mixed": "broken",
    }
    assert "RuntimeError: sunk" in status["mixed/bad"]["traceback"]
    assert "rtbench_typo" in status["mixed"]["error"]
    text = printed(capsys, "plugins", "check", "rtbench-mixed", code=3)
    assert "RuntimeError: sunk" in text
    assert "next: mend or uninstall rtbench-mixed" in text
    assert "Traceback (most" not in text
    assert "Traceback (most" in printed(capsys, "--debug", "plugins", "check", "rtbench-mixed", code=3)


def test_plugins_shows_both_sides_of_a_conflict(
    distributions: Any, part_source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        distributions.add(name, {ARCHITECTURES: {"ns/net": f"{name}_net:Tiny"}}, {f"{name}_net": part_source})
    for name in ("first", "second"):
        (only,) = printed_json(capsys, "plugins", "check", name, code=3)
        assert "registered twice" in only["parts"][0]["error"]


def test_plugins_check_of_an_unknown_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plugins", "check", "rtbnch"]) == 3
    assert "did you mean: rtbench" in capsys.readouterr().err


def test_plugins_list_says_what_is_switched_off(
    distributions: Any, part_source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    distributions.add("rtbench-tiny", {ARCHITECTURES: {"tiny/net": "tiny_net:Tiny"}}, {"tiny_net": part_source})
    monkeypatch.setenv(plugins.DISABLE_VARIABLE, "rtbench-tiny")
    assert run_command_line(["plugins", "check", "rtbench-tiny"]) == 3
    capsys.readouterr()
    run_command_line(["plugins", "list"])
    text = capsys.readouterr().out
    assert "switched off: RTBENCH_DISABLE_PLUGINS=rtbench-tiny" in text
    assert "tiny/net" not in text


def test_every_part_of_the_core_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    (core,) = printed_json(capsys, "plugins", "check", "rtbench")
    assert {part["status"] for part in core["parts"]} == {"ok"}


def test_an_architecture_shows_its_ages(capsys: pytest.CaptureFixture[str]) -> None:
    """Three layers of δ = 2: the plain chain rests on an observation six steps old, with skips the newest is two."""
    from rtbench.cli.main import run_command_line

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
