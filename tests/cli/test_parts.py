"""`rtbench list` and `plugins`."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.command_line import printed, printed_json

from rtbench import plugins
from rtbench.cli.facts import plural
from rtbench.cli.main import run_command_line
from rtbench.errors import SuiteError

ARCHITECTURES = "rtbench.architectures"


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
