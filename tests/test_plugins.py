"""The plugin system, met as a stranger's distribution meets it: metadata and modules on `sys.path`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtbench import plugins
from rtbench.errors import PluginError, SuiteError

ARCHITECTURES = "rtbench.architectures"


def one(name: str, target: str, group: str = ARCHITECTURES) -> dict[str, dict[str, str]]:
    return {group: {name: target}}


def test_core_parts_come_through_the_strangers_door() -> None:
    found = plugins.entries("architectures")["mlp"]
    assert (found.distribution, found.third_party) == ("rtbench", False)
    assert found.target == "rtbench.architectures.mlp:MLP"


def test_third_party_part_is_found_and_used(distributions: Any, part_source: str) -> None:
    distributions.add("rtbench-tiny", one("tiny/net", "tiny_net:Tiny"), {"tiny_net": part_source}, version="2.5")
    found = plugins.entries("architectures")["tiny/net"]
    assert (found.distribution, found.version, found.third_party) == ("rtbench-tiny", "2.5", True)
    used = plugins.use("architectures", "tiny/net", {"width": 4})
    assert used.data() == {"name": "tiny/net", "revision": 3, "params": {"width": 4}}
    assert plugins.use("architectures", "tiny/net").params == {"width": 8}
    assert plugins.build(used).params.width == 4


def test_finding_a_part_imports_nothing(distributions: Any) -> None:
    distributions.add("rtbench-tiny", one("tiny/net", "tiny_net:Tiny"), {"tiny_net": "raise RuntimeError('imported')"})
    assert "tiny/net" in plugins.entries("architectures")
    assert "tiny_net" not in sys.modules


def test_duplicate_name_names_both_distributions(distributions: Any, part_source: str) -> None:
    distributions.add("first-dist", one("ns/net", "first_net:Tiny"), {"first_net": part_source}, version="1.1")
    distributions.add("second-dist", one("ns/net", "second_net:Tiny"), {"second_net": part_source}, version="2.2")
    with pytest.raises(PluginError, match="registered twice") as caught:
        plugins.part_class("architectures", "ns/net")
    for text in ("first-dist 1.1", "second-dist 2.2", "first_net:Tiny", "second_net:Tiny"):
        assert text in caught.value.message
    assert caught.value.exit_code == 3
    assert len(plugins.registrations("architectures")) == len(plugins.entries("architectures")) + 1


def test_duplicate_of_a_core_name_blames_and_hides_neither(distributions: Any, part_source: str) -> None:
    distributions.add("greedy", one("mlp", "greedy_net:Tiny"), {"greedy_net": part_source})
    with pytest.raises(PluginError, match=r"rtbench .*greedy|greedy .*rtbench") as caught:
        plugins.use("architectures", "mlp")
    assert "RTBENCH_DISABLE_PLUGINS=greedy" in caught.value.hint
    assert plugins.use("default_policies", "noop").name == "noop"


def test_a_duplicate_stops_no_other_name(distributions: Any, part_source: str) -> None:
    for name in ("first", "second"):
        distributions.add(f"{name}-dist", one("ns/net", f"{name}_net:Tiny"), {f"{name}_net": part_source})
    distributions.add("third-dist", one("third/net", "third_net:Tiny"), {"third_net": part_source})
    assert plugins.part_class("architectures", "third/net").revision == 3
    assert plugins.part_class("architectures", "mlp").kind == "architectures"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise RuntimeError('no luck today')", "RuntimeError: no luck today"),
        ("def broken(:\n    pass", "SyntaxError"),
        ("import a_package_nobody_has", "ModuleNotFoundError"),
        ("import sys; sys.exit('leaving')", "SystemExit: leaving"),
        ("Other = 1", "AttributeError"),
    ],
)
def test_broken_plugin_is_named_with_its_traceback(
    distributions: Any, part_source: str, source: str, expected: str
) -> None:
    distributions.add("rtbench-bad", one("bad/net", "bad_net:Tiny"), {"bad_net": source}, version="0.9")
    distributions.add("rtbench-tiny", one("tiny/net", "tiny_net:Tiny"), {"tiny_net": part_source})
    with pytest.raises(plugins.BrokenPlugin) as caught:
        plugins.part_class("architectures", "bad/net")
    assert "'bad/net' of distribution rtbench-bad 0.9" in caught.value.message
    assert expected in caught.value.message
    assert expected.split(":")[0] in caught.value.detail
    assert "Traceback" in caught.value.detail
    if "Other" not in source:
        assert "bad_net" in caught.value.detail
    assert plugins.part_class("architectures", "tiny/net").revision == 3


@pytest.mark.parametrize("value", ["1", "all", "true", "rtbench-tiny", "other,RTBENCH_Tiny"])
def test_switched_off(distributions: Any, part_source: str, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    distributions.add("rtbench-tiny", one("tiny/net", "tiny_net:Tiny"), {"tiny_net": part_source})
    distributions.add("rtbench-kept", one("kept/net", "kept_net:Tiny"), {"kept_net": part_source})
    monkeypatch.setenv(plugins.DISABLE_VARIABLE, value)
    names = set(plugins.entries("architectures"))
    assert "mlp" in names
    assert "tiny/net" not in names
    assert ("kept/net" in names) == ("tiny" in value.lower())


def test_switching_one_off_ends_a_conflict(
    distributions: Any, part_source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        distributions.add(f"{name}-dist", one("ns/net", f"{name}_net:Tiny"), {f"{name}_net": part_source})
    monkeypatch.setenv(plugins.DISABLE_VARIABLE, "second-dist")
    assert plugins.part_class("architectures", "ns/net").__module__ == "first_net"


def test_the_core_cannot_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugins.DISABLE_VARIABLE, "rtbench")
    assert "mlp" in plugins.entries("architectures")


def test_bare_names_are_the_cores(distributions: Any, part_source: str) -> None:
    distributions.add("rtbench-tiny", one("net", "tiny_net:Tiny"), {"tiny_net": part_source})
    with pytest.raises(PluginError, match="no namespace") as caught:
        plugins.use("architectures", "net")
    assert caught.value.hint == "register it as tiny/net"
    assert plugins.part_class("architectures", "mlp").kind == "architectures"


def test_commands_need_no_namespace(distributions: Any) -> None:
    distributions.add("tool", one("weather", "tool_weather:weather", "rtbench.commands"), {"tool_weather": ""})
    assert plugins.entry("commands", "weather").problem == ""


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(SuiteError) as caught:
        plugins.use("architectures", "mpl", place="suite.toml: axes.architecture[0]")
    assert caught.value.nearest == "mlp"
    assert "suite.toml: axes.architecture[0]" in str(caught.value)


def test_wrong_kind_of_object(distributions: Any, part_source: str) -> None:
    distributions.add(
        "rtbench-tiny", one("tiny/env", "tiny_net:Tiny", "rtbench.environments"), {"tiny_net": part_source}
    )
    with pytest.raises(PluginError, match="not a subclass"):
        plugins.part_class("environments", "tiny/env")


def test_unknown_parameter_and_wrong_type(distributions: Any, part_source: str) -> None:
    distributions.add("rtbench-tiny", one("tiny/net", "tiny_net:Tiny"), {"tiny_net": part_source})
    with pytest.raises(SuiteError) as unknown:
        plugins.use("architectures", "tiny/net", {"widht": 4})
    assert unknown.value.nearest == "width"
    with pytest.raises(SuiteError, match=r"'width'.*unit: neurons"):
        plugins.use("architectures", "tiny/net", {"width": "4"})
    with pytest.raises(SuiteError, match="width"):
        plugins.use("architectures", "tiny/net", {"width": True})


def test_missing_extra_is_said_before_anything_is_built(distributions: Any, part_source: str) -> None:
    source = part_source.replace("revision = 3", "requires = ('nobody_has_this',)\n    extra = 'rtbench-tiny[full]'")
    distributions.add("rtbench-tiny", one("tiny/net", "tiny_net:Tiny"), {"tiny_net": source})
    with pytest.raises(SuiteError, match=r"pip install 'rtbench-tiny\[full\]'"):
        plugins.build(plugins.use("architectures", "tiny/net"))


def test_same_distribution_twice_on_the_path_counts_once(
    distributions: Any, part_source: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributions.add("rtbench-tiny", one("tiny/net", "tiny_net:Tiny"), {"tiny_net": part_source}, version="1.0")
    second = tmp_path / "second"
    second.mkdir()
    monkeypatch.setattr(distributions, "folder", second)
    distributions.add("rtbench_tiny", one("tiny/net", "tiny_net:Tiny"), version="2.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(second)])
    distributions.refresh()
    assert plugins.entries("architectures")["tiny/net"].version == "1.0"


HOOK = """
from rtbench.hookspecs import hookimpl

@hookimpl
def {name}({arguments}):
    return {result}
"""


def hook(name: str, arguments: str = "", result: str = "None") -> str:
    return HOOK.format(name=name, arguments=arguments, result=result)


def test_hook_plugins_are_called(distributions: Any) -> None:
    distributions.add(
        "stamp", one("stamp", "stamp_hooks", "rtbench"), {"stamp_hooks": hook("rtbench_fingerprint", "", "{'a': 'b'}")}
    )
    manager, broken = plugins.hooks()
    assert manager.hook.rtbench_fingerprint() == [{"a": "b"}]
    assert broken == []


def test_broken_hook_plugin_stops_no_other(distributions: Any) -> None:
    distributions.add("aa-bad", one("aa-bad", "aa_bad_hooks", "rtbench"), {"aa_bad_hooks": "1 / 0"})
    distributions.add(
        "zz-good", one("zz-good", "zz_hooks", "rtbench"), {"zz_hooks": hook("rtbench_fingerprint", "", "{'z': '1'}")}
    )
    manager, broken = plugins.hooks()
    assert manager.hook.rtbench_fingerprint() == [{"z": "1"}]
    assert [error.exit_code for error in broken] == [3]
    assert "'aa-bad'" in broken[0].message
    assert "ZeroDivisionError" in broken[0].detail


@pytest.mark.parametrize(
    ("name", "arguments"), [("rtbench_fingerprnt", ""), ("rtbench_run_finished", "run_id, a_row"), ("rtbench_done", "")]
)
def test_misspelt_hook_is_an_error(distributions: Any, name: str, arguments: str) -> None:
    distributions.add("stamp", one("stamp", "stamp_hooks", "rtbench"), {"stamp_hooks": hook(name, arguments)})
    with pytest.raises(PluginError, match="'stamp' of stamp does not fit"):
        plugins.hooks()
    with pytest.raises(PluginError, match="'stamp' of stamp does not fit"):
        plugins.verify(plugins.entries("rtbench")["stamp"])


def test_hooks_given_by_the_caller() -> None:
    from rtbench.hookspecs import hookimpl

    class Plugin:
        @hookimpl
        def rtbench_columns(self) -> dict[str, float]:
            return {"test/one": 1.0}

    manager, _ = plugins.hooks([("test", Plugin())])
    assert manager.hook.rtbench_columns(run_id="r", cell={}, outcome={}) == [{"test/one": 1.0}]


def test_importing_the_ground_imports_nothing_heavy() -> None:
    code = (
        "import sys; import rtbench.plugins, rtbench.hookspecs, rtbench.cell, rtbench.graph; "
        "rtbench.plugins.entries('environments'); "
        "print([m for m in ('torch', 'gymnasium', 'numpy', 'pandas', 'rich', 'mujoco') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_digest_covers_the_parts_package_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed neighbour in the package changes it; a module that stands alone has no neighbours."""
    package = tmp_path / "acme_digest"
    package.mkdir()
    for name in ("__init__", "part", "helper"):
        (package / f"{name}.py").write_text(f"# {name}\n")
    (tmp_path / "acme_alone.py").write_text("# alone\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def digests() -> tuple[str, str]:
        plugins.source_digest.cache_clear()
        return plugins.source_digest("acme_digest.part"), plugins.source_digest("acme_alone")

    before = digests()
    assert before == digests()
    (package / "helper.py").write_text("# changed\n")
    (tmp_path / "acme_other.py").write_text("# new\n")
    after = digests()
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert plugins.source_digest("rtbench.learners.sac", core=True) != plugins.source_digest("rtbench.learners.sac")
