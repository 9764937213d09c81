"""`rtbench watch`: a trained agent drawn step by step, with how old the observations behind every action are."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rtbench.cli.choices import Choice, Score, Witness, action_names, score_for
from rtbench.cli.film import Bar, film_for, slowed
from rtbench.cli.output import JsonOption, emit, line
from rtbench.cli.policies import (
    DeltaOption,
    LatencyOption,
    RunArgument,
    WayOption,
    about,
    changed,
    find_policy,
    heading,
    title,
)
from rtbench.cli.results import STATE, StateOption
from rtbench.errors import RtbenchError

if TYPE_CHECKING:
    from rtbench.learners.loop import Loop

GL_VARIABLE = "MUJOCO_GL"
GL_HINT = (
    "drawing without a screen needs OpenGL through EGL (Debian, Ubuntu: apt install libegl1 libgl1-mesa-dri; then "
    f"{GL_VARIABLE}=egl) or OSMesa (apt install libosmesa6; then {GL_VARIABLE}=osmesa)"
)


@dataclass(frozen=True)
class Moment:
    """After an environment step: its number within the episode, the reward so far, the ages behind its action.

    Ages in environment steps, None where the action rests on no observation. `newest_steps` ≤ `oldest_steps`. `choice`:
    of a policy that draws among discrete actions, with which probabilities; None where the default policy acted.
    """

    episode: int
    step: int
    reward: float
    newest_steps: int | None
    oldest_steps: int | None
    over: bool
    choice: Choice | None = None
    filled_in: bool = False
    """Whether the default policy acted, and not by holding the agent's action."""

    def words(self, step_s: float, slower: int = 1) -> list[str]:
        """Two lines below a frame."""
        reward = round(self.reward, 1) + 0.0  # not −0.0
        when = f"{self.step * step_s:.2f} s" if slower == 1 else f"{1e6 * self.step * step_s:.4g} µs, {slower}x slower"
        first = f"episode {self.episode + 1}, step {self.step} ({when}), reward {reward:.1f}"
        if self.filled_in:
            return [first, "the default policy acts"]
        return [first, _age(self.newest_steps, self.oldest_steps, step_s)]


def _age(newest: int | None, oldest: int | None, step_s: float) -> str:
    if newest is None or oldest is None:
        return "acts on no observation yet"
    scale, unit = (1e3, "ms") if step_s >= 1e-3 else (1e6, "µs")
    ages = [f"{scale * steps * step_s:.0f}" for steps in (newest, oldest)]
    if newest == oldest:
        return f"observation {newest} steps old ({ages[0]} {unit})"
    return f"observations {newest} to {oldest} steps old ({ages[0]} to {ages[1]} {unit})"


def watch(
    run: RunArgument,
    out: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help=".mp4, .gif, or .png for a contact sheet.")
    ],
    episodes: Annotated[int, typer.Option(help="Episodes to show.", min=1)] = 1,
    steps: Annotated[int | None, typer.Option(help="Stop every episode after so many steps.", min=1)] = None,
    frames: Annotated[int, typer.Option(help="Frames of a contact sheet, evenly apart.", min=1)] = 12,
    execution: WayOption = None,
    delta: DeltaOption = None,
    latency: LatencyOption = None,
    state: StateOption = STATE,
    json: JsonOption = False,
) -> None:
    """Draw a trained agent, each frame with the age of the observations its action rests on.

    Where it draws among discrete actions, the probabilities of each stand below, the one taken in a frame.
    """
    choose_gl()
    from gymnasium.wrappers import TimeLimit

    from rtbench import files
    from rtbench.plugins import build

    policy = find_policy(run, state)
    interaction = changed(policy.cell.interaction, execution, delta, latency)
    step_s = build(policy.cell.environment).spec().step_s
    slow = slowed(step_s)
    film = film_for(out, slow * step_s, frames)
    env = drawing_environment(policy.cell.environment)
    if steps:
        env = TimeLimit(env, steps)
    score = score_for(policy, "watch")
    decide = score if isinstance(score, Witness) else None
    loop = policy.loop(interaction, phase="watch", env=env, recorder=score, decide=decide)
    names = action_names(env, loop.spec.action_size) if decide else ()
    told: list[dict[str, float]] = []
    for frame, moment in enumerate(moments(loop, score, episodes)):
        if film.wants(frame):
            bars = _bars(moment.choice, names)
            film.add(_draw(env), [heading(policy, interaction), *moment.words(step_s, slow)], bars)
        if moment.over:
            told.append({"steps": moment.step, "return": moment.reward})
    env.close()
    files.write(out.absolute(), film.finish(), kind="films")
    data = {"schema_version": 1, **about(policy, interaction), "file": str(out), "episodes": told}

    def render() -> None:
        line(title(policy, interaction))
        for number, episode in enumerate(told, 1):
            line(f"episode {number}: {episode['steps']} steps, return {episode['return']:.4g}")
        line(f"written: {out}")

    emit(data, json=json, render=render)


def moments(loop: Loop, score: Score, episodes: int) -> Iterator[Moment]:
    """The steps of so many episodes, each told once it is done; `score` is the loop's recorder."""
    tally = loop.tally
    for episode in range(episodes):
        over = False
        while not over:
            before, idle = (Counter(tally.newest), Counter(tally.oldest)), tally.inaction
            over = loop.advance()
            # A step counts at most one age of each kind.
            newest, oldest = (
                next(iter(now - then), None) for now, then in zip((tally.newest, tally.oldest), before, strict=True)
            )
            filled_in = newest is None and tally.inaction > idle
            choice = None if filled_in else score.choice
            yield Moment(episode, score.step, score.reward, newest, oldest, over, choice, filled_in)


def _bars(choice: Choice | None, names: tuple[str, ...]) -> list[Bar]:
    """The actions with their probabilities, as a film shows them; without any where the default policy acted."""
    if choice is None:
        return [Bar(name) for name in names]
    told = zip(names, choice.probabilities, strict=True)
    return [Bar(name, share, number == choice.taken) for number, (name, share) in enumerate(told)]


def choose_gl() -> None:
    """Without a screen MuJoCo is told to draw through EGL, before it is imported, unless the user said otherwise."""
    screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if sys.platform == "linux" and not screen:
        os.environ.setdefault(GL_VARIABLE, "egl")


def drawing_environment(part: Any) -> Any:
    """The environment, drawing into memory; RtbenchError with the next step if this machine cannot."""
    from rtbench.plugins import build

    try:
        env = build(part).make(render_mode="rgb_array")
        env.reset(seed=0)
        _draw(env)
    except RtbenchError:
        raise
    except Exception as error:  # graphics libraries fail in ways of their own
        raise RtbenchError(
            f"this machine cannot draw {part.title}: {type(error).__name__}: {error}",
            place="rtbench watch",
            hint=GL_HINT,
        ) from error
    return env


def _draw(env: Any) -> Any:
    picture = env.render()
    if picture is None:
        raise RtbenchError("this environment draws nothing", place="rtbench watch")
    return picture
