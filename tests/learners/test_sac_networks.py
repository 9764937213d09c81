"""Losses, densities and gradients of SAC against hand computation and plain autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from rtbench.backends.torch_arithmetic import affine
from rtbench.learners.sac_networks import Critics, Layers, soft_target, squashed, squashed_gradient


def generators(count):
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def test_squashed_gaussian_by_hand():
    """One action dimension: raw 0 gives log σ = −1.5; the density is the normal's divided by the squashing's slope."""
    output = torch.tensor([[[0.3, 0.0]]], dtype=torch.float64)
    noise = torch.tensor([[[0.5]]], dtype=torch.float64)
    action, log_p = squashed(output, noise)
    sigma = np.exp(-1.5)
    raw = 0.3 + sigma * 0.5
    assert action.item() == pytest.approx(np.tanh(raw))
    assert log_p.item() == pytest.approx(norm.logpdf(raw, 0.3, sigma) - np.log(1 - np.tanh(raw) ** 2 + 1e-6))


def test_soft_target_by_hand():
    """Time limit (discount γ) bootstraps with the smaller critic and the entropy, a termination does not."""
    target = soft_target(
        reward=torch.tensor([[1.0, 2.0]]),
        discount=torch.tensor([[0.99, 0.0]]),
        next_q=torch.tensor([[[5.0, 7.0], [4.0, 8.0]]]),
        next_log_probability=torch.tensor([[-2.0, -3.0]]),
        alpha=torch.tensor([[0.5]]),
    )
    torch.testing.assert_close(target, torch.tensor([[1 + 0.99 * (4 + 1), 2.0]]))


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_twin_critics_equal_separate_networks(runs, layers):
    critics = Critics(7, 16, layers, generators(runs))
    inputs = torch.randn(runs, 9, 7)
    stacked = critics.layers.q(inputs)
    for run in range(runs):
        for critic in (0, 1):
            x = inputs[run]
            for index, (weight, bias) in enumerate(zip(critics.weights, critics.biases, strict=True)):
                x = x @ weight[2 * run + critic] + bias[2 * run + critic]
                x = x.relu() if index < layers else x
            torch.testing.assert_close(stacked[run, critic], x[:, 0])


def doubled(critics, **kwargs):
    """The same critics in double precision."""
    return Layers([w.double() for w in critics.weights], [b.double() for b in critics.biases], **kwargs)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_minimum_q_and_its_gradient_equal_autograd(runs, layers, together):
    critics = doubled(Critics(5 + 2, 16, layers, generators(runs)), together=together)
    seen = torch.randn(runs, 11, 5, dtype=torch.float64)
    action = torch.randn(runs, 11, 2, dtype=torch.float64, requires_grad=True)
    plain = naive_critics(critics.weights, critics.biases, torch.cat([seen, action], -1)).amin(1)
    (expected,) = torch.autograd.grad(plain.sum(), action)
    found, slope = critics.minimum(seen, action.detach())
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-12)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("together", [False, True])
def test_minimum_q_where_one_critic_is_always_smaller(together):
    critics = Critics(5 + 2, 16, 2, generators(1))
    critics.biases[-1][1] += 100
    layers = Layers(critics.weights, critics.biases, together=together)
    seen, action = torch.randn(1, 11, 5), torch.randn(1, 11, 2)
    found, slope = layers.minimum(seen, action)
    torch.testing.assert_close(found, layers.q(torch.cat([seen, action], -1))[:, 0])
    assert slope.shape == (1, 11, 2)
    assert slope.isfinite().all()


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_critics_gradients_equal_autograd(runs, layers, together):
    critics = Critics(7, 16, layers, generators(runs))
    double = doubled(critics, together=together)
    inputs, goal = torch.randn(runs, 9, 7, dtype=torch.float64), torch.randn(runs, 9, dtype=torch.float64)
    trained = [tensor.clone().requires_grad_() for tensor in (*double.weights, *double.biases)]
    weights, biases = trained[: layers + 1], trained[layers + 1 :]
    loss = (naive_critics(weights, biases, inputs) - goal.unsqueeze(1)).square().mean(-1).sum()
    stacked = torch.autograd.grad(loss, trained)
    expected = [gradient[i] for i in range(2 * runs) for gradient in stacked]
    found = double.gradients(inputs, goal)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert [tensor.shape for tensor in critics.members] == [gradient.shape for gradient in found]


@pytest.mark.parametrize("runs", [1, 2])
def test_critics_in_bfloat16_stay_near_single_precision(runs):
    """Q and the gradients are single precision; Q is within bfloat16's 8 bits of significand, gradients point alike."""
    single = Critics(7, 64, 2, generators(runs))
    half = Critics(7, 64, 2, generators(runs), "bf16")
    source = torch.Generator().manual_seed(3)
    inputs, goal = torch.randn(runs, 32, 7, generator=source), torch.randn(runs, 32, generator=source)
    exact, found = single.layers.q(inputs), half.layers.q(inputs)
    assert found.dtype == torch.float32
    assert 0 < (found - exact).abs().max() < 2**-7 * exact.abs().max() * 4
    for ours, theirs in zip(half.layers.gradients(inputs, goal), single.layers.gradients(inputs, goal), strict=True):
        assert ours.dtype == torch.float32
        assert torch.cosine_similarity(ours.flatten(), theirs.flatten(), 0) > 0.99


def test_targets_and_copies_follow_what_is_trained():
    critics = Critics(7, 16, 2, generators(1), "bf16")
    before, inputs = [tensor.clone() for tensor in critics.target], torch.randn(1, 5, 7)
    stale = critics.layers.q(inputs)
    for tensor in critics.parameters:
        tensor += 1
    critics.follow(0.25)
    for new, old in zip(critics.target, before, strict=True):
        torch.testing.assert_close(new, old + 0.25)
    critics.layers.refresh()
    assert (critics.layers.q(inputs) - stale).abs().min() > 1
    for copy, tensor in zip(critics.target_layers.weights[:-1], critics.target[:2], strict=True):
        assert torch.equal(copy, tensor.to(torch.bfloat16))


def test_squashed_gradient_equals_autograd():
    output = torch.randn(2, 7, 6, dtype=torch.float64, requires_grad=True)
    noise, to_action = torch.randn(2, 2, 7, 3, dtype=torch.float64)
    to_log_p = torch.randn(2, 1, dtype=torch.float64)
    action, log_p = squashed(output, noise)
    (expected,) = torch.autograd.grad((action * to_action).sum() + (log_p * to_log_p).sum(), output)
    found = squashed_gradient(output.detach(), noise, action.detach(), to_action, to_log_p.unsqueeze(-1))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def naive_critics(weights, biases, inputs):
    """Q [runs, 2, batch], each critic a separate chain of layers."""
    found = []
    for member in range(len(weights[0])):
        x = inputs[member // 2]
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x = x @ weight[member] + bias[member]
            x = x.relu() if index + 1 < len(weights) else x
        found.append(x[:, 0])
    return torch.stack(found).view(len(inputs), 2, -1)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("relu", [False, True])
def test_affine_gradients(outputs, relu):
    """Numerical differentiation, also where autograd is asked for some inputs only, or for one block of two."""
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 5, outputs, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(2, 1, outputs, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b, c: affine(a, b, c, relu=relu), (x, weight, bias))
    assert torch.autograd.gradcheck(lambda b: affine(x.detach(), b, bias.detach(), relu=relu), (weight,))
    blocks = x.detach()[..., :2], x.detach()[..., 2:].requires_grad_()
    assert torch.autograd.gradcheck(lambda *b: affine(b, weight, bias, relu=relu), blocks)
