"""The checks that rtbench has for parts of these kinds."""

from rtbench_rlrd.conformance import (
    TestAugmentedSAC,
    TestDCAC,
    TestDCACFarAway,
    TestHalfCheetahDelay,
    TestHooks,
)

__all__ = ["TestAugmentedSAC", "TestDCAC", "TestDCACFarAway", "TestHalfCheetahDelay", "TestHooks"]
