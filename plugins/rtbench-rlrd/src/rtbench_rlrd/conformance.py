"""What rtbench checks of this distribution; run by pytest and by `rtbench plugins check rtbench-rlrd`."""

from rtbench.testing import HookConformance, LearnerConformance, samples

SMALL = {"batch_size": 8, "critic_width": 8, "learning_starts": 15}
IN_FLIGHT = ("mlp", {"layers": 2, "width": 8, "augmentation": "in-flight"})


class TestDelayCorrecting(LearnerConformance):
    """All layers of a network at once: a delay of two steps."""

    name = "rlrd/dcac"
    params = SMALL
    architecture = IN_FLIGHT
    interaction = samples.interaction("pipelined", 1.0)


class TestDelayCorrectingOneStep(LearnerConformance):
    """A whole network in one step, as in the paper."""

    name = "rlrd/dcac"
    params = SMALL
    architecture = IN_FLIGHT
    interaction = samples.interaction("sequential", 0.5)


class TestAugmentedSAC(LearnerConformance):
    """The baseline."""

    name = "rlrd/sac"
    params = SMALL
    architecture = IN_FLIGHT
    interaction = samples.interaction("pipelined", 1.0)


class TestHooks(HookConformance):
    """The rows that `mujoco-delta` gains."""

    name = "rlrd"
