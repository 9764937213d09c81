"""Delayed SAC as one writes it first: hidden values simulated tick by tick over every window, in eager torch.

A module per network, a Python loop over the batch in the replay, two separate critics, default Adam. Three layers with
projections from the observation, augmented by two actions, one environment step a layer (Handling Delay, Algorithm 1).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from plain.training import ACT, BATCH, CAPACITY, OBS, WIDTH, half_cheetah

LAYERS = 3


class Actor(nn.Module):
    """Three layers, each also reading the augmented observation; one call is one tick of the whole network."""

    def __init__(self) -> None:
        super().__init__()
        size = OBS + 2 * ACT
        self.first = nn.Linear(size, WIDTH)
        self.second = nn.Linear(size + WIDTH, WIDTH)
        self.mean = nn.Linear(size + WIDTH, ACT)
        self.log_std = nn.Linear(size + WIDTH, ACT)

    def forward(self, observation, hidden):
        """a_t and the hidden values of t + 1 from the observation and the hidden values of t (the paper's Algorithm 1).

        The action is what the last layer had finished when the tick began; every layer then computes.
        """
        h1, h2, mean, log_std = hidden
        new1 = torch.relu(self.first(observation))
        new2 = torch.relu(self.second(torch.cat([observation, h1], 1)))
        joined = torch.cat([observation, h2], 1)
        new_log_std = -5 + 3.5 * (torch.tanh(self.log_std(joined)) + 1)
        return (mean, log_std), (new1, new2, self.mean(joined), new_log_std)

    def act(self, window):
        """The action at the end of a sub-trajectory [batch, ticks, features], simulated from zero hidden values."""
        batch = window.shape[0]
        hidden = (
            torch.zeros(batch, WIDTH),
            torch.zeros(batch, WIDTH),
            torch.zeros(batch, ACT),
            torch.zeros(batch, ACT),
        )
        for tick in range(window.shape[1]):
            (mean, log_std), hidden = self(window[:, tick], hidden)
        normal = torch.distributions.Normal(mean, log_std.exp())
        raw = normal.rsample()
        action = torch.tanh(raw)
        log_p = normal.log_prob(raw) - torch.log(1 - action.pow(2) + 1e-6)
        return action, log_p.sum(1, keepdim=True)


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(OBS + 3 * ACT, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, observation, action):
        x = torch.relu(self.one(torch.cat([observation, action], 1)))
        return self.three(torch.relu(self.two(x)))


class Replay:
    """Transitions in arrays; windows assembled index by index."""

    def __init__(self, capacity: int) -> None:
        self.o = np.zeros((capacity, OBS + 2 * ACT), np.float32)
        self.a = np.zeros((capacity, ACT), np.float32)
        self.r, self.d = np.zeros(capacity, np.float32), np.zeros(capacity, np.float32)
        self.capacity, self.size = capacity, 0

    def add(self, o, a, r, d) -> None:
        at = self.size % self.capacity
        self.o[at], self.a[at], self.r[at], self.d[at] = o, a, r, d
        self.size += 1

    def sample(self, rng):
        windows, following, states, actions, rewards, dones, nexts = [], [], [], [], [], [], []
        while len(windows) < BATCH:
            i = int(rng.integers(LAYERS, min(self.size, self.capacity) - 1))
            if self.d[i - LAYERS : i].any():
                continue
            # One sub-trajectory of N + 2 observations: its first N + 1 end in a_t, all of them in a_{t+1}.
            windows.append(self.o[i - LAYERS : i + 1])
            following.append(self.o[i - LAYERS : i + 2])
            states.append(self.o[i])
            nexts.append(self.o[i + 1])
            actions.append(self.a[i])
            rewards.append(self.r[i])
            dones.append(self.d[i])
        return [torch.tensor(np.array(x)) for x in (windows, following, states, nexts, actions, rewards, dones)]


class DelayedSAC:
    """One environment, one update per tick; acts through torch."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.actor = Actor()
        self.q1, self.q2, self.t1, self.t2 = (Critic() for _ in range(4))
        self.t1.load_state_dict(self.q1.state_dict())
        self.t2.load_state_dict(self.q2.state_dict())
        self.q_optimiser = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=1e-3)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.alpha_optimiser = torch.optim.Adam([self.log_alpha], lr=1e-3)
        self.replay = Replay(CAPACITY)
        self.updates = 0
        self.env = half_cheetah()
        self.reset()

    def reset(self) -> None:
        self.observation, _ = self.env.reset(seed=int(self.rng.integers(2**31)))
        self.past = [np.zeros(ACT, np.float32)] * 2
        self.hidden = (torch.zeros(1, WIDTH), torch.zeros(1, WIDTH), torch.zeros(1, ACT), torch.zeros(1, ACT))

    def act(self) -> None:
        augmented = np.concatenate([self.observation, *self.past]).astype(np.float32)
        with torch.no_grad():
            (mean, log_std), self.hidden = self.actor(torch.from_numpy(augmented).unsqueeze(0), self.hidden)
            action = torch.tanh(torch.distributions.Normal(mean, log_std.exp()).rsample())[0].numpy()
        observation, reward, terminated, truncated, _ = self.env.step(action)
        self.replay.add(augmented, action, reward, float(terminated))
        self.past = [action, self.past[0]]
        self.observation = observation
        if terminated or truncated:
            self.reset()

    def update(self) -> None:
        window, following, state, nexts, action, reward, done = self.replay.sample(self.rng)
        with torch.no_grad():
            next_action, next_log_p = self.actor.act(following)
            target = torch.min(self.t1(nexts, next_action), self.t2(nexts, next_action))
            goal = reward[:, None] + (1 - done[:, None]) * 0.99 * (target - self.log_alpha.exp() * next_log_p)
        loss = nn.functional.mse_loss(self.q1(state, action), goal) + nn.functional.mse_loss(
            self.q2(state, action), goal
        )
        self.q_optimiser.zero_grad()
        loss.backward()
        self.q_optimiser.step()
        self.updates += 1
        if self.updates % 2 == 0:
            for _ in range(2):
                chosen, log_p = self.actor.act(window)
                q = torch.min(self.q1(state, chosen), self.q2(state, chosen))
                actor_loss = (self.log_alpha.exp().detach() * log_p - q).mean()
                self.actor_optimiser.zero_grad()
                actor_loss.backward()
                self.actor_optimiser.step()
                with torch.no_grad():
                    _, log_p = self.actor.act(window)
                alpha_loss = (-self.log_alpha.exp() * (log_p - ACT)).mean()
                self.alpha_optimiser.zero_grad()
                alpha_loss.backward()
                self.alpha_optimiser.step()
        for target_net, net in ((self.t1, self.q1), (self.t2, self.q2)):
            for old, new in zip(target_net.parameters(), net.parameters(), strict=True):
                old.data.copy_(0.005 * new.data + 0.995 * old.data)
