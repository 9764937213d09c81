"""The independent simulation that conformance classes use, by the name that tests know it by."""

from rtbench.testing.continuous_time import ContinuousTime, height

__all__ = ["ContinuousTime", "height"]
