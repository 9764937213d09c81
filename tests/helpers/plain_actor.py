"""The actor in torch's own operations: every run on its own, masks multiplied, differentiated by autograd."""

from __future__ import annotations

import torch

from rtbench.unrolling import instant, unroll


class Plain:
    """Layers one run after the other; `draw(batch, width)` gives the uniform numbers of dropout."""

    def __init__(self, parameters, draw=None):
        self.parameters, self.draw = parameters, draw

    def apply(self, layer, blocks):
        value = torch.stack([self._one(layer, [b[run] for b in blocks], run) for run in range(len(blocks[0]))])
        if layer.dropout:
            kept = self.draw(value.shape[1], layer.width) >= layer.dropout
            value = torch.where(kept, value / (1 - layer.dropout), 0)
        return value

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


def plain_head(actor, parameters, window, actions, since, draw=None):
    """The head's output on windows, as `rtbench.learners.sac_networks.Actor.head`."""
    arithmetic, graph, plan = Plain(parameters, draw), actor.graph, actor.plan
    runs, _, batch, _ = window.shape
    observation = {ticks: index for index, ticks in enumerate(plan.observation_ticks)}
    action = {ticks: index for index, ticks in enumerate(plan.action_ticks)}
    before = {layer.name: window.new_zeros(runs, batch, layer.state_width) for layer in graph.layers}
    if actor.start == "hold":
        with torch.no_grad():
            no_action = window.new_zeros(runs, batch, graph.action_size)
            before = instant(graph, arithmetic, window[:, -1], no_action, lambda layer: before[layer.name])

    def started(node, ticks, value):
        return torch.where((since >= ticks).unsqueeze(-1), value, before[node])

    return unroll(
        graph,
        actor.lags,
        plan,
        arithmetic,
        observation=lambda ticks: window[:, observation[ticks]],
        action=lambda ticks: actions[:, action[ticks]],
        started=started,
        before=lambda layer, ticks: before[layer.name],
    )
