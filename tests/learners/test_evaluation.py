"""Scores by hand from scripted loops, cut policies, and going on within any evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from helpers.cells import interaction, small_cell

from rtbench.cell import Budget, RunBatch
from rtbench.errors import SuiteError
from rtbench.learners.checkpoint import CheckpointFolder
from rtbench.learners.evaluation import WHOLE, Evaluation
from rtbench.learners.policy import evaluate
from rtbench.plugins import build

BUDGET = Budget(steps=100, eval_every=50, eval_episodes=2, final_eval_episodes=3)


@dataclass
class Scripted:
    """A loop whose n-th episode returns `scale` · n and lasts n steps of 0.5 s."""

    scale: float
    spec: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(step_s=0.5))
    lengths: list = field(default_factory=list)
    default_returns: list = field(default_factory=list)
    inaction: int = 0
    counts: list = field(default_factory=list)
    actings: tuple = ()

    @property
    def tally(self):
        return SimpleNamespace(inaction=self.inaction)

    def run_episode(self):
        self.lengths.append(len(self.lengths) + 1)
        self.default_returns.append(self.scale / 4)
        return self.scale * len(self.lengths)


def test_scores_by_hand():
    """Curve points of episodes 1–2 and 3–4, a final score of episodes 5–7: 3.5 · scale, 6; 18 steps are 9 s."""
    evaluation = Evaluation(BUDGET, [Scripted(1.0), Scripted(10.0)])
    for units in (50, 100):
        evaluation.after(units - 1)
        assert not evaluation.running
        evaluation.after(units)
        while evaluation.running:
            evaluation.advance(units)
    while not evaluation.done:
        evaluation.advance_final()
    assert evaluation.columns(1) == {
        "eval_return_final": 60.0,
        "eval_return_per_s": 180.0 / 9.0,
        "eval_length_final": 6.0,
        "eval_return_auc": 25.0,
        "eval_step": [50, 100],
        "eval_return": [15.0, 35.0],
    }
    assert evaluation.metrics()[1] == {"step": 100.0, "eval_return/0": 3.5, "eval_return/1": 35.0}
    assert evaluation.metrics() == []
    assert evaluation.extras(0) == {}


def test_what_was_earned_while_the_default_policy_acted_is_told_where_it_did():
    """Final episodes 1-3 return 1, 2, 3 times the scale, a quarter of the scale of each at steps of β."""
    evaluation = Evaluation(BUDGET, [Scripted(8.0, inaction=1), Scripted(8.0)])
    for _ in range(6):
        evaluation.advance_final()
    assert evaluation.extras(0) == {"rtbench/return_agent": 14.0, "rtbench/return_default": 2.0}
    assert evaluation.extras(1) == {}


def test_cuts_are_evaluated_last_and_made_only_then():
    made = []

    def cut():
        made.append(True)
        return [Scripted(2.0)]

    evaluation = Evaluation(BUDGET, [Scripted(1.0)], {WHOLE: lambda: [Scripted(1.0)], "observation->head": cut})
    for _ in range(6):
        evaluation.advance_final()
    assert not made
    assert not evaluation.done
    while not evaluation.done:
        evaluation.advance_final()
    assert evaluation.extras(0) == pytest.approx(
        {
            "rtbench/whole": 2.0,
            "rtbench/whole, sd": 1.0,
            "rtbench/cut observation->head": 4.0,
            "rtbench/cut observation->head, sd": 2.0,
        }
    )


def test_a_trained_policys_cuts_are_what_probing_its_file_gives(tmp_path):
    """SAC with a cut, stopped within the cut's evaluation and continued, against the saved policy probed by hand."""
    from rtbench.learners.cuts import cut

    cell = small_cell(
        arch={"skips": "to-action"},
        inter=interaction(delta=1.0),
        learner={"cuts": ["obs->policy", "layer1->head"]},
        budget=Budget(steps=80, eval_every=80, eval_episodes=1, final_eval_episodes=2),
    )

    def new():
        return build(cell.learner).make(RunBatch(cell, (3,)))

    program, folder = new(), CheckpointFolder(tmp_path)
    while "obs->policy" not in program.evaluation.state()["final"]:
        program.advance()
    folder.save(program, {})
    again = new()
    CheckpointFolder(tmp_path).load(again)
    for one in (program, again):
        while not one.done:
            one.advance()
    extras = [one.outcomes()[0].extras for one in (program, again)]
    assert extras[0] == extras[1]
    (policy,) = program.policies(["0" * 64])
    graph = program.graph
    assert extras[0]["rtbench/whole"] == evaluate(policy, 2, phase="evaluate").mean
    for edge in ("obs->policy", "layer1->head"):
        found = evaluate(policy, 2, parameters=cut(graph, policy.parameters, edge), phase="evaluate")
        assert extras[0][f"rtbench/cut {edge}"] == found.mean


def test_an_edge_that_cannot_be_cut_is_told_before_anything_is_trained():
    cell = small_cell(learner={"cuts": ["observation->head"]})
    with pytest.raises(SuiteError, match="head does not read observation"):
        build(cell.learner).make(RunBatch(cell, (3,)))
