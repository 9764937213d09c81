"""The loss of distributions of returns on fixed atoms: C51 (Bellemare et al. 2017, Algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_values(logits: Tensor, support: Tensor) -> Tensor:
    """Q [n, A] of logits [n, A, atoms] on a support [atoms]."""
    return logits.softmax(-1) @ support


def projected(returns: Tensor, discounts: Tensor, shares: Tensor, support: Tensor) -> Tensor:
    """The distribution [n, atoms] of R + d · Z on the support, its mass split between the nearest two atoms.

    returns, discounts [n]; shares [n, atoms]: the probabilities of Z's atoms. What lies beyond the support counts at
    its end.
    """
    low, high, last = support[0], support[-1], len(support) - 1
    moved = (returns.unsqueeze(1) + discounts.unsqueeze(1) * support).clamp(low, high)
    place = ((moved - low) / (high - low) * last).clamp(0, last)
    below = place.floor()
    upper = place - below
    found = torch.zeros_like(shares)
    found.scatter_add_(1, below.long(), shares * (1 - upper))
    found.scatter_add_(1, (below.long() + 1).clamp(max=last), shares * upper)
    return found


def goals(
    returns: Tensor, discounts: Tensor, next_target: Tensor, next_online: Tensor | None, support: Tensor
) -> Tensor:
    """The projected distribution [n, atoms] at the best next action, by the target's own means or the other's.

    next logits [n, A, atoms].
    """
    chooser = next_target if next_online is None else next_online
    best = mean_values(chooser, support).argmax(1)
    shares = next_target[torch.arange(len(best)), best].softmax(-1)
    return projected(returns, discounts, shares, support)


def loss(logits: Tensor, actions: Tensor, goal: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean of the cross-entropies, and each of them [n], which is its priority (Hessel et al. 2018).

    logits [n, A, atoms], actions [n], goal [n, atoms], weights [n].
    """
    chosen = logits[torch.arange(len(actions)), actions].log_softmax(-1)
    each = -(goal * chosen).sum(-1)
    return (weights * each).mean(), each.detach()
