"""A plain deep Q-learning update on images: modules, torch's Adam, no care for memory layout; the k = 1 network."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """A residual block."""
        return x + self.second(self.first(x.relu()).relu())


class Network(nn.Module):
    """15 convolutions in three stages, 512, actions."""

    def __init__(self, actions: int, k: float = 1.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        below = 1
        for filters in (round(16 * k), round(32 * k), round(32 * k)):
            layers += [nn.Conv2d(below, filters, 3), nn.MaxPool2d(3, 2), Block(filters), Block(filters)]
            below = filters
        layers += [nn.ReLU(), nn.Flatten(), nn.Linear(49 * below, 512), nn.ReLU(), nn.Linear(512, actions)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Values [n, A] of images [n, 1, 84, 84] in 0…1."""
        return self.layers(x)


class DQN:
    """A network, its target, one update on a batch of bytes [n, 1, 84, 84]."""

    def __init__(self, actions: int, k: float = 1.0) -> None:
        torch.manual_seed(0)
        self.net = Network(actions, k)
        self.target = copy.deepcopy(self.net)
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-5)

    def update(self, seen: Tensor, actions: Tensor, rewards: Tensor, discounts: Tensor, following: Tensor) -> None:
        """Huber's loss, clipped gradients."""
        with torch.no_grad():
            goal = rewards + discounts * self.target(following.float() / 255).max(1).values
        values = self.net(seen.float() / 255).gather(1, actions.unsqueeze(1)).squeeze(1)
        loss = functional.smooth_l1_loss(values, goal)
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self.adam.step()
