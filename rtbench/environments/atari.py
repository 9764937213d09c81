"""Atari 2600 games through the Arcade Learning Environment."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rtbench.parts import Environment, EnvironmentSpec, param

if TYPE_CHECKING:
    import gymnasium

    from rtbench.cell import Cell

FRAME_HZ = 60
"""Frames a second of the console (NTSC, 59.92, taken as 60 as both papers do)."""


@dataclass(frozen=True)
class Params:
    """Which game, and what a step and an observation of it are."""

    id: str = param(doc="Gymnasium id, e.g. ALE/Breakout-v5 or BoxingNoFrameskip-v4")
    frames: int = param(4, unit="frames", doc="newest observations stacked in the channels")
    frame_skip: int | None = param(
        None, unit="frames", doc="frames an action is held; none: the id's own (v5: 4, NoFrameskip: 1)"
    )
    sticky_action_prob: float | None = param(
        None, doc="probability that a frame repeats the action before; none: the id's own (v5: 0.25, v4: 0)"
    )
    pooled_frames: int = param(
        1, unit="frames", doc="newest frames of a step seen as one, the brighter pixel each (Mnih et al. 2015: 2)"
    )
    actions: Literal["minimal", "full"] = param("minimal", doc="the actions that matter in the game, or all 18")
    noop_starts: int = param(0, unit="steps", doc="an episode starts after 0 to so many steps without action")
    max_frames: int = param(108_000, unit="frames", doc="time limit that truncates (30 minutes at 60 frames/s)")
    training_reward: Literal["raw", "sign"] = param(
        "raw", doc="what a learner trains on; returns are always the game's score"
    )


class Atari(Environment):
    """Atari 2600 (ALE, Bellemare et al. 2013; Machado et al. 2018), a whole game an episode.

    Observations bytes [84, 84, frames], grey, the newest last, served divided by 255: ALE's grey screen reduced by
    area. Handling Delay, Table 3: v5 ids (sticky 0.25, four frames a step, not skipped twice), four observations, the
    sign of the reward. Staggered Asynchronous Inference, Figure 6: NoFrameskip-v4 ids, an action in every frame, one
    observation, no no-op starts. Action 0 does nothing. τ_M is `frame_skip`/60 s.

    An episode is its seed and its actions: the console is put back into the state it has after loading the game, and
    sticky actions and no-op starts are drawn from the seed. (A plain reset of the console keeps its memory, so that in
    some games, Boxing and Freeway among them, an episode's start depends on the episode before.)
    """

    Params = Params
    requires = ("ale_py",)
    extra = "rtbench[atari]"
    preload = ("ale_py", "rtbench.environments.atari_world")
    actions = "discrete"

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """Counts of at least one, and a probability."""
        p = cell.environment.params
        for name in ("frames", "frame_skip", "pooled_frames", "max_frames"):
            if p[name] is not None and p[name] < 1:
                return f"environment atari: {name} must be at least 1, got {p[name]}"
        if p["noop_starts"] < 0:
            return f"environment atari: noop_starts must not be negative, got {p['noop_starts']}"
        sticky = p["sticky_action_prob"]
        if sticky is not None and not 0 <= sticky <= 1:
            return f"environment atari: sticky_action_prob is a probability, got {sticky}"
        return None

    def make(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """A fresh console with its game; SuiteError if ALE knows no such id, or a step of it has no fixed length."""
        from rtbench.environments.atari_world import World, cartridge

        p: Params = self.params
        game = cartridge(p.id, p.frame_skip, p.sticky_action_prob)
        return World(
            game,
            frames=p.frames,
            pooled=p.pooled_frames,
            all_actions=p.actions == "full",
            noop_starts=p.noop_starts,
            max_frames=p.max_frames,
            render_mode=render_mode,
        )

    def spec(self) -> EnvironmentSpec:
        """Shapes, actions and τ_M, read off the game."""
        return _spec(self.params)


@functools.cache
def _spec(params: Params) -> EnvironmentSpec:
    from rtbench.environments.atari_world import cartridge

    env: Any = Atari(params).make()
    skip = cartridge(params.id, params.frame_skip, params.sticky_action_prob).frame_skip
    return EnvironmentSpec(
        observation_shape=env.observation_space.shape,
        action_size=int(env.action_space.n),
        continuous=False,
        step_s=skip / FRAME_HZ,
        max_episode_steps=-(-params.max_frames // skip),
        noop=env.noop,
        observation_dtype="uint8",
        observation_scale=1 / 255,
        training_reward=params.training_reward,
        stacked_frames=params.frames,
    )
