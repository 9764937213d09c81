"""What the warm parent imports for jobs: their parts and what these name, not all the packages they require."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from helpers.cells import small_cell
from helpers.ppo_cells import ppo_cell

from rtbench.executors.jobs import Job
from rtbench.executors.preload import modules
from rtbench.plugins import part_class, use


def named(cell):
    return modules([Job(cell, (0,), ("a" * 64,), (1,), "suite", 1, 60.0)])


def test_a_game_of_minatar_is_preloaded_without_its_package():
    found = named(ppo_cell())
    assert {"torch", "rtbench.learners.ppo_program", "rtbench.environments.minatar_world"} <= set(found)
    assert part_class("environments", "minatar").requires == ("minatar",)
    code = f"import sys\nfrom rtbench.executors.warm import preload\npreload({found!r})\n"
    code += "print(sorted({'minatar', 'seaborn', 'matplotlib.pyplot'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "params", "module"),
    [
        ("mujoco", {"id": "Hopper-v4"}, "gymnasium.envs.mujoco"),
        ("atari", {"id": "ALE/Pong-v5"}, "ale_py"),
        ("minigrid", {"id": "MiniGrid-Empty-5x5-v0"}, "minigrid"),
    ],
)
def test_packages_that_are_used_whole_are_preloaded(name, params, module):
    assert module in named(dataclasses.replace(small_cell(), environment=use("environments", name, params)))
