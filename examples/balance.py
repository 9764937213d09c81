"""A policy as a plain function: linear feedback that balances MuJoCo's inverted pendulum."""

import numpy as np

GAINS = np.array([0.5, 12.0, 0.9, 1.8])
"""On the cart's position, the pole's angle, and their velocities."""


def act(observation):
    """The force on the cart, -3 to 3, from an observation of four numbers."""
    return np.clip(observation @ GAINS, -3.0, 3.0).reshape(1).astype(np.float32)
