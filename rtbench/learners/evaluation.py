"""Evaluating what is being trained: a curve while it trains, a final score, and the score with edges cut.

One `advance` is one episode of one run, so that a signal is answered soon. Evaluation has worlds and random streams of
its own, so that how often it is made changes nothing in training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rtbench.learners.acting import take_anew
from rtbench.learners.tally import mean_counts

if TYPE_CHECKING:
    from rtbench.cell import Budget
    from rtbench.learners.loop import Loop

Episodes = list[list[list[float]]]
"""Per run, per episode: return, length in environment steps, and the share of the return at steps of β."""


WHOLE = "whole"
"""Stands among cuts for the policy with nothing cut."""
MakeLoops = Callable[[], Sequence["Loop"]]


class Evaluation:
    """The evaluations of a batch of runs.

    `cuts` make the loops of policies that lack an edge, by the edge's name, and under `WHOLE` of the policy itself: all
    of these begin their episodes alike. They are made when training is over.
    """

    def __init__(self, budget: Budget, loops: Sequence[Loop], cuts: Mapping[str, MakeLoops] | None = None) -> None:
        self._budget, self._cuts = budget, dict(cuts or {})
        self._loops: dict[str, list[Loop]] = {"": list(loops)}
        self._current: Episodes | None = None
        self._final: dict[str, Episodes] = {}
        self.curve: list[tuple[int, list[float]]] = []
        """(units trained, mean return of every run) of each evaluation."""
        self._told = 0

    # ---- running ---------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a point of the curve is under way."""
        return self._current is not None

    @property
    def done(self) -> bool:
        """Whether every final score is there."""
        return len(self._final) == 1 + len(self._cuts) and all(map(self._enough, self._final.values()))

    def _enough(self, found: Episodes) -> bool:
        return len(found[-1]) >= self._budget.final_eval_episodes  # runs take turns, the last one comes last

    def after(self, units: int) -> None:
        """Begin a point of the curve if one is due after so many units of training."""
        if units % self._budget.eval_every == 0 and self._budget.eval_episodes:
            self._current = [[] for _ in self._loops[""]]

    def advance(self, units: int) -> None:
        """An episode of the point under way, which stands for `units` of training."""
        assert self._current is not None
        self._episode("", self._current)
        if len(self._current[-1]) >= self._budget.eval_episodes:
            returns = [float(np.mean([total for total, *_ in episodes])) for episodes in self._current]
            self.curve.append((units, returns))
            self._current = None

    def advance_final(self) -> None:
        """An episode of the final score, then of each cut's."""
        for name in ("", *self._cuts):
            found = self._final.setdefault(name, [[] for _ in self._loops[""]])
            if not self._enough(found):
                self._episode(name, found)
                return

    def _of(self, name: str) -> list[Loop]:
        if name not in self._loops:
            self._loops[name] = list(self._cuts[name]())
        return self._loops[name]

    def _episode(self, name: str, found: Episodes) -> None:
        run = min(range(len(found)), key=lambda index: len(found[index]))
        loop = self._of(name)[run]
        take_anew(loop.actings)
        total = loop.run_episode()
        found[run].append([total, float(loop.lengths[-1]), loop.default_returns[-1]])

    # ---- telling ---------------------------------------------------------------------------------------------------

    def metrics(self) -> list[dict[str, float]]:
        """The points of the curve since the last call."""
        fresh = self.curve[self._told :]
        self._told = len(self.curve)
        return [{"step": float(step), **{f"eval_return/{i}": r for i, r in enumerate(found)}} for step, found in fresh]

    def columns(self, run: int) -> dict[str, Any]:
        """The score columns of a run's row."""
        curve = [found[run] for _, found in self.curve]
        final = self._final.get("", [[] for _ in self._loops[""]])[run]
        return {
            **final_columns(final, self._loops[""][run].spec.step_s),
            "eval_return_auc": float(np.mean(curve)) if curve else None,
            "eval_step": [step for step, _ in self.curve],
            "eval_return": curve,
        }

    def extras(self, run: int) -> dict[str, float]:
        """Mean and standard deviation over the final episodes of the whole policy and of each cut one.

        Where the default policy filled in, the final return by who acted when it was earned; where worlds count
        something, its mean over the final episodes.
        """
        final = self._final.get("", [[] for _ in self._loops[""]])[run]
        out = self._by_actor(run) | mean_counts(self._loops[""][run].counts[-len(final) :] if final else [])
        for name in self._cuts:
            totals = [total for total, *_ in self._final[name][run]]
            what = name if name == WHOLE else f"cut {name}"
            out[f"rtbench/{what}"] = float(np.mean(totals))
            if len(totals) > 1:
                out[f"rtbench/{what}, sd"] = float(np.std(totals, ddof=1))
        return out

    def _by_actor(self, run: int) -> dict[str, float]:
        found = self._final.get("", [[] for _ in self._loops[""]])[run]
        if not (found and self._loops[""][run].tally.inaction):
            return {}
        total, _, default = (float(value) for value in np.mean(found, axis=0))
        return {"rtbench/return_agent": total - default, "rtbench/return_default": default}

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Worlds, curve, what is under way."""
        return {
            "loops": {name: [loop.state() for loop in loops] for name, loops in self._loops.items()},
            "curve": [[step, found] for step, found in self.curve],
            "current": self._current,
            "final": self._final,
            "told": self._told,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Back to a state; the policy must be restored before."""
        for name, kept in state["loops"].items():
            for loop, saved in zip(self._of(name), kept, strict=True):
                loop.restore(saved)
        self.curve = [(step, list(found)) for step, found in state["curve"]]
        self._current, self._final, self._told = state["current"], state["final"], state["told"]


def final_columns(episodes: Sequence[Sequence[float]], step_s: float) -> dict[str, float | None]:
    """The columns of a final evaluation from its episodes' returns and lengths in steps of `step_s`."""
    if not episodes:
        return dict.fromkeys(("eval_return_final", "eval_return_per_s", "eval_length_final"))
    totals, lengths = ([episode[k] for episode in episodes] for k in (0, 1))
    return {
        "eval_return_final": float(np.mean(totals)),
        "eval_return_per_s": sum(totals) / (sum(lengths) * step_s),
        "eval_length_final": float(np.mean(lengths)),
    }
