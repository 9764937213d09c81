"""What this scheduler promises, by hand."""

from rtbench_example.turns import TurnsState


def test_processes_take_turns() -> None:
    """Two processes, a step of 10 ns: process 1 reads observations 1, 3, 5 …, and none twice."""
    state = TurnsState(2, 10)
    assert state.start(0, 0) == 0
    assert state.start(1, 0) == 10
    assert state.start(1, 25) == 30
    assert state.start(1, 30) == 50
    assert state.register(1, 57, 7) == 57
