"""What an acting loop must do, read off whole timelines: a world, a policy that remembers, a naive account."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from helpers.cells import interaction, small_cell

from rtbench.cell import Latency
from rtbench.interaction.timing import draws, timeline_of
from rtbench.learners.loop import Loop
from rtbench.learners.recorder import Silence
from rtbench.parts import EnvironmentSpec, PolicyShape
from rtbench.plugins import build
from rtbench.seeds import generator

BOX = EnvironmentSpec((2,), 2, True, 0.01, 90, (-2.0, 0.0), (2.0, 4.0))
CHOICE = EnvironmentSpec((2,), 3, False, 0.01, 90, noop=1)
SEED = 4
LONG = 400
FIXED, NOISY = Latency("constant", mean_s=0.025), Latency("lognormal", mean_s=0.03, cv=0.4)
RARE = Latency("mixture", parts=((0.7, Latency("constant", mean_s=0.004)), (0.3, FIXED)))


class World:
    """Observation (episode, step); the reward names the step and the action; episodes of the given lengths."""

    def __init__(self, lengths):
        self.lengths, self.episode, self.actions = lengths, -1, []

    def reset(self, seed):
        self.episode, self.step_number = self.episode + 1, 0
        self.actions.append([])
        return self._observation(), {}

    def _observation(self):
        return np.array([self.episode, self.step_number], np.float64)

    def step(self, action):
        self.actions[-1].append(action)
        self.step_number += 1
        length, terminates = self.lengths[self.episode % len(self.lengths)]
        over = self.step_number >= length
        reward = self.step_number + float(np.sum(action))
        return self._observation(), reward, over and terminates, over and not terminates, {}


def following(state, observation, action):
    """What a process remembers after a tick: of its own last tick, of what it read, of the action beside it."""
    episode, step = (float(x) for x in observation)
    beside = sum(float(x) * place for place, x in enumerate(action, 1))
    return np.float32((0.5 * float(state) + 0.31 * episode + 0.017 * step + 0.07 * beside) % 1.0)


class Remembering:
    """An acting whose head is its memory; `first` is what it knows before an episode's first tick."""

    def __init__(self, first=0.0):
        self.value, self.first = np.float32(0), np.float32(first)

    def restart(self, observation):
        self.value = np.float32(0)
        return np.array([self.first])

    def tick(self, observation, action):
        self.value = following(self.value, observation, action)
        return np.array([self.value])

    def state(self):
        return {"value": np.array([self.value])}

    def restore(self, state):
        self.value = np.float32(state["value"][0])


def decider(spec, chunk):
    """Actions that name the memory they come from, and their place in the chunk."""

    def one(value, offset):
        if spec.continuous:
            return np.array([np.tanh(value), offset / 10], np.float32)
        return np.eye(3, dtype=np.float32)[int(1000 * value + offset) % 3]

    if chunk == 1:
        return lambda head: one(float(head[0]), 0)
    return lambda head: np.stack([one(float(head[0]), offset) for offset in range(chunk)])


class Events(Silence):
    """What the recorder was told, without what the world tells anyway."""

    def __init__(self):
        self.told = []

    def begin_episode(self, observation):
        self.told.append(("episode",))

    def begin_inference(self, read_step, process=0):
        self.told.append(("inference", process, read_step))

    def apply(self, inference):
        self.told.append(("apply", inference))

    def end_step(self, action, reward, observation):
        self.told.append(("step", tuple(action.tolist()), reward, tuple(observation.tolist())))

    def end_episode(self, terminated, bootstrap):
        self.told.append(("end", terminated, bootstrap))


def chunk_size(inter):
    return inter.scheduler.params.get("actions", 1)


def new_loop(inter, spec, lengths, first=None, recorder=None, start="hold"):
    """`first`: what the head holds before an episode's first tick; None: the default policy acts first."""
    cell = small_cell("InvertedPendulum-v4", {"layers": 3}, inter)
    chunk = chunk_size(inter)
    graph = build(cell.architecture).make(PolicyShape(2, spec.action_size, chunk * spec.action_size))
    alone = inter.execution == "instant" or inter.counterfactual != "none"
    actings = [Remembering(first or 0.0) for _ in range(1 if alone else inter.processes)]
    decide = decider(spec, chunk)
    loop = Loop(
        cell,
        graph,
        actings,
        decide,
        seed=SEED,
        phase="x",
        recorder=recorder,
        env=World(lengths),
        spec=spec,
        start=start,
        first_action=first is not None,
    )
    return loop, graph, decide


class Account:
    """Episodes one after the other, read off whole timelines; step by step, in plain Python."""

    def __init__(self, inter, graph, spec, decide, first):
        self.inter, self.graph, self.spec, self.decide, self.first = inter, graph, spec, decide, first
        self.chunk = chunk_size(inter)
        self.beta_rng = generator(SEED, "x", "default policy")
        self.random_rng = generator(SEED, "x", "random actions")
        default = build(inter.default_policy)
        self.beta, self.holds = default.make(spec), default.holds
        self.told, self.actions, self.ages = [], [], (Counter(), Counter())
        self.counts, self.returns = Counter(), []

    def line(self, episode, resets):
        """The true timeline that the episode lives in, and the step at which it begins there."""
        true = replace(self.inter, counterfactual="none")
        names = (SEED, "x", *([episode] if draws(true, 3, self.spec.step_s) else []))
        if self.inter.execution == "instant":
            return timeline_of(true, 3, self.spec.step_s, LONG, *names), 0
        if self.inter.on_reset == "continue":
            line = timeline_of(true, 3, self.spec.step_s, resets[-1] + LONG, SEED, "x")
            return line.with_resets(resets), resets[-1]
        return timeline_of(true, 3, self.spec.step_s, LONG, *names), 0

    def vector(self, action):
        if self.spec.continuous:
            return np.asarray(action, np.float32)
        return np.eye(self.spec.action_size, dtype=np.float32)[action]

    def default(self, last):
        plain = last if self.spec.continuous or last is None else int(last.argmax())
        return self.vector(self.beta(plain, self.beta_rng))

    def random(self):
        size, chunk = self.spec.action_size, self.chunk
        shape = (size,) if chunk == 1 else (chunk, size)
        if self.spec.continuous:
            return self.random_rng.uniform(-1, 1, shape).astype(np.float32)
        return np.eye(size, dtype=np.float32)[self.random_rng.integers(size, size=shape[:-1])]

    def episode(self, episode, resets, length, terminates):
        line, base = self.line(episode, resets)
        at_once = self.inter.execution == "instant" or self.inter.counterfactual == "age-0"
        met = line.fresh() if at_once else line
        first = int(np.searchsorted(met.started_ns, base * met.step_ns))
        self.told.append(("episode",))
        memory, decided, taken, rewards, sources = {}, {}, [], [], []
        last, known = None, None if self.first is None else self.decide([np.float32(self.first)])

        def infer(m, step, bootstrap=False):
            """Inference m of the timeline reads; under `at_once` the tick before learns what became of its decision."""
            process = int(met.process[m]) if not bootstrap else bootstrap_process
            read = max(0, int(met.read_step[m]) - base) if not bootstrap else step
            own = [k for k in memory if memory[k][0] == process]
            before = memory[own[-1]][2] if own else np.float32(0)
            if at_once:
                beside = taken[memory[own[-1]][1]] if own else np.zeros(self.spec.action_size)
            else:
                beside = np.zeros(self.spec.action_size) if bootstrap else taken[read]
            state = following(before, np.array([episode, read]), np.asarray(beside, np.float32))
            memory[m] = (process, read, state)
            decided[m] = self.random() if not bootstrap and met.random[m] else self.decide([state])
            self.told.append(("inference", process, read))

        for step in range(length):
            now = base + step
            source = int(met.source[now])
            if at_once and source >= 0:
                infer(source, step)
            if source >= 0:
                action = np.asarray(decided[source])
                action = action[int(met.offset[now])] if self.chunk > 1 else action
                self.counts["fresh"] += 1
                self.counts["continued"] += int(met.offset[now]) > 0
                if met.offset[now] == 0:
                    self.told.append(("apply", source - first))
                last = action
            elif any(s >= 0 for s in sources):
                action = self.default(last)
                self.counts["inaction"] += 1
            else:
                action = self.default(None) if known is None else known if self.chunk == 1 else known[0]
                self.counts["startup"] += 1
            sources.append(source)
            taken.append(action)
            if not at_once:
                for m in line.started(now):
                    infer(m, step)
            plain = action if self.spec.continuous else int(action.argmax())
            if self.spec.continuous:
                low, high = np.asarray(self.spec.action_low), np.asarray(self.spec.action_high)
                plain = np.float32(low) + (action + 1) * np.float32((high - low) / 2)
            rewards.append(step + 1 + float(np.sum(plain)))
            self.told.append(("step", tuple(action.tolist()), rewards[-1], (float(episode), float(step + 1))))
        self.actions.append(taken)
        share = [r for r, s in zip(rewards, sources, strict=True) if s < 0]
        self.returns.append((sum(rewards), sum(share)))
        self._count_ages(met, base, length)
        self.counts["arrived"] += sum(len(met.arrived(base + step)) for step in range(length))
        bootstrap = None
        if not terminates:
            end = base + length
            waiting = [m for m in memory if met.registered_ns[m] > (end - 1) * met.step_ns]
            bootstrap = next(reversed([m for m in line.arrived(end) if m in waiting]), None) if not at_once else None
            if bootstrap is None and not at_once:
                bootstrap = min(waiting, key=lambda m: (met.registered_ns[m], m), default=None)
            if bootstrap is None:
                bootstrap = first + len(memory)
                bootstrap_process = 0 if at_once else int(line.process[bootstrap])
                infer(bootstrap, length, bootstrap=True)
            bootstrap -= first
        self.told.append(("end", terminates, bootstrap))

    def _count_ages(self, met, base, length):
        at_once = self.inter.execution == "instant" or self.inter.counterfactual == "age-0"
        pipelined = self.inter.execution == "pipelined" and not at_once
        lags = (3, 3) if pipelined else (1, 1)  # a plain chain of three layers at delta 1 or more
        for counter, ages in zip(self.ages, met.ages(*lags, holds=self.holds), strict=True):
            counter.update(ages[base : base + length].compressed().tolist())


PATTERNS = {
    "instant": interaction("instant", 0.0),
    "instant-random": interaction("instant", 0.0, epsilon=0.5),
    "pipeline": interaction(delta=1.0),
    "pipeline-4": interaction(delta=4.0, default="random"),
    "replicas": interaction(delta=3.0, scheduler="staggered-max", processes=3),
    "replicas-slots": interaction(delta=3.0, scheduler="staggered-slots", processes=2, default="zero"),
    "replicas-expected": interaction(delta=0.0, latency=NOISY, scheduler="staggered-expected", processes=4),
    "replicas-continue": interaction(delta=2.5, scheduler="staggered-max", processes=3, on_reset="continue"),
    "whole": interaction("sequential", 1.0),
    "whole-staggered": interaction("sequential", 1.0, scheduler="staggered-max", processes=3, default="noop"),
    "whole-noisy": interaction("sequential", 0.0, latency=NOISY, scheduler="staggered-expected", processes=3),
    "whole-slots": interaction("sequential", 0.0, latency=FIXED, scheduler="staggered-slots", processes=3),
    "whole-random": interaction(
        "sequential", 0.0, latency=NOISY, scheduler="staggered-max", processes=3, epsilon=0.4, on_reset="continue"
    ),
    "async": interaction("sequential", 0.0, latency=RARE, scheduler="async"),
    "learning": interaction("sequential", 1.0, scheduler="sequential", learning=FIXED, default="random"),
    "sensor": interaction("sequential", 0.5, sensor_latency_s=0.034, actuator_latency_s=0.012, on_reset="continue"),
    "chunks": interaction("sequential", 0.0, latency=FIXED, scheduler="chunked", default="zero"),
    "chunks-noisy": interaction(
        "sequential", 0.0, latency=NOISY, scheduler="chunked", epsilon=0.2, on_reset="continue"
    ),
    "age-0": interaction("sequential", 2.0, default="random", counterfactual="age-0"),
    "age-0-pipeline": interaction(delta=3.0, counterfactual="age-0"),
    "age-0-replicas": interaction(
        delta=0.0, latency=NOISY, scheduler="staggered-max", processes=3, epsilon=0.3, counterfactual="age-0"
    ),
    "age-0-continue": interaction(
        "sequential", 0.0, latency=NOISY, epsilon=0.3, on_reset="continue", counterfactual="age-0"
    ),
    "late": interaction(
        "sequential", 1.0, scheduler="staggered-max", processes=3, lateness=Latency("uniform", low_s=0.0, high_s=0.004)
    ),
}
