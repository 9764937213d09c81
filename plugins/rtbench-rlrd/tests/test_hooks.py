"""The rows that the suite `mujoco-delta` gains while this is installed."""

from rtbench_rlrd.hooks import LABELS

from rtbench.suites.added import expand_with_plugins
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite


def test_mujoco_delta_gains_both_learners_on_every_task() -> None:
    suite = load_suite("mujoco-delta", "demo")
    plain = {cell.cell_id for cell in expand(suite)}
    cells, problems = expand_with_plugins(suite)
    assert problems == []
    added = [cell for cell in cells if cell.cell_id not in plain]
    assert {(cell.environment, cell.method) for cell in added} == {
        (task, label) for task in ("HalfCheetah-v4", "Hopper-v4") for label in LABELS.values()
    }
    assert {cell.unsupported for cell in added} == {None}
    assert {cell.cell.budget for cell in added} == {cell.cell.budget for cell in cells}


def test_other_suites_are_left_alone() -> None:
    suite = load_suite("quickstart")
    assert expand_with_plugins(suite)[0] == expand(suite)
