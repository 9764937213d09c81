"""A whole update of SAC in double precision against plain autograd, and the products and the Adam it uses."""

from __future__ import annotations

import pytest
import torch
from helpers.cells import interaction, small_cell

from rtbench.backends import torch_arithmetic
from rtbench.backends.torch_arithmetic import product, products
from rtbench.cell import RunBatch
from rtbench.learners.adam import Adam
from rtbench.learners.sac_networks import Actor
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


class Plain:
    """Layers in torch's own operations, one run after the other, differentiated by autograd."""

    def __init__(self, parameters):
        self.parameters = parameters

    def apply(self, layer, blocks):
        return torch.stack([self._one(layer, [b[run] for b in blocks], run) for run in range(len(blocks[0]))])

    def _one(self, layer, blocks, run):
        weight, bias = (self.parameters[layer.name][name][run] for name in ("weight", "bias"))
        if layer.op == "linear":
            value = torch.cat(blocks, 1) @ weight + bias
            return value.clamp(min=0) if layer.activation == "relu" else value
        n = layer.width
        hidden, cell = blocks[-1][:, :n], blocks[-1][:, n:]
        gates = torch.cat([*blocks[:-1], hidden], 1) @ weight + bias
        admit, forget, candidate, emit = gates.split(n, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(admit) * torch.tanh(candidate)
        return torch.cat([torch.sigmoid(emit) * torch.tanh(cell), cell], 1)

    def total(self, values, scale):
        return sum(values) * scale

    def visible(self, layer, value):
        return value[..., : layer.width] if layer.op == "lstm" else value


def plain_action(output, noise):
    """Action and log-probability by torch's own normal distribution."""
    mean, raw = output.chunk(2, -1)
    normal = torch.distributions.Normal(mean, (-5 + 3.5 * (raw.tanh() + 1)).exp())
    drawn = torch.addcmul(mean, normal.stddev, noise)  # rounded once: near ±1 the squashing amplifies an ulp
    return drawn.tanh(), (normal.log_prob(drawn) - torch.log(1 - drawn.tanh() ** 2 + 1e-6)).sum(-1)


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
        actor = program.actor
        self.actor = Actor(actor.graph, actor.lags, actor.plan, actor.parameters, actor.start)
        self.actor._arithmetic = Plain(actor.parameters)
        self.noise, self.steps, self.targets = [], [], []
        drawn, source, noise = program._draw, program._tensors, program._noise
        program._tensors = {n: t.double() if t.is_floating_point() else t for n, t in source.items()}

        def draw():
            drawn()
            for name, tensor in program._tensors.items():
                tensor.copy_(source[name])
            self.targets = [t.clone() for side in program._target for t in side]

        def keep():
            self.noise.append(noise())
            return self.noise[-1]

        program._draw, program._noise = draw, keep
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
        t = self.program._tensors
        return torch.cat([t["observations"][:, side], *t["past_actions"][:, side].unbind(1)], -1)

    def head(self, side):
        t, n = self.program._tensors, len(self.actor.observation_ticks)
        window = t["observations"][:, 2 + side * n : 2 + (side + 1) * n]
        return self.actor.head(window, t["window_actions"][:, side], t["since"][:, side])

    def q(self):
        """Gradients of the critics' loss, critic by critic."""
        program, t = self.program, self.program._tensors
        with torch.no_grad():
            action, log_p = plain_action(self.head(1), self.noise[-1])
            following = plain_q(*program._target, torch.cat([self.seen(1), action], -1)).amin(1)
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
            action, log_p = plain_action(self.head(0), self.noise[-1])
            critics = program.critics
            q = plain_q(critics.weights, critics.biases, torch.cat([self.seen(0), action], -1)).amin(1)
            loss = (log_alpha.exp().detach() * log_p - q).mean(-1).sum()
            found = torch.autograd.grad(loss, program._policy, retain_graph=True)
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
    target = [t for side in program._target for t in side]
    for new, old, critic in zip(target, watched.targets, program.critics.parameters, strict=True):
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


@pytest.mark.parametrize("runs", [1, 3])
def test_products_of_stacks(runs):
    left, right, bias = torch.randn(runs, 5, 4), torch.randn(runs, 4, 6), torch.randn(runs, 1, 6)
    torch.testing.assert_close(products(left, right), left @ right)
    torch.testing.assert_close(products(left, right, bias, relu=True), (left @ right + bias).relu())
