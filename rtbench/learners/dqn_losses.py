"""The loss of action values (Mnih et al. 2015), with or without double estimation (van Hasselt et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import huber_loss


def goals(returns: Tensor, discounts: Tensor, next_target: Tensor, next_online: Tensor | None) -> Tensor:
    """R + d · Q⁻(s′, a′) [n] with a′ the best action of Q⁻ itself, or of the trained network where that is given.

    returns, discounts [n] (0 after a terminal state), next values [n, A].
    """
    chooser = next_target if next_online is None else next_online
    best = chooser.argmax(1, keepdim=True)
    return returns + discounts * next_target.gather(1, best).squeeze(1)


def loss(values: Tensor, actions: Tensor, goal: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean of Huber's loss (threshold 1), and the absolute differences [n].

    values [n, A], actions [n], goal [n], weights [n].
    """
    chosen = values.gather(1, actions.unsqueeze(1)).squeeze(1)
    each = huber_loss(chosen, goal, reduction="none")
    return (weights * each).mean(), (chosen.detach() - goal).abs()


def chosen_by(values: Tensor) -> Tensor:
    """The best action [n] of values [n, A]."""
    return torch.argmax(values, dim=1)
