"""What a policy earns when its actions come late: five inference times, one environment, nothing trained.

python examples/policy_under_delay.py
"""

import gymnasium
import numpy as np
from balance import act

from rtbench.gym import RealTime

LATENCIES = ("10ms", "40ms", "lognormal:40ms:0.1", "60ms", "80ms")
EPISODES, STEPS = 3, 200  # a return of 200 is the best there is

print(f"{'inference':20} {'return':>8} {'oldest action':>14} {'default policy':>15}")
for latency in LATENCIES:
    env = RealTime(gymnasium.make("InvertedPendulum-v5", max_episode_steps=STEPS), latency=latency)
    returns, ages, held, steps = [], [], 0, 0
    for seed in range(EPISODES):
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, info = env.step(act(observation))
            told = info["rtbench"]  # of the environment steps since the last call
            ages += list(told["ages_steps"])
            held, steps = held + told["default_policy_steps"], steps + told["env_steps"]
            total, over = total + reward, terminated or truncated
        returns.append(total)
    print(f"{latency:20} {np.mean(returns):8.1f} {max(ages):8d} steps {held / steps:15.0%}")
