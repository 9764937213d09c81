"""The checks that rtbench has for learners and hooks."""

from rtbench_rlrd.conformance import TestAugmentedSAC, TestDelayCorrecting, TestDelayCorrectingOneStep, TestHooks

__all__ = ["TestAugmentedSAC", "TestDelayCorrecting", "TestDelayCorrectingOneStep", "TestHooks"]
