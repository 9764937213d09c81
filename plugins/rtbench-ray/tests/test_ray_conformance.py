"""rtbench's own checks of an executor, against the stand-in."""

from rtbench_ray.conformance import *  # noqa: F403
