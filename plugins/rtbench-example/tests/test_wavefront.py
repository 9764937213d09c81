"""What this architecture promises, by hand."""

from rtbench.parts import PolicyShape

from rtbench_example.wavefront import Wavefront, Params


def test_its_newest_observation_is_one_layer_old() -> None:
    """With δ = 1 three layers in a chain see age 3; here the head reads the newest observation itself."""
    graph = Wavefront(Params(layers=3)).make(PolicyShape(4, 1, 2))
    assert {age for age, _ in graph.ages("pipelined", 1.0)} == {1, 2, 3}
