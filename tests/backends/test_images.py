"""Acting on images: every backend alike, one environment or many, bytes or numbers; first parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graphs import images
from helpers.exactness import episode

from rtbench.backends.measure import random_parameters
from rtbench.backends.numpy_images import pooled as numpy_pooled
from rtbench.backends.torch_arithmetic import initial_parameters, orthogonal
from rtbench.backends.torch_images import pooled
from rtbench.errors import RtbenchError
from rtbench.graph import ActingSpec, GraphBuilder
from rtbench.plugins import build, use

GRAPHS = {name: graph for name, graph in images() if name.endswith(("-3-none", "-1-observation", "-2-in-flight"))}
CASES = [("instant", 1.0), ("sequential", 1.0), ("pipelined", 0.4), ("pipelined", 1.0)]
TOLERANCE = {"rtol": 0, "atol": 1e-5}
COUNT, TICKS = 4, 15


def single(backend, graph, execution, delta, start):
    return build(use("backends", backend)).make(ActingSpec(graph, execution, delta, start), random_parameters(graph, 0))


def many(graph, execution, delta, start, **more):
    parameters = random_parameters(graph, 0)
    return build(use("backends", "eager")).make_many(
        ActingSpec(graph, execution, delta, start), parameters, count=COUNT, **more
    )


def inputs(graph, seed=0):
    """Observations [ticks, environments, size] that bytes can hold, actions."""
    rng = np.random.default_rng(seed)
    observations = rng.integers(0, 9, (TICKS, COUNT, graph.observation_size)).astype(np.float32)
    return observations, rng.uniform(-1, 1, (TICKS, COUNT, graph.action_size)).astype(np.float32)


@pytest.mark.parametrize("start", ["zero", "hold"])
@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_backends_agree(execution, delta, start):
    for name, graph in GRAPHS.items():
        eager, plain = (single(backend, graph, execution, delta, start) for backend in ("eager", "numpy"))
        for number, ticks in enumerate((6, 1, 4)):
            observations, actions = (each.astype(np.float32) for each in episode(graph, number, ticks))
            begun = [policy.restart(observations[0]).copy() for policy in (eager, plain)]
            np.testing.assert_allclose(*begun, **TOLERANCE, err_msg=name)
            for tick in range(ticks):
                action = actions[tick - 1] * (tick > 0) if execution == "instant" else actions[tick]
                found = [policy.tick(observations[tick], action).copy() for policy in (eager, plain)]
                np.testing.assert_allclose(*found, **TOLERANCE, err_msg=f"{name}, episode {number}, tick {tick}")


def played(acting, graph, first_tick=0, last_tick=TICKS, scale=1.0, dtype=np.float32):
    """Outputs where some environments step while others wait, and some begin anew."""
    outputs = []
    observations, actions = inputs(graph)
    rng = np.random.default_rng(3)
    for tick in range(last_tick):
        chosen = rng.random((2, COUNT)) < ((0.3,), (0.7,))
        if tick < first_tick:
            continue
        for kind, wanted in zip(("restart", "tick"), chosen, strict=True):
            rows = np.flatnonzero(wanted | (tick == 0))[::-1].copy()
            if not len(rows):
                continue
            seen = (observations[tick, rows] * scale).astype(dtype)
            given = (seen,) if kind == "restart" else (seen, actions[tick, rows])
            outputs.append(getattr(acting, kind)(rows, *given))
    return outputs


class Each:
    """Single actings behind the interface of many."""

    def __init__(self, actings):
        self.actings = actings

    def restart(self, rows, observations):
        return np.stack([self.actings[row].restart(seen).copy() for row, seen in zip(rows, observations, strict=True)])

    def tick(self, rows, observations, actions):
        given = zip(rows, observations, actions, strict=True)
        return np.stack([self.actings[row].tick(seen, action).copy() for row, seen, action in given])


@pytest.mark.parametrize("start", ["zero", "hold"])
@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_many_environments_act_as_each_alone(execution, delta, start):
    for name, graph in GRAPHS.items():
        each = Each([single("eager", graph, execution, delta, start) for _ in range(COUNT)])
        alone, together = played(each, graph), played(many(graph, execution, delta, start), graph)
        assert len(alone) == len(together) > TICKS
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours, theirs, **TOLERANCE, err_msg=name)


@pytest.mark.parametrize("name", ["cnn-to-action-res-relu-3-none", "cnn-from-obs-lstm-1-observation"])
def test_bytes_are_served_with_their_scale(name):
    graph, found = GRAPHS[name], {}
    for dtype, scale, after in ((np.float32, 0.125, 1.0), (np.uint8, 1.0, 0.125)):
        acting = many(graph, "pipelined", 1.0, "hold", observation_dtype=dtype().dtype.name, observation_scale=after)
        found[dtype] = played(acting, graph, scale=scale, dtype=dtype)
    for ours, theirs in zip(found[np.uint8], found[np.float32], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["cnn-to-action-relu-3-none", "cnn-to-action-lstm-2-in-flight"])
@pytest.mark.parametrize(("execution", "delta"), CASES)
def test_many_go_on_from_a_state(name, execution, delta):
    graph = GRAPHS[name]
    policy, other = many(graph, execution, delta, "hold"), many(graph, execution, delta, "hold")
    played(policy, graph, last_tick=6)
    state = policy.state()
    went_on = played(policy, graph, first_tick=6)
    played(other, graph, last_tick=9)
    other.restore(state)
    again = played(other, graph, first_tick=6)
    for ours, theirs in zip(again, went_on, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_memory_is_shown_and_replaced():
    """An LSTM's newest state; with what it held put back, acting goes on as before."""
    graph = GRAPHS["cnn-from-obs-lstm-1-observation"]
    policy, other = (many(graph, "pipelined", 1.0, "hold") for _ in range(2))
    for acting in (policy, other):
        played(acting, graph, last_tick=5)
    held = policy.newest("layer4")
    assert held.shape == (COUNT, 2 * 4)
    assert np.abs(held).min() > 0
    other.remember("layer4", np.stack([held, np.zeros_like(held)]))
    assert not other.newest("layer4").any()
    outputs = {}
    for acting, key in ((policy, "kept"), (other, "changed")):
        observations, actions = inputs(graph)
        outputs[key] = acting.tick(np.arange(COUNT), observations[5], actions[5])
    assert np.abs(outputs["kept"] - outputs["changed"]).min() > 0
    other.remember("layer4", policy.newest("layer4")[None])
    np.testing.assert_array_equal(other.newest("layer4"), policy.newest("layer4"))
    other.remember("head", np.zeros((1, COUNT, 3), np.float32))  # nobody reads it later: nothing to replace


def test_dropout_acts_alone():
    graph = GraphBuilder(3, 1)
    hidden = graph.layer(4, [graph.observation], dropout=0.5)
    with pytest.raises(RtbenchError, match="dropout act one environment at a time"):
        many(graph.head(1, [hidden]), "pipelined", 1.0, "zero")


@pytest.mark.parametrize("shape", [(6, 7, 3), (5, 5, 1), (9, 4, 2)])
@pytest.mark.parametrize("size", [(2, 3), (3, 3), (1, 4), (5, 4)])
def test_pooling_is_torch_s_adaptive_pooling(shape, size):
    """Trained through or not, numbers or bytes, in torch or NumPy."""
    raw = torch.randint(0, 255, (2, 3, shape[0] * shape[1] * shape[2]), generator=torch.Generator().manual_seed(0))
    images = raw.double().view(6, *shape).permute(0, 3, 1, 2)
    expected = torch.nn.functional.adaptive_max_pool2d(images, size).permute(0, 2, 3, 1).reshape(2, 3, -1)
    assert torch.equal(pooled(raw.double(), shape, size), expected)
    assert torch.equal(pooled(raw.double().requires_grad_(), shape, size), expected)
    found = pooled(raw.to(torch.uint8), shape, size)
    assert found.dtype == torch.uint8
    assert torch.equal(found.double(), expected)
    np.testing.assert_array_equal(numpy_pooled(raw[1, 2].numpy(), shape, size), expected[1, 2].numpy())


@pytest.mark.parametrize("name", ["cnn-to-action-res-relu-3-none", "cnn-from-obs-lstm-1-observation"])
def test_orthogonal_parameters(name):
    """Rows or columns are orthogonal and of the asked length, biases zero; a run has its own, from its generator."""
    graph = GRAPHS[name]

    def drawn():
        return initial_parameters(graph, [torch.Generator().manual_seed(run) for run in range(2)], orthogonal(0.01))

    parameters, again = drawn(), drawn()
    for layer in graph.layers:
        weight, bias = parameters[layer.name]["weight"], parameters[layer.name]["bias"]
        assert torch.equal(weight, again[layer.name]["weight"])
        assert not torch.equal(weight[0], weight[1])
        assert not bias.any()
        default = initial_parameters(graph, [torch.Generator()] * 2)[layer.name]
        assert (weight.shape, bias.shape) == (default["weight"].shape, default["bias"].shape)
        squared = {"head": 0.01**2}.get(layer.name, 1.0 if layer.op == "lstm" else 2.0)
        below = graph.input_width(layer) - layer.width
        for each in weight[1].split([below, layer.width]) if layer.op == "lstm" else [weight[1]]:
            gram = each @ each.T if each.shape[0] <= each.shape[1] else each.T @ each
            torch.testing.assert_close(gram, squared * torch.eye(len(gram)), rtol=0, atol=1e-5)
