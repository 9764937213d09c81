"""Windows out of a replay, index by index."""

from __future__ import annotations

import numpy as np
import torch


class WindowReplay:
    """Transitions in arrays; windows of `ticks` observations ending in a state and in the next one."""

    def __init__(self, capacity: int, observation_size: int, action_size: int, ticks: int) -> None:
        self.o = np.zeros((capacity, observation_size), np.float32)
        self.a = np.zeros((capacity, action_size), np.float32)
        self.r, self.d = np.zeros(capacity, np.float32), np.zeros(capacity, np.float32)
        self.size, self.ticks = 0, ticks

    def add(self, o, a, r, d) -> None:
        self.o[self.size], self.a[self.size], self.r[self.size], self.d[self.size] = o, a, r, d
        self.size += 1

    def sample(self, rng, batch: int):
        windows, following, actions, rewards, dones = [], [], [], [], []
        while len(windows) < batch:
            i = int(rng.integers(self.ticks - 1, self.size - 1))
            if self.d[i - self.ticks + 1 : i].any():
                continue
            windows.append(self.o[i - self.ticks + 1 : i + 1])
            following.append(self.o[i - self.ticks + 2 : i + 2])
            actions.append(self.a[i])
            rewards.append(self.r[i])
            dones.append(self.d[i])
        return [torch.tensor(np.array(x)) for x in (windows, following, actions, rewards, dones)]
