"""A learner that costs time and no work: its score depends on every unit since the first, in their order."""

import time
from dataclasses import dataclass

from rtbench.learners.base import Outcome
from rtbench.parts import Learner, param


@dataclass(frozen=True)
class Params:
    """How long it takes."""

    unit_s: float = param(0.02, unit="s", doc="of every unit")


class Program:
    """One number per run: a linear congruence, begun with the seed."""

    def __init__(self, seeds, total, unit_s):
        self.numbers, self.total_units, self.unit_s, self.done_units = list(seeds), total, unit_s, 0

    @property
    def done(self):
        return self.done_units >= self.total_units

    def advance(self):
        time.sleep(self.unit_s)
        self.numbers = [(number * 69069 + 1) % 2**32 for number in self.numbers]
        self.done_units += 1

    def metrics(self):
        return []

    def outcomes(self):
        return [Outcome({"eval_return_final": float(n), "env_steps": self.done_units}) for n in self.numbers]

    def policies(self, run_ids):
        return []

    def state(self):
        return {"done_units": self.done_units, "numbers": self.numbers}

    def appended(self):
        return {}

    def restore(self, state, segments):
        self.done_units, self.numbers = state["done_units"], state["numbers"]


class Counting(Learner):
    """As above."""

    Params = Params

    def make(self, batch):
        return Program(batch.seeds, batch.cell.budget.steps, self.params.unit_s)
