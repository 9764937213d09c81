"""A suite of a few episodes on the delay cycle, as text: seconds to run, its regret known by hand."""

from __future__ import annotations

SUITE = """
schema_version = 1

[suite]
name = "mine"
title = "A few cells of the delay cycle"
revision = 1

[budget]
steps = 4
unit = "episodes"
eval_every = 4
eval_episodes = 1
final_eval_episodes = 4

[seeds]
count = 2
"""
AXES = """
[axes]
environment = { use = "analytic", id = "delay-cycle", states = 12, stay = 0.7, steps = 60, label = "cycle" }
architecture = { use = "mlp", layers = 1, label = "net" }
"""


def cycle_suite(interactions: str, *, learner: str = "known", more: str = "") -> str:
    """With these interactions (lines of a TOML array) and learner; `more` are further tables."""
    return f'{SUITE}{more}{AXES}learner = {{ use = "{learner}" }}\ninteraction = [\n{interactions}]\n'
