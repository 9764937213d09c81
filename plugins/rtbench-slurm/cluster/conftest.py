"""A SLURM of this machine for all tests, and a log of what was typed and answered (`--log FILE`)."""

import os
import subprocess
from pathlib import Path
from typing import ClassVar

import one_machine
import pytest
from suites import ended, start


def pytest_addoption(parser):
    parser.addoption("--log", type=Path, default=None, help="a file for what was typed and answered")


def pytest_runtest_logreport(report):
    if report.when == "call":
        Log.lines.append(f"## {report.nodeid.rpartition('::')[2]}: {report.outcome} after {report.duration:.0f} s")


def pytest_sessionfinish(session):
    path = session.config.getoption("--log")
    if path is not None:
        path.write_text("\n".join(Log.lines) + "\n")


class Log:
    """What was typed and answered, without the places of this machine."""

    lines: ClassVar[list[str]] = []

    def __init__(self, folder):
        self._folder = str(folder)

    def say(self, text):
        """As it is, but for the test's own folder."""
        self.lines.append(text.rstrip().replace(self._folder, "…"))

    def typed(self, *command, **environment):
        """Run and keep it; what it answered."""
        words = [str(word) for word in command]
        if words[0] == "rtbench":
            answer = ended(start(*words[1:], **environment))
        else:
            answer = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        self.say("$ " + " ".join(words))
        self.say(answer)
        return answer


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Up while tests run."""
    found = one_machine.Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        found.start()
        os.environ.update(found.environment)
        Log.lines.append(found.ask("sinfo", "--version").strip())
        yield found
    finally:
        found.stop()


@pytest.fixture
def log(cluster, tmp_path):
    return Log(tmp_path)


@pytest.fixture(scope="session")
def slow(tmp_path_factory):
    """The environment in which `acme/slow` is installed: a Hopper each of whose steps takes ACME_STEP_S seconds."""
    site = tmp_path_factory.mktemp("site")
    (site / "acme_slow.py").write_text(SLOW)
    about = site / "acme_slow-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-slow\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[rtbench.environments]\nacme/slow = acme_slow:Slow\n")
    return {"PYTHONPATH": str(site), "ACME_STEP_S": "0.04"}


SLOW = '''
import os
import time

import gymnasium
from rtbench.environments.mujoco import MuJoCo


class Slow(MuJoCo):
    """A world of MuJoCo whose steps take time."""

    def make(self, render_mode=None):
        return Paused(super().make(render_mode))


class Paused(gymnasium.Wrapper):
    def step(self, action):
        time.sleep(float(os.environ["ACME_STEP_S"]))
        return super().step(action)
'''
