"""Rainbow: deep Q-learning with all that Hessel et al. (2018) add to it."""

from __future__ import annotations

from dataclasses import dataclass

from rtbench.learners import dqn
from rtbench.parts import param


@dataclass(frozen=True)
class Params(dqn.Params):
    """As the code published with Staggered Asynchronous Inference has them; every addition can be switched off."""

    learning_rate: float = param(1e-4, doc="Adam")
    double: bool = param(True, doc="the trained network chooses the next action, the target values it")
    dueling: bool = param(True, doc="a stream for the value and one for the advantages")
    noisy: bool = param(True, doc="learnt noise on the weights of the last two layers")
    distributional: bool = param(True, doc="51 atoms of the distribution of returns (C51)")
    support_low: float = param(0.0, unit="return", doc="lowest atom; Boxing can be lost: -100")
    support_high: float = param(200.0, unit="return", doc="highest atom")
    n_steps: int = param(3, unit="decisions", doc="decisions whose rewards are summed before bootstrapping")
    prioritised: bool = param(True, doc="draw decisions in proportion to their last error")
    priority_exponent: float = param(0.2, doc="α: how much the error counts")
    importance_exponent: float = param(0.6, doc="β: how much of the bias is corrected")


class Rainbow(dqn.DQN):
    """Double, dueling, noisy, distributional (51 atoms), three steps, prioritised replay; otherwise as `dqn`.

    Noise is drawn anew after every update, for acting and for learning (on the wall clock by every process for itself,
    when it takes the new parameters), and left out in evaluation; ε-greedy stays beside it, as in the code published
    with Staggered Asynchronous Inference (Appendix A, Figure 14).
    """

    Params = Params
    revision = 2
    reference_units_per_s = 40.0
