"""The tape's gradients against autograd, for every variant of the architecture, start rule and delta."""

from __future__ import annotations

import pytest
import torch
from helpers.plain_actor import plain_head

from rtbench.backends.torch_arithmetic import initial_parameters
from rtbench.learners.sac_networks import Actor
from rtbench.parts import PolicyShape
from rtbench.plugins import build, use

VARIANTS = {
    "vanilla": {},
    "from-obs-aug": {"skips": "from-obs", "augmentation": "observation"},
    "from-obs-flight": {"skips": "from-obs", "augmentation": "in-flight"},
    "to-action": {"skips": "to-action"},
    "residual": {"skips": "to-action-res"},
    "all": {"skips": "all"},
    "lstm": {"lstm": True},
    "lstm-residual": {"lstm": True, "skips": "to-action-res"},
    "lstm-all": {"lstm": True, "skips": "all"},
    "dropout": {"skips": "all", "dropout": 0.3},
}
TIMES = {"instant": ("instant", 1), "0.4": ("pipelined", 0.4), "1": ("pipelined", 1)}
BATCH, OBS, ACT = 9, 4, 2


def case(variant, time, start, runs, dtype=torch.float64, precision="fp32"):
    """An actor and a batch of windows in which episodes begin at every distance; generators are seeded anew."""
    graph = build(use("architectures", "mlp", {"layers": 4, "width": 8} | VARIANTS[variant])).make(
        PolicyShape(OBS, ACT, 2 * ACT)
    )
    lags, plan = graph.lags(*TIMES[time]), graph.plan(*TIMES[time], 3 if graph.recurrent else 0)
    drawn = [torch.Generator().manual_seed(run) for run in range(runs)]
    parameters = {
        name: {kind: tensor.to(dtype) for kind, tensor in layer.items()}
        for name, layer in initial_parameters(graph, drawn).items()
    }
    actor = Actor(graph, lags, plan, parameters, start, precision=precision, generators=drawn)
    source = torch.Generator().manual_seed(7)
    ticks = len(actor.observation_ticks)
    window = torch.randn(runs, ticks, BATCH, OBS, generator=source, dtype=dtype)
    actions = torch.randn(runs, len(plan.action_ticks), BATCH, ACT, generator=source, dtype=dtype)
    since = torch.arange(BATCH).expand(runs, BATCH).roll(1, 1)
    to_output = torch.randn(runs, BATCH, 2 * ACT, generator=source, dtype=dtype)
    return actor, drawn, (window, actions, since), to_output


def reseed(generators):
    for index, generator in enumerate(generators):
        generator.manual_seed(100 + index)


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("start", ["zero", "hold"])
@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_output_and_gradients_equal_autograd(variant, time, start, runs):
    if variant == "dropout" and start == "hold":
        pytest.skip("the order of draws differs: the tape holds only where an episode begins")
    actor, generators, batch, to_output = case(variant, time, start, runs)
    leaves = {n: {k: t.clone().requires_grad_() for k, t in layer.items()} for n, layer in actor.parameters.items()}
    reseed(generators)
    expected = plain_head(actor, leaves, *batch, draw=actor._draw)
    wanted = torch.autograd.grad(expected, [t for layer in leaves.values() for t in layer.values()], to_output)
    reseed(generators)
    output, way_back = actor.trained(*batch)
    torch.testing.assert_close(output, expected.detach(), rtol=1e-12, atol=1e-12)
    for found, exact in zip(way_back(to_output), wanted, strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-12, atol=1e-12)
    reseed(generators)
    assert torch.equal(actor.head(*batch), output)


def test_an_output_that_does_not_matter_gives_zeros():
    actor, _, batch, to_output = case("all", "1", "zero", 1)
    _, way_back = actor.trained(*batch)
    assert all(gradient.eq(0).all() for gradient in way_back(torch.zeros_like(to_output)))


@pytest.mark.parametrize("variant", ["from-obs-aug", "lstm-all", "residual"])
@pytest.mark.parametrize("runs", [1, 3])
def test_bfloat16_stays_near_single_precision(variant, runs):
    """The head's output and all gradients come in single precision and point the same way; copies follow on refresh."""
    single, _, batch, to_output = case(variant, "1", "hold", runs, torch.float32)
    half, *_ = case(variant, "1", "hold", runs, torch.float32, "bf16")
    exact, exact_back = single.trained(*batch)
    found, found_back = half.trained(*batch)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, rtol=0.05, atol=0.02)
    assert not torch.equal(found, exact)
    for ours, theirs in zip(found_back(to_output), exact_back(to_output), strict=True):
        assert ours.dtype == torch.float32
        assert torch.cosine_similarity(ours.flatten(), theirs.flatten(), 0) > 0.99
    for tensor in half.tensors:
        tensor.mul_(1.5)
    half.refresh()
    assert (half.head(*batch) - found).abs().max() > 0.01
