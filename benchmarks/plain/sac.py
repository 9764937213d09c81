"""SAC without delay as one file of eager torch, after CleanRL's `sac_continuous_action.py`."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from plain.training import ACT, BATCH, CAPACITY, OBS, WIDTH, half_cheetah


class Actor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(OBS, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mean, self.log_std = nn.Linear(WIDTH, ACT), nn.Linear(WIDTH, ACT)

    def get_action(self, x):
        x = F.relu(self.fc2(F.relu(self.fc1(x))))
        mean, log_std = self.mean(x), torch.tanh(self.log_std(x))
        log_std = -5 + 0.5 * (2 - -5) * (log_std + 1)
        normal = torch.distributions.Normal(mean, log_std.exp())
        raw = normal.rsample()
        action = torch.tanh(raw)
        log_p = normal.log_prob(raw) - torch.log(1 - action.pow(2) + 1e-6)
        return action, log_p.sum(1, keepdim=True)


class SoftQNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(OBS + ACT, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, x, a):
        x = torch.cat([x, a], 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Replay:
    """Transitions in arrays, a batch by one fancy index each."""

    def __init__(self) -> None:
        self.o, self.n = np.zeros((CAPACITY, OBS), np.float32), np.zeros((CAPACITY, OBS), np.float32)
        self.a = np.zeros((CAPACITY, ACT), np.float32)
        self.r, self.d = np.zeros(CAPACITY, np.float32), np.zeros(CAPACITY, np.float32)
        self.size = 0

    def add(self, o, n, a, r, d) -> None:
        at = self.size % CAPACITY
        self.o[at], self.n[at], self.a[at], self.r[at], self.d[at] = o, n, a, r, d
        self.size += 1

    def sample(self, rng):
        at = rng.integers(0, min(self.size, CAPACITY), BATCH)
        return [torch.tensor(x[at]) for x in (self.o, self.n, self.a, self.r, self.d)]


class SAC:
    """One environment, one update per step."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.actor = Actor()
        self.qf1, self.qf2, self.qf1_target, self.qf2_target = (SoftQNetwork() for _ in range(4))
        self.qf1_target.load_state_dict(self.qf1.state_dict())
        self.qf2_target.load_state_dict(self.qf2.state_dict())
        self.q_optimizer = torch.optim.Adam([*self.qf1.parameters(), *self.qf2.parameters()], lr=1e-3)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.alpha = self.log_alpha.exp().item()
        self.a_optimizer = torch.optim.Adam([self.log_alpha], lr=1e-3)
        self.replay, self.updates = Replay(), 0
        self.env = half_cheetah()
        self.observation, _ = self.env.reset(seed=seed)

    def choose(self, observation):
        """A sampled action for one observation."""
        with torch.no_grad():
            return self.actor.get_action(torch.tensor(observation).unsqueeze(0))[0][0].numpy()

    def act(self) -> None:
        observation = self.observation.astype(np.float32)
        action = self.choose(observation)
        following, reward, terminated, truncated, _ = self.env.step(action)
        self.replay.add(observation, following, action, reward, float(terminated))
        self.observation = following
        if terminated or truncated:
            self.observation, _ = self.env.reset()

    def update(self) -> None:
        o, n, a, r, d = self.replay.sample(self.rng)
        with torch.no_grad():
            next_action, next_log_p = self.actor.get_action(n)
            target = torch.min(self.qf1_target(n, next_action), self.qf2_target(n, next_action))
            goal = r + (1 - d) * 0.99 * (target - self.alpha * next_log_p).view(-1)
        loss = F.mse_loss(self.qf1(o, a).view(-1), goal) + F.mse_loss(self.qf2(o, a).view(-1), goal)
        self.q_optimizer.zero_grad()
        loss.backward()
        self.q_optimizer.step()
        self.updates += 1
        if self.updates % 2 == 0:
            for _ in range(2):
                self.update_policy(o)
        for target_net, net in ((self.qf1_target, self.qf1), (self.qf2_target, self.qf2)):
            for old, new in zip(target_net.parameters(), net.parameters(), strict=True):
                old.data.copy_(0.005 * new.data + 0.995 * old.data)

    def update_policy(self, o) -> None:
        action, log_p = self.actor.get_action(o)
        q = torch.min(self.qf1(o, action), self.qf2(o, action))
        actor_loss = ((self.alpha * log_p) - q).mean()
        self.actor_optimizer.zero_grad()
        actor_loss.backward()
        self.actor_optimizer.step()
        with torch.no_grad():
            _, log_p = self.actor.get_action(o)
        alpha_loss = (-self.log_alpha.exp() * (log_p - ACT)).mean()
        self.a_optimizer.zero_grad()
        alpha_loss.backward()
        self.a_optimizer.step()
        self.alpha = self.log_alpha.exp().item()
