"""MuJoCo locomotion through Gymnasium: the v4 environments of Handling Delay, and v5 by id."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rtbench.parts import Environment, EnvironmentSpec, param

if TYPE_CHECKING:
    import gymnasium

    from rtbench.cell import Cell

Id = Literal[
    "Ant-v4",
    "Ant-v5",
    "HalfCheetah-v4",
    "HalfCheetah-v5",
    "Hopper-v4",
    "Hopper-v5",
    "Humanoid-v4",
    "Humanoid-v5",
    "HumanoidStandup-v4",
    "HumanoidStandup-v5",
    "InvertedDoublePendulum-v4",
    "InvertedDoublePendulum-v5",
    "InvertedPendulum-v4",
    "InvertedPendulum-v5",
    "Pusher-v5",
    "Reacher-v4",
    "Reacher-v5",
    "Swimmer-v4",
    "Swimmer-v5",
    "Walker2d-v4",
    "Walker2d-v5",
]


@dataclass(frozen=True)
class Params:
    """Which environment, and at which pace."""

    id: Id = param(doc="Gymnasium id; v4 as the paper, v5 differs in rewards and observations")
    action_repeat: int = param(1, unit="steps", doc="steps each action is applied, rewards summed", added=True)
    observation_rate: int = param(
        1, unit="×", doc="observations this many times as often, each step shorter and worth less reward", added=True
    )
    speed: float = param(
        1.0, unit="×", doc="the same world, so many times faster than real time: τ_M is divided by it", added=True
    )


class MuJoCo(Environment):
    """Continuous control in MuJoCo (Handling Delay, Section 5: HalfCheetah, Walker2d, Ant, Hopper, all v4).

    Observations float64 vectors, actions in a box, a time limit that truncates. τ_M is the model's time step times the
    frame skip (HalfCheetah 50 ms, Hopper and Walker2d 8 ms, Ant 50 ms). `action_repeat` makes a step of so many, as the
    paper's SAC-repeat (Appendix C, Table 6); `observation_rate` makes so many of one (Section 5.1). `speed` makes a
    task stand for a plant that is controlled faster: 1000 makes InvertedPendulum's 40 ms a control loop of 25 kHz.
    """

    Params = Params
    requires = ("mujoco", "imageio")
    extra = "rtbench[mujoco]"
    preload = ("gymnasium.envs.mujoco",)
    actions = "continuous"

    @classmethod
    def supports(cls, cell: Cell) -> str | None:
        """A pace of at least 1."""
        for name in ("action_repeat", "observation_rate"):
            value = cell.environment.params.get(name, 1)
            if value < 1:
                return f"environment mujoco: {name} must be at least 1, got {value}"
        speed = cell.environment.params.get("speed", 1.0)
        if not 0 < speed <= 1e6:
            return f"environment mujoco: speed must be above 0 and at most 1e6, got {speed}"
        name = str(cell.environment.params["id"])
        if cell.environment.params.get("observation_rate", 1) > 1 and name.startswith("HumanoidStandup"):
            return f"environment mujoco: {name} divides its reward by the time step, so it has no observation_rate"
        return None

    def make(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """A fresh environment with its time limit."""
        import gymnasium
        import mujoco

        from rtbench.environments.pace import ActionRepeat, FinerSteps

        p: Params = self.params
        limit = (gymnasium.spec(p.id).max_episode_steps or 1000) * p.observation_rate

        # MuJoCo reports numerical trouble into a file in the working directory; the reward already shows it.
        mujoco.set_mju_user_warning(lambda message: None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "v4 is out of date" is the paper's choice, not the user's mistake
            env: gymnasium.Env[Any, Any] = gymnasium.make(
                p.id, render_mode=render_mode, disable_env_checker=True, max_episode_steps=limit
            )
        if p.observation_rate > 1:
            env = FinerSteps(env, p.observation_rate)
        return ActionRepeat(env, p.action_repeat) if p.action_repeat > 1 else env

    def spec(self) -> EnvironmentSpec:
        """Shapes and τ_M, read off the environment itself."""
        return _spec(self.params)


@functools.cache
def _spec(params: Params) -> EnvironmentSpec:
    env = MuJoCo(params).make()
    space: Any = env.action_space
    limit = env.get_wrapper_attr("_max_episode_steps")
    spec = EnvironmentSpec(
        observation_shape=tuple(env.observation_space.shape or ()),
        action_size=int(space.shape[0]),
        continuous=True,
        step_s=round(float(env.unwrapped.dt) * params.action_repeat / params.speed, 9),  # type: ignore[attr-defined]
        max_episode_steps=-(-limit // params.action_repeat),
        action_low=tuple(float(x) for x in space.low),
        action_high=tuple(float(x) for x in space.high),
    )
    env.close()
    return spec
