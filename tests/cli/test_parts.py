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
WORKING = '''
from dataclasses import dataclass
from rtbench.graph import GraphBuilder
from rtbench.parts import Architecture, param

@dataclass(frozen=True)
class Params:
    width: int = param(8, unit="neurons", doc="neurons of the one hidden layer")

class Tiny(Architecture):
    """One hidden layer."""
    Params = Params
    def make(self, shape):
        graph = GraphBuilder(shape.observation_size, shape.action_size)
        return graph.head(shape.output_size, [graph.layer(self.params.width, [graph.observation])])
'''
"""The source of a module with an architecture that conforms."""


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
            "mixed_good": WORKING,
            "mixed_hook": "from rtbench.hookspecs import hookimpl\n@hookimpl\ndef rtbench_typo():\n    pass\n",
        },
    )
    data = printed_json(capsys, "plugins", "check", "rtbench_Mixed", code=3)
    assert data["distribution"] == "rtbench-mixed"
    parts = {part["name"]: part for part in data["parts"]}
    assert {name: part["status"] for name, part in parts.items()} == {
        "mixed/bad": "broken",
        "mixed/good": "ok",
        "mixed": "broken",
    }
    assert "RuntimeError: sunk" in parts["mixed/bad"]["traceback"]
    assert "rtbench_typo" in parts["mixed"]["error"]
    assert data["counts"] == parts["mixed/good"]["counts"]
    assert data["counts"]["passed"] >= 25
    assert data["counts"]["failed"] == 0
    checks = parts["mixed/good"]["cases"][0]["checks"]
    assert {check["outcome"] for check in checks} == {"passed"}
    assert all(check["about"].endswith(".") for check in checks)
    text = printed(capsys, "plugins", "check", "rtbench-mixed", code=3)
    assert "RuntimeError: sunk" in text
    assert "next: mend or uninstall rtbench-mixed" in text
    assert "Traceback (most" not in text
    assert "Traceback (most" in printed(capsys, "--debug", "plugins", "check", "rtbench-mixed", code=3)
    listed = {
        part["name"]: part["status"] for one in printed_json(capsys, "plugins", "list", code=3) for part in one["parts"]
    }
    assert (listed["mixed/good"], listed["mixed/bad"], listed["mlp"]) == ("ok", "broken", "ok")


def test_a_check_that_fails_is_told_with_its_promise(distributions: Any, capsys: pytest.CaptureFixture[str]) -> None:
    narrow = WORKING.replace("shape.output_size", "1")
    distributions.add("rtbench-tiny", {ARCHITECTURES: {"tiny/net": "tiny_net:Tiny"}}, {"tiny_net": narrow})
    text = printed(capsys, "plugins", "check", "rtbench-tiny", code=3)
    assert "FAILED architectures/tiny/net test_graph_has_the_widths_it_was_asked_for" in text
    assert "promise: Observation, action and head are as wide as the shape says." in text
    assert "asked for were (17, 6, 12)" in text


def test_classes_of_the_distribution_are_used(distributions: Any, capsys: pytest.CaptureFixture[str]) -> None:
    needing = WORKING.replace("param(8, ", "param(")
    own = "from rtbench.testing import ArchitectureConformance, LatencyConformance\n"
    for name in ("Narrow", "Wide"):
        own += f"class Test{name}(ArchitectureConformance):\n    name = 'tiny/net'\n"
        own += f"    params = {{'width': {len(name)}}}\n"
    own += "class TestTime(LatencyConformance):\n    name = '40ms'\n"
    points = {ARCHITECTURES: {"tiny/net": "tiny_net:Tiny"}}
    distributions.add("rtbench-bare", points, {"tiny_net": needing})
    (bare,) = printed_json(capsys, "plugins", "check", "rtbench-bare", code=3)["parts"]
    assert "cannot be checked without width" in bare["cases"][0]["checks"][0]["message"]
    (distributions.folder / "rtbench_bare-1.0.dist-info" / "entry_points.txt").write_text(
        f"[{ARCHITECTURES}]\ntiny/net = tiny_net:Tiny\n[rtbench.conformance]\ntiny = tiny_checks\n"
    )
    (distributions.folder / "tiny_checks.py").write_text(own)
    distributions.refresh()
    net, time = printed_json(capsys, "plugins", "check", "rtbench-bare")["parts"]
    assert [case["what"] for case in net["cases"]] == [
        "architectures/tiny/net(width=6)",
        "architectures/tiny/net(width=4)",
    ]
    assert (time["kind"], time["name"], time["counts"]["passed"]) == ("latency", "40ms", 8)
    only = printed_json(capsys, "plugins", "check", "rtbench-bare", "--part", "architectures/tiny/net")
    assert [part["name"] for part in only["parts"]] == ["tiny/net"]


def test_plugins_shows_both_sides_of_a_conflict(
    distributions: Any, part_source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        distributions.add(name, {ARCHITECTURES: {"ns/net": f"{name}_net:Tiny"}}, {f"{name}_net": part_source})
    for name in ("first", "second"):
        (part,) = printed_json(capsys, "plugins", "check", name, code=3)["parts"]
        assert "registered twice" in part["error"]


def test_plugins_check_of_an_unknown_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plugins", "check", "rtbnch"]) == 3
    assert "did you mean: rtbench" in capsys.readouterr().err


def test_plugins_check_of_an_unknown_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plugins", "check", "rtbench", "--part", "architectures/mpl"]) == 3
    assert "did you mean: architectures/mlp" in capsys.readouterr().err


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
    core = printed_json(capsys, "plugins", "list")[0]
    assert core["distribution"] == "rtbench"
    assert {part["status"] for part in core["parts"]} == {"ok"}
