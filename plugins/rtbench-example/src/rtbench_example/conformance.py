"""What rtbench checks of this distribution; run by pytest and by `rtbench plugins check rtbench-example`."""

from rtbench.testing import ArchitectureConformance, SchedulerConformance, SuiteConformance


class TestWavefront(ArchitectureConformance):
    """The architecture, with its defaults."""

    name = "example/wavefront"


class TestDeepWavefront(ArchitectureConformance):
    """The same, deep and narrow: one class for every set of parameters that behaves differently."""

    name = "example/wavefront"
    params = {"layers": 6, "width": 4}


class TestTurns(SchedulerConformance):
    """The scheduler."""

    name = "example/turns"


class TestFirst(SuiteConformance):
    """The suite."""

    name = "example/first"
