"""Two streams, noise and distributions as parameters of one graph: against the formulas; policies that go on acting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.dqn_cells import dqn_cell

from rtbench.architectures.cnn import CNN
from rtbench.architectures.cnn import Params as CNNParams
from rtbench.cell import RunBatch
from rtbench.errors import RtbenchError
from rtbench.graph import GraphBuilder
from rtbench.learners.dqn_networks import QNetwork
from rtbench.learners.heads import ATOMS, dueling
from rtbench.learners.policy import HEADS, Policy
from rtbench.parts import PolicyShape
from rtbench.plugins import build

ACTIONS = 5


def graph(outputs):
    return CNN(CNNParams(channels=(3, 4, 3), width=12)).make(PolicyShape(10 * 10 * 2, ACTIONS, outputs, (10, 10, 2)))


def network(*, atoms=1, streams=False, noise=None):
    made = graph(ACTIONS * atoms)
    rng = torch.Generator().manual_seed(4)
    return QNetwork(dueling(made) if streams else made, ACTIONS, rng, atoms=atoms, dueling=streams, noise=noise)


def convolved(net, seen):
    """The last convolution's values, by the network's own tensors."""
    x = seen.view(-1, 10, 10, 2).permute(0, 3, 1, 2)
    for name in ("layer1", "layer2", "layer3"):
        block = net.blocks[name]
        kernel = net.tensors[block.at].view(-1, 3, 3, x.shape[1]).permute(0, 3, 1, 2)
        x = torch.nn.functional.conv2d(x, kernel, net.tensors[block.at + 1], padding=1).relu()
    return x.permute(0, 2, 3, 1).flatten(1)


def linear(net, block, x, noisy):
    at = block.at
    weight, bias = net.tensors[at], net.tensors[at + 1]
    if noisy:
        rows, columns = block.noise
        weight = weight + net.tensors[at + 2] * torch.outer(rows, columns)
        bias = bias + net.tensors[at + 3] * columns
    return x @ weight + bias


@pytest.mark.parametrize("atoms", [1, ATOMS])
@pytest.mark.parametrize("noise", [None, 0.5])
def test_two_streams_are_value_plus_centred_advantage(atoms, noise):
    """Q = V + A − mean A (Wang et al. 2016, Equation 9), per atom before the softmax; noise is μ + σ ε."""
    net, seen = network(atoms=atoms, streams=True, noise=noise), torch.randn(3, 200)
    found = net.outputs(seen, net.effective(net.tensors))
    below = convolved(net, seen)
    hidden = [linear(net, net.blocks[n], below, noise).relu() for n in ("layer4", "layer4 (advantage)")]
    value, advantage = (linear(net, block, x, noise) for block, x in zip(net._streams, hidden, strict=True))
    advantage = advantage.view(3, ACTIONS, atoms)
    expected = value.view(3, 1, atoms) + advantage - advantage.mean(1, keepdim=True)
    torch.testing.assert_close(found.view(3, ACTIONS, atoms), expected, atol=2e-5, rtol=1e-4)
    gradients = torch.autograd.grad(found.square().sum(), net.tensors)
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_noise_changes_with_every_draw_and_greedy_acting_has_none():
    net, seen = network(noise=0.5), torch.randn(2, 200)
    first = net.outputs(seen, net.effective(net.tensors))
    with net.other_noise(torch.Generator().manual_seed(1)):
        other = net.outputs(seen, net.effective(net.tensors))
    again = net.outputs(seen, net.effective(net.tensors))
    assert not torch.allclose(first, other)
    assert torch.equal(first, again)
    net.draw()
    net.refresh()
    assert np.array_equal(net.greedy["head"]["weight"], net.tensors[net.blocks["head"].at].detach().numpy())
    assert not np.array_equal(net.exploring["head"]["weight"], net.greedy["head"]["weight"])


def test_what_is_as_trained_is_read_without_a_copy():
    net = network()
    with torch.no_grad():
        for tensor in net.tensors:
            tensor.add_(1.0)
    for name, block in net.blocks.items():
        weight = net.tensors[block.at].detach().numpy()
        assert np.array_equal(net.exploring[name]["weight"], weight.T if block.transposed else weight)


def test_the_same_in_one_array():
    net, seen = network(streams=True, noise=0.3), torch.randn(2, 200)
    before = net.outputs(seen, net.effective(net.tensors)).detach()
    memory = net.flat()
    net.bind(memory)
    assert torch.equal(net.outputs(seen, net.effective(net.tensors)), before)
    memory[:] = 0
    assert net.outputs(seen, net.effective(net.tensors)).abs().max() == 0


def test_the_likeliest_best_action():
    logits = np.zeros((3, ATOMS), np.float32)
    logits[1, ATOMS - 1] = 9.0
    logits[2, 0] = 9.0
    assert HEADS["distribution"].decide(logits.reshape(-1)).tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "params", [{}, {"dueling": True}, {"distributional": True}, {"dueling": True, "distributional": True}]
)
def test_a_policy_acts_as_its_run_did(params):
    """Through its file: the layers fit the architecture, and the loop begins."""
    program = build((cell := dqn_cell("dqn", params)).learner).make(RunBatch(cell, (3,)))
    (policy,) = program.policies(["x"])
    again = Policy.from_bytes(policy.to_bytes())
    loop = again.loop(phase="evaluate")
    assert loop.run_episode() == program.evaluation._loops[""][0].run_episode()


def test_networks_that_are_no_function_of_one_observation():
    builder = GraphBuilder(4, 2)
    with pytest.raises(RtbenchError, match="earlier ticks"):
        QNetwork(builder.head(2, [builder.layer(3, [builder.observation.ago(1)])]), 2, torch.Generator())
    builder = GraphBuilder(4, 2)
    with pytest.raises(RtbenchError, match="nothing else"):
        dueling(builder.head(2, [builder.layer(3, [builder.observation]), builder.observation]))
