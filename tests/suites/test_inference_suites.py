"""The two suites about hardware: their cells, the shipped profiles they stand on, a world that runs faster."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import pytest

from rtbench.backends.measure import doubts
from rtbench.interaction.latency import parse_latency
from rtbench.interaction.profile import FOLDERS, digest, read_profile
from rtbench.plugins import build, part_class, use
from rtbench.suites.expand import SuiteCell, expand
from rtbench.suites.model import load_suite

PROFILES = sorted(path for folder in FOLDERS for path in (folder / "profiles").glob("*.parquet"))


@pytest.fixture(scope="module")
def cells() -> list[SuiteCell]:
    return expand(load_suite("inference-speedup"), support=False)


def test_every_backend_is_measured_at_every_depth(cells: list[SuiteCell]) -> None:
    """Figure 1a: width 256 throughout, so that every layer is the same."""
    figure = [found.cell for found in cells if found.cell.learner.params["batch"] == 1]
    pipelined = Counter(cell.backend.name for cell in figure if cell.interaction.execution == "pipelined")
    assert set(pipelined) == {
        *("eager", "numpy", "compiled", "stacked", "block", "sparse", "native", "threads", "onnx"),
    }
    assert {cell.architecture.params["layers"] for cell in figure} == {1, 3, 10, 30, 100}
    for cell in figure:
        assert cell.architecture.params["width"] == cell.learner.params["observation_size"] == 256
        assert cell.learner.params["output_size"] == 256
        assert cell.learner.params["against"][0] == "eager"
    sequential = {cell.backend.name for cell in figure if cell.interaction.execution == "sequential"}
    assert sequential == {"eager", "numpy", "compiled", "native", "threads", "onnx"}


def test_measured_rows_are_of_the_wall_clock_and_of_equal_threads(cells: list[SuiteCell]) -> None:
    for found in cells:
        assert found.cell.interaction.clock == "wall"
        threads = found.cell.learner.params["threads"]
        assert found.cell.backend.params.get("threads", threads) == threads


def test_the_short_profile_leaves_out_the_largest_dense_matrix() -> None:
    short = [found.cell for found in expand(load_suite("inference-speedup", "short"), support=False)]
    deep = {cell.backend.name for cell in short if cell.architecture.params["layers"] == 100}
    assert "block" not in deep
    assert {"eager", "threads", "native"} <= deep


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_shipped_profiles_hold_one_group_per_execution_and_say_where_they_are_from(path) -> None:  # type: ignore[no-untyped-def]
    profile = read_profile(path)
    assert [group.execution for group in profile.groups] == ["sequential", "pipelined"]
    assert all(len(group.samples_ns) >= 2000 and group.limit_ns for group in profile.groups)
    assert profile.machine["machine_class"]
    assert parse_latency(f"profile:rtbench:{path.stem}").profile_digest == digest(profile)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_shipped_profiles_were_measured_on_a_quiet_machine(path) -> None:  # type: ignore[no-untyped-def]
    profile = read_profile(path)
    cores = int(re.search(r"(\d+) cores", profile.machine["machine_class"])[1])  # type: ignore[index]
    for group in profile.groups:
        assert group.load_before is not None
        assert group.rounds
        assert doubts(group, cores) == [], group.title


def test_one_size_of_network_under_the_latencies_of_several_backends() -> None:
    """Hidden layers are those that were measured; observations and outputs are the profile's 17 and 12 at most."""
    found = [each.cell for each in expand(load_suite("latency-to-return"), support=False)]
    timed = [cell for cell in found if cell.interaction.latency]
    told = {(cell.interaction.scheduler.label, cell.interaction.latency.profile_digest) for cell in timed}
    assert sorted(label for label, _ in told) == ["NumPy", "eager", "native"]
    for cell in timed:
        group = read_profile(cell.interaction.latency.profile_path).groups[0]
        assert (group.layers, group.width, group.batch) == (3, 256, 1)
        assert {name: cell.architecture.params[name] for name in ("layers", "width")} == {"layers": 3, "width": 256}
        assert group.backend == cell.interaction.scheduler.label.lower()
        assert group.architecture == "mlp 17→12"
        spec = build(cell.environment).spec()
        assert spec.observation_size <= 17
        assert 2 * spec.action_size <= 12
    instant = {cell.environment.params["id"] for cell in found if cell.interaction.execution == "instant"}
    assert instant == {cell.environment.params["id"] for cell in timed}


def test_a_shipped_name_is_no_path_beside_the_suite(tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = load_suite("latency-to-return").path.read_text(encoding="utf-8")
    path = tmp_path / "latency-to-return.toml"
    path.write_text(text, encoding="utf-8")
    ids = [
        {cell.cell_id for cell in expand(load_suite(name), support=False)} for name in (str(path), "latency-to-return")
    ]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(("speed", "step_s"), [(1.0, 0.04), (2000.0, 20e-6), (8000.0, 5e-6)])
def test_a_faster_world_has_shorter_steps_and_is_otherwise_the_same(speed: float, step_s: float) -> None:
    part = build(use("environments", "mujoco", {"id": "InvertedPendulum-v4", "speed": speed}))
    plain = build(use("environments", "mujoco", {"id": "InvertedPendulum-v4"})).spec()
    assert part.spec() == dataclasses.replace(plain, step_s=step_s)


def test_the_speed_of_a_world_is_positive() -> None:
    (cell, *_) = (found.cell for found in expand(load_suite("latency-to-return"), support=False))
    for speed, words in ((0.0, "speed must be above 0"), (1e7, "at most 1e6"), (8.0, "")):
        environment = use("environments", "mujoco", {"id": "Hopper-v4", "speed": speed})
        told = part_class("environments", "mujoco").supports(dataclasses.replace(cell, environment=environment)) or ""
        assert words in told
        assert bool(told) == bool(words)
