"""Conformance classes for whoever publishes a part: subclass the one of its kind, say its name, get its checks.

    from rtbench.testing import ArchitectureConformance

    class TestWavefront(ArchitectureConformance):
        name = "yourname/wavefront"
        params = {"layers": 4, "width": 16}

pytest runs such a class like any other (`pip install 'rtbench[testing]'`); `rtbench plugins check your-package` runs it
without pytest and prints a report. Checks that cannot hold for a part are declared in `expected_failures`, and must
then fail.
"""

from rtbench.testing.architectures import ArchitectureConformance
from rtbench.testing.backends import BackendConformance
from rtbench.testing.base import Conformance, NotApplicable, PartConformance, RegisteredConformance
from rtbench.testing.commands import CommandConformance
from rtbench.testing.default_policies import DefaultPolicyConformance
from rtbench.testing.environments import EnvironmentConformance
from rtbench.testing.executors import ExecutorConformance
from rtbench.testing.hooks import HookConformance
from rtbench.testing.latencies import LatencyConformance
from rtbench.testing.learners import LearnerConformance
from rtbench.testing.report import Check, Checked, run
from rtbench.testing.schedulers import SchedulerConformance
from rtbench.testing.suites import SuiteConformance

__all__ = [
    "ArchitectureConformance",
    "BackendConformance",
    "Check",
    "Checked",
    "CommandConformance",
    "Conformance",
    "DefaultPolicyConformance",
    "EnvironmentConformance",
    "ExecutorConformance",
    "HookConformance",
    "LatencyConformance",
    "LearnerConformance",
    "NotApplicable",
    "PartConformance",
    "RegisteredConformance",
    "SchedulerConformance",
    "SuiteConformance",
    "run",
]
