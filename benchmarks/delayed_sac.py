"""Speed of delayed SAC against a plain eager implementation, as a ratio measured in one run.

    python benchmarks/delayed_sac.py [--threads 1] [--updates 200] [--rounds 3]

The plain agent below is what one writes first: a module per network, the hidden state simulated tick by tick over every
window, a Python loop over the batch in the replay, two separate critics, default Adam. Both train the same task:
HalfCheetah-v4, three layers with projections from the observation, augmented by two actions, δ = 1, batch and width
256.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from torch import nn

from rtbench.cell import Budget, Cell, Interaction, RunBatch
from rtbench.plugins import build, use

OBS, ACT, WIDTH, BATCH, LAYERS = 17, 6, 256, 256, 3


class PlainActor(nn.Module):
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


class PlainCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(OBS + 3 * ACT, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, observation, action):
        x = torch.relu(self.one(torch.cat([observation, action], 1)))
        return self.three(torch.relu(self.two(x)))


class PlainReplay:
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


class PlainSAC:
    """One environment, one update per tick; acts through torch."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.actor = PlainActor()
        self.q1, self.q2, self.t1, self.t2 = (PlainCritic() for _ in range(4))
        self.t1.load_state_dict(self.q1.state_dict())
        self.t2.load_state_dict(self.q2.state_dict())
        self.q_optimiser = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=1e-3)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.alpha_optimiser = torch.optim.Adam([self.log_alpha], lr=1e-3)
        self.replay = PlainReplay(1_000_000)
        self.updates = 0
        self.env = build(use("environments", "mujoco", {"id": "HalfCheetah-v4"})).make()
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


def ours():
    """rtbench's program for the same cell."""
    architecture = {"layers": 3, "skips": "from-obs", "augmentation": "observation", "actions": 2}
    cell = Cell(
        use("environments", "mujoco", {"id": "HalfCheetah-v4"}),
        use("architectures", "mlp", architecture),
        Interaction(use("schedulers", "one-process"), "pipelined", 1.0, use("default_policies", "repeat-last")),
        use("learners", "sac", {"learning_starts": 1500}),
        use("backends", "numpy"),
        Budget(1_000_000, "ticks", 1_000_000, 1, 1),
    )
    return build(cell.learner).make(RunBatch(cell, (0,)))


def timed(function, count: int) -> float:
    """Median seconds of a call; the median, because a shared machine stalls now and then for a millisecond."""
    found = []
    for _ in range(count):
        begin = time.perf_counter()
        function()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plain, program = PlainSAC(0), ours()
    for _ in range(1500):
        plain.act()
        program.advance()
    for _ in range(20):
        plain.update()
        program.advance()

    def plain_step() -> None:
        plain.act()
        plain.update()

    def pair(function):
        """Two updates in a row: every second one also updates the policy."""

        def both() -> None:
            function()
            function()

        return both

    rows = {
        "update with sampling": (plain.update, program.update),
        "with the environment": (plain_step, program.advance),
    }
    print(f"threads {arguments.threads}, {arguments.updates} updates × {arguments.rounds} rounds, interleaved")
    for name, (theirs, mine) in rows.items():
        found = [
            tuple(timed(pair(function), arguments.updates // 2) / 2 for function in (theirs, mine))
            for _ in range(arguments.rounds)
        ]
        ratios = [a / b for a, b in found]
        slow, fast = (statistics.median(column) * 1e3 for column in zip(*found, strict=True))
        spread = f"{min(ratios):.2f} … {max(ratios):.2f}"
        print(f"{name}: plain {slow:.2f} ms, rtbench {fast:.2f} ms, ratio {statistics.median(ratios):.2f} ({spread})")


if __name__ == "__main__":
    main()
