"""The checks that rtbench has for parts of these kinds."""

from rtbench_example.conformance import TestDeepWavefront, TestFirst, TestTurns, TestWavefront

__all__ = ["TestDeepWavefront", "TestFirst", "TestTurns", "TestWavefront"]
