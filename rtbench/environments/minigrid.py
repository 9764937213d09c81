"""MiniGrid: gridworlds seen through a small window, in pixels or in symbols."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rtbench.parts import Environment, EnvironmentSpec, param

if TYPE_CHECKING:
    import gymnasium

    from rtbench.cell import Cell
    from rtbench.many import Many


@dataclass(frozen=True)
class Params:
    """Which world, and how it is seen."""

    id: str = param(doc="Gymnasium id, e.g. MiniGrid-Empty-Random-5x5-v0 or MiniGrid-DoorKey-5x5-v0")
    view: Literal["rgb", "symbolic"] = param("rgb", doc="pixels (8 a cell), or (object, colour, state) of every cell")
    frames: int = param(1, unit="frames", doc="newest views stacked in the channels")
    max_steps: int | None = param(
        None, unit="steps", doc="time limit, on which the reward depends, too; none: the id's own"
    )
    step_s: float = param(0.1, unit="s", doc="τ_M: the worlds have no clock; MiniGrid's own display shows 10 steps/s")


class MiniGrid(Environment):
    """MiniGrid (Chevalier-Boisvert et al. 2023), as Handling Delay, Table 11: the partial view in pixels.

    Observations bytes [56, 56, 3 · frames] (rgb, served divided by 255) or [7, 7, 3 · frames] (symbolic, served divided
    by 10), the newest frame in the last channels; before an episode's start stands its first view. Neither the compass
    nor the mission is given. Actions left, right, forward, pickup, drop, toggle, done. The last does nothing (`noop`),
    except in the GoTo worlds, where it ends the episode, and in Dynamic-Obstacles, which lacks it; those have none.
    Time limits truncate: 4·size² steps in Empty, 10·size² in DoorKey. The reward is 1 − 0.9·steps/limit at the goal.

    Pictures come from a table of tiles that MiniGrid draws once each; equal pixel for pixel to what it draws itself.
    """

    Params = Params
    requires = ("minigrid",)
    extra = "rtbench[minigrid]"
    preload = ("minigrid", "rtbench.environments.minigrid_world")
    actions = "discrete"

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """At least one frame, and a limit that lets a step happen."""
        p = cell.environment.params
        for name in ("frames", "max_steps"):
            if p[name] is not None and p[name] < 1:
                return f"environment minigrid: {name} must be at least 1, got {p[name]}"
        return None if p["step_s"] > 0 else f"environment minigrid: step_s must be positive, got {p['step_s']}"

    def make(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """A fresh world with its time limit; SuiteError if MiniGrid knows no such id."""
        from rtbench.environments.minigrid_world import World

        p: Params = self.params
        return World(p.id, p.view, p.frames, p.max_steps, render_mode)

    def make_many(self, count: int) -> Many:
        """Worlds whose pictures are drawn in one table lookup."""
        from rtbench.environments.minigrid_view import Tiles
        from rtbench.environments.minigrid_world import Grids, World

        p: Params = self.params
        tiles = Tiles()
        worlds = [World(p.id, p.view, p.frames, p.max_steps, tiles=tiles) for _ in range(count)]
        return Grids(worlds, tiles, self.spec(), draws=p.view == "rgb")

    def spec(self) -> EnvironmentSpec:
        """Shapes and the time limit, read off the world itself."""
        return _spec(self.params)


@functools.cache
def _spec(params: Params) -> EnvironmentSpec:
    from rtbench.environments.minigrid_world import HIGHEST_CODE

    env: Any = MiniGrid(params).make()
    actions = int(env.action_space.n)
    done_is_idle = params.id.startswith("MiniGrid-") and not params.id.startswith("MiniGrid-GoTo") and actions == 7
    spec = EnvironmentSpec(
        observation_shape=env.observation_space.shape,
        action_size=actions,
        continuous=False,
        step_s=params.step_s,
        max_episode_steps=int(env.inner.max_steps),
        noop=6 if done_is_idle else None,
        observation_dtype="uint8",
        observation_scale=1 / (255 if params.view == "rgb" else HIGHEST_CODE),
    )
    env.close()
    return spec
