"""A whole update of SAC in double precision against plain autograd, and the products and the Adam it uses."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from helpers.cells import interaction, small_cell
from helpers.plain_actor import plain_head

from rtbench.backends import torch_arithmetic
from rtbench.backends.torch_arithmetic import product, products
from rtbench.cell import RunBatch
from rtbench.learners.adam import Adam
from rtbench.plugins import build

ARCHITECTURES = {
    "vanilla": {},
    "from-obs-aug": {"skips": "from-obs", "augmentation": "observation"},
    "from-obs-flight": {"skips": "from-obs", "augmentation": "in-flight"},
    "to-action": {"skips": "to-action"},
    "residual": {"skips": "to-action-res"},
    "all": {"skips": "all"},
    "lstm": {"lstm": True},
    "lstm-all": {"lstm": True, "skips": "all"},
}


def plain_action(output, noise):
    """Action and log-probability by torch's own normal distribution."""
    mean, raw = output.chunk(2, -1)
    normal = torch.distributions.Normal(mean, (-5 + 3.5 * (raw.tanh() + 1)).exp())
    drawn = torch.addcmul(mean, normal.stddev, noise)  # rounded once: near ±1 the squashing amplifies an ulp
    return drawn.tanh(), (normal.log_prob(drawn) - torch.log(1 - drawn.tanh() ** 2 + 1e-6)).sum(-1)


def halves(tensors):
    """Weights and biases."""
    return tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]


def plain_q(weights, biases, inputs):
    """Q [runs, 2, batch] of separate critics."""
    found = []
    for member in range(len(weights[0])):
        x = inputs[member // 2]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = (x @ weight[member] + bias[member]).clamp(min=0)
        found.append((x @ weights[-1][member] + biases[-1][member])[:, 0])
    return torch.stack(found).view(len(inputs), 2, -1)


class Watched:
    """A program in double precision; `steps` keeps every optimiser step: its gradients and autograd's at that point."""

    def __init__(self, cell, runs):
        self.program = program = build(cell.learner).make(RunBatch(cell, tuple(range(runs))))
        self.actor = program.actor
        self.noise, self.steps, self.targets = [], [], []
        drawn, source, noise = program.worlds.draw, program.worlds.tensors, program._noise
        program.worlds.tensors = {n: t.double() if t.is_floating_point() else t for n, t in source.items()}

        def draw():
            drawn()
            for name, tensor in program.worlds.tensors.items():
                tensor.copy_(source[name])
            self.targets = [t.clone() for t in program.critics.target]

        def keep():
            self.noise.append(noise())
            return self.noise[-1]

        program.worlds.draw, program._noise = draw, keep
        for name, optimiser in program._optimisers.items():
            self.watch(name, optimiser)

    def watch(self, name, optimiser):
        step = optimiser.step

        def watched(gradients):
            if name != "alpha":  # its gradient belongs to the policy before the policy's step
                self.expected = getattr(self, name)()
            self.steps.append((name, list(gradients), self.expected if name != "alpha" else [self.alpha]))
            step(gradients)

        optimiser.step = watched

    def seen(self, side):
        t = self.program.worlds.tensors
        return torch.cat([t["observations"][:, side], *t["past_actions"][:, side].unbind(1)], -1)

    def head(self, side, parameters=None):
        t, n = self.program.worlds.tensors, len(self.actor.observation_ticks)
        window = t["observations"][:, 2 + side * n : 2 + (side + 1) * n]
        seen = (window, t["window_actions"][:, side], t["since"][:, side])
        return plain_head(self.actor, parameters or self.actor.parameters, *seen)

    def q(self):
        """Gradients of the critics' loss, critic by critic."""
        program, t = self.program, self.program.worlds.tensors
        with torch.no_grad():
            action, log_p = plain_action(self.head(1), self.noise[-1])
            following = plain_q(*halves(program.critics.target), torch.cat([self.seen(1), action], -1)).amin(1)
            goal = t["rewards"] + t["discounts"] * (following - program._log_alpha.exp() * log_p)
        with torch.enable_grad():
            sides = [
                [p.clone().requires_grad_() for p in side] for side in (program.critics.weights, program.critics.biases)
            ]
            q = plain_q(*sides, torch.cat([self.seen(0), t["actions"]], -1))
            loss = sum(((q[run, critic] - goal[run]) ** 2).mean() for run in range(len(q)) for critic in (0, 1))
            stacked = torch.autograd.grad(loss, [*sides[0], *sides[1]])
        return [gradient[i] for i in range(2 * len(q)) for gradient in stacked]

    def policy(self):
        """Gradients of the policy's loss; keeps that of the entropy coefficient's."""
        program = self.program
        with torch.enable_grad():
            log_alpha = program._log_alpha.clone().requires_grad_()
            layers = self.actor.parameters.items()
            leaves = {n: {k: t.clone().requires_grad_() for k, t in layer.items()} for n, layer in layers}
            action, log_p = plain_action(self.head(0, leaves), self.noise[-1])
            critics = program.critics
            q = plain_q(critics.weights, critics.biases, torch.cat([self.seen(0), action], -1)).amin(1)
            loss = (log_alpha.exp().detach() * log_p - q).mean(-1).sum()
            found = torch.autograd.grad(loss, [t for layer in leaves.values() for t in layer.values()])
            entropy = -(log_alpha.exp() * (log_p.detach() - program._sizes[1])).mean(-1).sum()
            (self.alpha,) = torch.autograd.grad(entropy, log_alpha)
        return found


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("start", ["zero", "hold"])
@pytest.mark.parametrize("arch", ARCHITECTURES, ids=str)
def test_gradients_of_an_update_equal_plain_autograd(double, arch, start, runs):
    """Critics, policy and entropy coefficient, every parameter, over two rounds of updates."""
    cell = small_cell(arch=ARCHITECTURES[arch], inter=interaction(delta=1.0), learner={"start": start})
    watched = Watched(cell, runs)
    for _ in range(46):
        watched.program.advance()
    assert [name for name, _, _ in watched.steps[:6]] == ["q", "q", "policy", "alpha", "policy", "alpha"]
    assert len(watched.steps) > 10
    for name, found, expected in watched.steps:
        assert len(found) == len(expected)
        assert any(gradient.abs().max() > 1e-6 for gradient in found)
        for ours, plain in zip(found, expected, strict=True):
            torch.testing.assert_close(
                ours, plain, rtol=1e-12, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_target_follows_the_critics_of_the_same_update(double):
    watched = Watched(small_cell(), 2)
    program = watched.program
    for _ in range(44):
        program.advance()
    for new, old, critic in zip(program.critics.target, watched.targets, program.critics.parameters, strict=True):
        torch.testing.assert_close(new, 0.995 * old + 0.005 * critic, rtol=0, atol=1e-15)


def test_members_are_views_of_what_is_trained():
    """An optimiser step on the critics' members changes the stacks that `value` reads."""
    program = build(small_cell().learner).make(RunBatch(small_cell(), (0, 1)))
    critics = program.critics
    before = [tensor.clone() for tensor in critics.parameters]
    program._optimisers["q"].step([torch.ones_like(tensor) for tensor in critics.members])
    for old, new in zip(before, critics.parameters, strict=True):
        torch.testing.assert_close(new, old - 1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adam_equals_torchs_and_survives_a_restore(dtype):
    ours = [torch.randn(4, 3, dtype=dtype), torch.randn(1, 3, dtype=dtype)]
    theirs = [tensor.clone().requires_grad_() for tensor in ours]
    adam, reference = Adam(ours, 3e-3), torch.optim.Adam(theirs, lr=3e-3, fused=True)
    for index in range(6):
        gradients = [torch.randn_like(tensor) for tensor in ours]
        if index == 3:
            state = {name: [t.clone() for t in tensors] for name, tensors in adam.state().items()}
            adam = Adam(ours, 3e-3)
            adam.restore(state)
        adam.step(gradients)
        for tensor, gradient in zip(theirs, gradients, strict=True):
            tensor.grad = gradient.clone()
        reference.step()
        torch.testing.assert_close(ours, [tensor.detach() for tensor in theirs], rtol=0, atol=0)


SHAPES = [
    (256, 256, 256),
    (128, 285, 64),
    (285, 256, 12),
    (1, 256, 256),
    (256, 1, 256),
    (256, 256, 1),
    (3, 4, 5),
    (0, 64, 64),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("onednn", [False, True])
def test_single_precision_product(monkeypatch, shape, turned, onednn):
    """With and without oneDNN, for both memory layouts, against double precision."""
    if not onednn:
        monkeypatch.setattr(torch_arithmetic, "_ONEDNN", None)
    (m, k, n), generator = shape, torch.Generator().manual_seed(1)
    left, right = torch.randn(m, k, generator=generator), torch.randn(k, n, generator=generator)
    bias = torch.randn(1, n, generator=generator)
    if turned:
        left, right = left.t().contiguous().t(), right.t().contiguous().t()
    exact = left.double() @ right.double()
    tolerance = {"rtol": 1e-5, "atol": 2e-6 * k**0.5 + 1e-6}
    torch.testing.assert_close(product(left, right).double(), exact, **tolerance)
    torch.testing.assert_close(product(left, right, bias).double(), exact + bias.double(), **tolerance)
    found = product(left, right, bias, relu=True)
    torch.testing.assert_close(found.double(), (exact + bias.double()).relu(), **tolerance)
    assert torch.equal(found, product(left, right, bias, relu=True))


@pytest.mark.parametrize("shape", [(256, 256, 256), (128, 285, 64), (256, 1, 256), (256, 256, 1)], ids=str)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_bfloat16_products_accumulate_in_single_precision(shape, turned, count):
    """Rounded once at the end: within 2⁻⁸ of the exact product of the rounded factors."""
    (m, k, n), generator = shape, torch.Generator().manual_seed(1)
    left, right, bias = (torch.randn(count, *s, generator=generator).bfloat16() for s in ((m, k), (k, n), (1, n)))
    if turned:
        left = left.transpose(1, 2).contiguous().transpose(1, 2)
    exact = left.double() @ right.double() + bias.double()
    tolerance = {"rtol": 2**-7, "atol": 1e-2}  # product and bias may each be rounded
    torch.testing.assert_close(products(left, right, bias, relu=True).double(), exact.relu(), **tolerance)
    torch.testing.assert_close(products(left, right).double(), exact - bias.double(), rtol=2**-8, atol=1e-3)


@pytest.mark.parametrize("runs", [1, 3])
def test_products_of_stacks(runs):
    left, right, bias = torch.randn(runs, 5, 4), torch.randn(runs, 4, 6), torch.randn(runs, 1, 6)
    torch.testing.assert_close(products(left, right), left @ right)
    torch.testing.assert_close(products(left, right, bias, relu=True), (left @ right + bias).relu())


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("arch", ["from-obs-aug", "lstm"])
def test_a_bfloat16_program_trains_repeats_and_restores(arch, runs):
    """Everything that is kept is single precision; equal seeds give equal parameters, also across a restore."""
    cell = replace(small_cell(arch=ARCHITECTURES[arch]), precision="bf16")
    batch = RunBatch(cell, tuple(range(runs)))

    def trained(units, program=None):
        program = program or build(cell.learner).make(batch)
        for _ in range(units):
            program.advance()
        return program

    def kept(program):
        return [*program.actor.tensors, *program.critics.parameters, *program.critics.target, program._log_alpha]

    whole, first = trained(56), trained(50)
    state, segment = copy.deepcopy(first.state()), copy.deepcopy(first.appended())
    resumed = build(cell.learner).make(batch)
    resumed.restore(state, [segment])
    for other in (trained(6, first), trained(6, resumed)):
        for ours, theirs in zip(kept(whole), kept(other), strict=True):
            assert ours.dtype == torch.float32
            assert torch.equal(ours, theirs)
    single = build(cell.learner).make(RunBatch(replace(cell, precision="fp32"), tuple(range(runs))))
    assert not torch.equal(trained(56, single).actor.tensors[0], whole.actor.tensors[0])
