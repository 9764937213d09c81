"""What rtbench checks of this distribution; run by pytest and by `rtbench plugins check rtbench-ray`."""

from typing import ClassVar

from rtbench.testing import ExecutorConformance


class TestRay(ExecutorConformance):
    """The executor, on a cluster that it starts on this machine."""

    name = "ray/ray"
    params: ClassVar = {"address": "local"}
