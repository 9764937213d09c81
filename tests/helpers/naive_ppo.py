"""PPO's update by the book: every decision by itself, tick by tick, node by node, with torch's own parts."""

from __future__ import annotations

from math import prod

import torch
from torch import nn
from torch.nn import functional

from rtbench.learners.rollouts import Episode


class NaiveNet:
    """A graph's parameters as ordinary tensors, and its layers one at a time at batch 1."""

    def __init__(self, network, scale):
        self.graph, self.scale = network.graph, scale
        self.parameters = {
            name: {kind: nn.Parameter(tensor.detach()[0].clone()) for kind, tensor in layer.items()}
            for name, layer in network.parameters.items()
        }

    def tensors(self):
        return [tensor for layer in self.parameters.values() for tensor in layer.values()]

    def layer(self, layer, seen):
        """`seen`: one vector per read."""
        blocks, at = [], 0
        for term in layer.inputs:
            parts = []
            for read in term.reads:
                value, shape = seen[at], self.graph.source_shape(read)
                at += 1
                if not read.recurrent and read.source in self.graph.by_name:
                    value = value[: self.graph.by_name[read.source].width]
                if shape:
                    value = value.view(shape).permute(2, 0, 1)
                    value = functional.adaptive_max_pool2d(value, term.pool) if term.pool else value
                parts.append(value)
            blocks.append(sum(parts) * term.scale)
        weight, bias = self.parameters[layer.name]["weight"], self.parameters[layer.name]["bias"].view(-1)
        if layer.op == "conv":
            how, images = layer.convolution, torch.cat(blocks)
            kernel = weight.t().reshape(-1, how.kernel, how.kernel, len(images)).permute(0, 3, 1, 2)
            value = functional.conv2d(images[None], kernel, bias, how.stride, how.padding)[0]
            return value.permute(1, 2, 0).reshape(prod(layer.shape)).relu()
        flat = [block.permute(1, 2, 0).reshape(-1) if block.ndim == 3 else block for block in blocks]
        if layer.op == "lstm":
            state = flat[-1]
            flat[-1] = state[: layer.width]
            i, f, g, o = (torch.cat(flat) @ weight + bias).chunk(4)
            cell = f.sigmoid() * state[layer.width :] + i.sigmoid() * g.tanh()
            return torch.cat([o.sigmoid() * cell.tanh(), cell])
        value = torch.cat(flat) @ weight + bias
        return value.relu() if layer.activation == "relu" else value

    def at_once(self, observation):
        """All layers on one observation, remembering nothing."""
        values = {"observation": torch.from_numpy(observation).float() * self.scale}
        values["action"] = torch.zeros(self.graph.action_size)
        for layer in self.graph.layers:
            zeros = torch.zeros(layer.state_width)
            values[layer.name] = self.layer(layer, [zeros if r.recurrent else values[r.source] for r in layer.reads])
        return values


class NaiveActor(NaiveNet):
    """Recomputes, for one decision, whatever it depends on."""

    def __init__(self, actor):
        super().__init__(actor, actor.scale)
        self.lags, self.start = actor.lags, actor.start
        self.head = self.graph.layers[-1].name

    def before(self, episode, node):
        if node == "observation" or self.start == "hold":
            return self.at_once(episode.first)[node]
        layer = self.graph.by_name.get(node)
        return torch.zeros(layer.state_width if layer else self.graph.action_size)

    def output(self, recording, source):
        if isinstance(source, Episode):
            return self.before(source, self.head)
        for column, rows in enumerate(recording.columns):
            for place, row in enumerate(rows):
                if row is source:
                    return self.value(recording, column, self.head, place, row.episode, {})
        raise AssertionError("a decision comes from no row")

    def value(self, recording, column, node, place, episode, known):
        """What a node held at a row, as seen from an episode."""
        rows = recording.columns[column]
        if place < 0 or rows[place].episode is not episode:
            return self.before(episode, node)
        row = rows[place]
        if node == "observation":
            return torch.from_numpy(row.observation).float() * self.scale
        if node == "action":
            return torch.from_numpy(row.action)
        layer = self.graph.by_name[node]
        if layer.recurrent and place < recording.begins[column]:
            return torch.from_numpy(row.held[node])
        if (node, place) not in known:
            seen = [
                self.value(recording, column, read.source, place - self.lags.edges[node, i], episode, known)
                for i, read in enumerate(layer.reads)
            ]
            known[node, place] = self.layer(layer, seen)
        return known[node, place]


def update(trainer, params, lr, *, masked=0, acted=None):
    """All epochs on copies of a trainer's networks; the copies' tensors afterwards: actor's, critic's.

    As published code does: the first `masked` decisions of every environment are not trained on, advantages are
    normalised at each tick, and `acted` gives the log-probabilities that decisions were drawn with, by their id.
    """
    actor, critic = NaiveActor(trainer.actor), NaiveNet(trainer.critic, trainer.actor.scale)
    tensors = [*actor.tensors(), *critic.tensors()]
    adam = torch.optim.Adam(tensors, lr, eps=1e-5)
    head = critic.graph.layers[-1].name

    def worth(observation):
        return critic.at_once(observation)[head][0]

    made, ticks = [], []
    for recording in trainer.fleet.recordings:
        later = 0.0
        for place in reversed(range(len(recording.decisions))):
            decision = recording.decisions[place]
            here = worth(decision.observation).item()
            if decision.ended:
                following = 0.0 if decision.last is None else worth(decision.last).item()
            elif place + 1 < len(recording.decisions):
                following = worth(recording.decisions[place + 1].observation).item()
            else:
                following = worth(recording.observation).item()
            carried = 0.0 if decision.ended else later
            gained = decision.reward + decision.discount * following - here + decision.discount * params.trace * carried
            later = gained
            with torch.no_grad():
                logits = actor.output(recording, decision.source)
                log_p = logits.log_softmax(-1)[decision.action].item()
            made.append((recording, decision, gained, here, acted[id(decision)] if acted else log_p))
            ticks.append(place)
    advantage = torch.tensor([gained for _, _, gained, *_ in made])
    together = [[at for at, tick in enumerate(ticks) if tick == one or not acted] for one in ticks]
    advantage = torch.stack(
        [(a - advantage[at].mean()) / (advantage[at].std() + 1e-8) for a, at in zip(advantage, together, strict=True)]
    )
    kept = [at for at, tick in enumerate(ticks) if tick >= masked]
    made, advantage = [made[at] for at in kept], advantage[kept]
    for _ in range(params.epochs):
        losses = []
        for (recording, decision, gained, here, log_p), a in zip(made, advantage, strict=True):
            drawn = torch.distributions.Categorical(logits=actor.output(recording, decision.source))
            ratio = (drawn.log_prob(torch.tensor(decision.action)) - log_p).exp()
            policy = -torch.min(ratio * a, ratio.clamp(1 - params.clip, 1 + params.clip) * a)
            value, goal = worth(decision.observation), gained + here
            near = here + (value - here).clamp(-params.clip, params.clip)
            error = 0.5 * torch.max((value - goal) ** 2, (near - goal) ** 2)
            losses.append(policy - params.entropy * drawn.entropy() + params.value * error)
        adam.zero_grad()
        torch.stack(losses).mean().backward()
        nn.utils.clip_grad_norm_(tensors, params.gradient_norm)
        adam.step()
    return [t.detach() for t in actor.tensors()], [t.detach() for t in critic.tensors()]
