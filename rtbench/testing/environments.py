"""Conformance of environments: what a learner, a checkpoint and a clock rely on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtbench import plugins
from rtbench.errors import RtbenchError
from rtbench.parts import EnvironmentSpec
from rtbench.testing.base import NotApplicable, PartConformance, once, require

Step: TypeAlias = tuple[NDArray[Any], float, bool, bool]
"""What a step answered: observation, reward, terminated, truncated."""


class EnvironmentConformance(PartConformance):
    """Checks an environment with `params`: spaces, seeds, time limits, many at once, threads.

    `steps` is how many steps of an episode are compared, `longest_steps` up to which time limit episodes are played
    to their end.
    """

    kind = "environments"
    steps: ClassVar[int] = 60
    longest_steps: ClassVar[int] = 2_000

    @property
    @once
    def spec(self) -> EnvironmentSpec:
        """Its specification."""
        spec: EnvironmentSpec = self.build().spec()
        return spec

    def actions(self, count: int, seed: int = 0) -> list[Any]:
        """Actions drawn uniformly, as the environment takes them."""
        rng, spec = np.random.default_rng(seed), self.spec
        if not spec.continuous:
            return [int(action) for action in rng.integers(spec.action_size, size=count)]
        low, high = np.asarray(spec.action_low, np.float32), np.asarray(spec.action_high, np.float32)
        return [rng.uniform(low, high).astype(np.float32) for _ in range(count)]

    def played(self, env: Any, seed: int, actions: list[Any], *, restart: bool = True) -> list[Step]:
        """The steps of an episode from its reset on, until it ends or the actions do."""
        steps: list[Step] = []
        if restart:
            first, _ = env.reset(seed=seed)
            steps.append((np.array(first), 0.0, False, False))
        for action in actions:
            found, reward, terminated, truncated, _ = env.step(action)
            steps.append((np.array(found), float(reward), bool(terminated), bool(truncated)))
            if terminated or truncated:
                break
        return steps

    def alone(self, seed: int, actions: list[Any]) -> list[Step]:
        """The same in an environment of its own."""
        env = self.build().make()
        try:
            return self.played(env, seed, actions)
        finally:
            env.close()

    # ---- the specification -----------------------------------------------------------------------------------------

    def test_spec_has_sizes(self) -> None:
        """Observations and actions have positive lengths, a time limit is positive or None."""
        spec = self.spec
        require(spec.observation_shape and min(spec.observation_shape) >= 1, f"shape {spec.observation_shape}")
        require(spec.action_size >= 1, f"action_size must be at least 1, not {spec.action_size}")
        limit = spec.max_episode_steps
        require(limit is None or limit >= 1, f"max_episode_steps must be positive or None, not {limit}")

    def test_spec_has_a_duration_of_a_step(self) -> None:
        """`step_s` is at least a nanosecond: the world does not wait."""
        require(np.isfinite(self.spec.step_s) and self.spec.step_s >= 1e-9, f"step_s is {self.spec.step_s}")

    def test_spec_bounds_actions(self) -> None:
        """Continuous actions have a finite box with a lower and an upper end, discrete ones none."""
        spec = self.spec
        if not spec.continuous:
            require(spec.noop is None or 0 <= spec.noop < spec.action_size, f"noop {spec.noop} is no action")
            return
        low, high = np.asarray(spec.action_low), np.asarray(spec.action_high)
        require(low.shape == high.shape == (spec.action_size,), "action_low and action_high have one number per action")
        require(np.isfinite([low, high]).all() and (low < high).all(), f"not a box: {low} … {high}")

    def test_spec_is_the_same_every_time(self) -> None:
        """Asked again, of another instance, it says the same."""
        require(self.build().spec() == self.spec, "spec() differs from call to call")

    def test_spec_agrees_with_the_family(self) -> None:
        """`actions`, if the class says it, is what every member has."""
        family = self.part_class.actions
        found = "continuous" if self.spec.continuous else "discrete"
        require(family in ("", found), f"the class says actions = {family!r}, spec() says {found}")

    def test_spaces_agree_with_spec(self) -> None:
        """Gymnasium's spaces have the shapes, the bounds and the number of actions that `spec` says."""
        spec, env = self.spec, self.build().make()
        seen, acted = env.observation_space, env.action_space
        env.close()
        require(tuple(seen.shape) == spec.observation_shape, f"the space has shape {seen.shape}, spec another")
        if spec.continuous:
            require(acted.shape == (spec.action_size,), f"the action space has shape {acted.shape}")
            bounds = np.allclose(acted.low, spec.action_low) and np.allclose(acted.high, spec.action_high)
            require(bounds, f"the action space is {acted.low} … {acted.high}, spec says otherwise")
        else:
            require(int(acted.n) == spec.action_size, f"the space has {acted.n} actions, spec {spec.action_size}")

    # ---- an episode ------------------------------------------------------------------------------------------------

    def test_observations_are_of_their_space(self) -> None:
        """Every observation has the shape of the space, is finite and fits the dtype that `spec` says it is kept in."""
        spec = self.spec
        for observation, *_ in self.alone(1, self.actions(self.steps)):
            require(observation.shape == spec.observation_shape, f"an observation has shape {observation.shape}")
            require(np.isfinite(observation).all(), "an observation is not finite")
            if np.issubdtype(np.dtype(spec.observation_dtype), np.integer):
                kept = observation.astype(spec.observation_dtype)
                require((kept == observation).all(), f"an observation loses something as {spec.observation_dtype}")

    def test_a_step_answers_in_full(self) -> None:
        """Observation, finite reward, two flags and a dictionary."""
        env = self.build().make()
        env.reset(seed=1)
        answer = env.step(self.actions(1)[0])
        env.close()
        require(len(answer) == 5, f"a step answers with {len(answer)} values, not 5")
        _, reward, terminated, truncated, info = answer
        require(np.isfinite(float(reward)), f"the reward is {reward}")
        for flag in (terminated, truncated):
            require(isinstance(flag, (bool, np.bool_)), f"a flag is {flag!r}")
        require(isinstance(info, dict), f"info is {info!r}")

    def test_same_seed_same_episode(self) -> None:
        """Two environments with the same seed and the same actions give the same bits."""
        actions = self.actions(self.steps)
        self._equal(self.alone(3, actions), self.alone(3, actions), "two environments with one seed differ")

    def test_the_seed_matters(self) -> None:
        """Of ten seeds not all give the same episode."""
        actions = self.actions(self.steps)
        first = self.alone(0, actions)
        differs = any(_difference(first, self.alone(seed, actions)) for seed in range(1, 10))
        require(differs, "ten seeds give one and the same episode")

    def test_nothing_outlives_a_reset(self) -> None:
        """After another episode, broken off or not, a seed gives the same episode as in a fresh environment."""
        actions, env = self.actions(self.steps), self.build().make()
        self.played(env, 11, self.actions(7, seed=2))
        again = self.played(env, 3, actions)
        env.close()
        self._equal(self.alone(3, actions), again, "an episode depends on the one before it")

    def test_an_episode_can_be_replayed(self) -> None:
        """Reset and given its actions again it goes on as before: a checkpoint keeps nothing else of it."""
        actions = self.actions(self.steps)
        whole, half = self.alone(5, actions), len(actions) // 2
        env = self.build().make()
        self.played(env, 5, actions[:half])
        replayed = self.played(env, 5, actions[:half])
        rest = [] if replayed[-1][2] or replayed[-1][3] else self.played(env, 5, actions[half:], restart=False)
        env.close()
        self._equal(whole, [*replayed, *rest], "replayed from its seed and actions an episode goes on otherwise")

    def test_actions_are_left_alone(self) -> None:
        """A step does not write into the action it is given."""
        env, actions = self.build().make(), self.actions(5)
        copies = [np.copy(action) for action in actions]
        self.played(env, 1, actions)
        env.close()
        require(all(np.array_equal(a, b) for a, b in zip(actions, copies, strict=True)), "a step changes its action")

    def test_no_episode_outlasts_its_limit(self) -> None:
        """Played to the end, no episode is longer than `max_episode_steps`, and the last step says that it is over."""
        limit = self.spec.max_episode_steps
        if limit is None or limit > self.longest_steps:
            raise NotApplicable(f"its time limit is {limit} steps, and {self.longest_steps} are played")
        for seed in (1, 2):
            steps = self.alone(seed, self.actions(limit + 1, seed))
            require(len(steps) - 1 <= limit, f"an episode lasts {len(steps) - 1} steps, its limit is {limit}")
            require(steps[-1][2] or steps[-1][3], f"after {limit} steps an episode is neither terminated nor truncated")

    def test_global_randomness_does_not_matter(self) -> None:
        """NumPy's and Python's global generators change nothing: every stream comes from the seed."""
        import random

        actions = self.actions(self.steps)
        kept, state = np.random.get_state(), random.getstate()
        found = []
        for seed in (1, 2):
            np.random.seed(seed)
            random.seed(seed)
            found.append(self.alone(4, actions))
        np.random.set_state(kept)
        random.setstate(state)
        self._equal(found[0], found[1], "an episode depends on global random state")

    # ---- several ---------------------------------------------------------------------------------------------------

    def test_two_do_not_disturb_each_other(self) -> None:
        """Two environments stepped in turn go on as each alone."""
        actions = [self.actions(self.steps, seed) for seed in (1, 2)]
        envs = [self.build().make() for _ in range(2)]
        found: list[list[Step]] = [self.played(env, seed, []) for seed, env in enumerate(envs)]
        for at in range(self.steps):
            for env, mine, steps in zip(envs, actions, found, strict=True):
                if not (steps[-1][2] or steps[-1][3]):
                    steps += self.played(env, 0, [mine[at]], restart=False)
        for seed, env in enumerate(envs):
            env.close()
            self._equal(self.alone(seed, actions[seed]), found[seed], "two environments in turn disturb each other")

    def test_threads_do_not_disturb_each_other(self) -> None:
        """Two environments in two threads go on as each alone."""
        actions = self.actions(self.steps)
        with ThreadPoolExecutor(2) as threads:
            found = list(threads.map(lambda seed: self.alone(seed, actions), (1, 2)))
        for seed, steps in zip((1, 2), found, strict=True):
            self._equal(self.alone(seed, actions), steps, "two environments in two threads disturb each other")

    def test_many_are_like_one(self) -> None:
        """`make_many` gives what single environments give: observations, rewards, ends."""
        actions = self.actions(self.steps)
        expected = [self.alone(seed, actions) for seed in (1, 2, 3)]
        many = self.build().make_many(3)
        for index in range(3):
            many.reset(index, index + 1)
        for at in range(self.steps):
            going = [index for index in range(3) if at + 1 < len(expected[index])]
            if not going:
                break
            rewards, terminated, truncated = many.step(np.stack([actions[at]] * 3), only=going)
            for index in going:
                observation, reward, *flags = expected[index][at + 1]
                same = np.array_equal(many.observations[index], observation.astype(self.spec.observation_dtype))
                require(same, f"make_many: observation {at + 1} of environment {index} is another")
                require(np.float32(reward) == rewards[index], f"make_many: reward {at + 1} of {index} is another")
                require(flags == [terminated[index], truncated[index]], f"make_many: flags {at + 1} of {index}")
        many.close()

    # ---- what acts in it -------------------------------------------------------------------------------------------

    def test_default_policies_act_in_it(self) -> None:
        """Every default policy of the core that fits gives actions it takes."""
        from rtbench.learners.actions import Actions

        rng, env, space = np.random.default_rng(0), self.build().make(), Actions(self.spec)
        for name in ("repeat-last", "noop", "zero", "random"):
            part = plugins.build(plugins.use("default_policies", name))
            try:
                policy: Callable[..., Any] = part.make(self.spec)
            except RtbenchError:  # it says that it does not fit
                continue
            env.reset(seed=1)
            taken = space.to_environment(space.default(policy)(None, rng))
            require(env.action_space.contains(taken), f"{name} gives {taken!r}, which is no action")
            env.step(taken)
        env.close()

    def _equal(self, one: list[Step], other: list[Step], message: str) -> None:
        difference = _difference(one, other)
        require(not difference, f"{message}: {difference}")


def _difference(one: list[Step], other: list[Step]) -> str:
    """Where two episodes first differ, empty if nowhere."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if not np.array_equal(a[0], b[0]):
            return f"observation {at}"
        if a[1:] != b[1:]:
            return f"step {at} answers {a[1:]} and {b[1:]}"
    return "" if len(one) == len(other) else f"they last {len(one) - 1} and {len(other) - 1} steps"
