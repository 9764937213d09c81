"""PPO of Stable-Baselines3 learning behind a delay: as it stands, and with its last actions in the observation.

python examples/stable_baselines.py [STEPS]
"""

import sys

import gymnasium
from stable_baselines3 import PPO

from rtbench.gym import ActionHistory, RealTime

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000


def delayed(history: int) -> gymnasium.Env:
    """A pendulum on a cart whose policy takes 60 ms, with three inference processes: an action every step, late."""
    env = gymnasium.make("InvertedPendulum-v5")
    env = RealTime(env, latency="60ms", scheduler="staggered-max", processes=3)
    return ActionHistory(env, count=history) if history else env


for history in (0, 3):
    env = delayed(history)
    model = PPO("MlpPolicy", env, n_steps=min(512, steps), seed=0).learn(steps)
    lengths = []
    for seed in range(5):
        observation, _ = env.reset(seed=100 + seed)
        length, over = 0, False
        while not over:
            action, _ = model.predict(observation, deterministic=True)
            observation, _, terminated, truncated, info = env.step(action)
            length, over = length + info["rtbench"]["env_steps"], terminated or truncated
        lengths.append(length)
    print(f"{history} actions in the observation, {steps} steps: upright for {sum(lengths) / 5:.0f} steps")
