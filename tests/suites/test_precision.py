"""Precision is an axis of a suite, part of identity, and refused where a learner cannot train in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtbench.learners.sac import SAC
from rtbench.suites.expand import expand
from rtbench.suites.model import load_suite
from rtbench.suites.shipped import locate


@pytest.fixture
def both(tmp_path: Path) -> str:
    """The quickstart in both precisions."""
    text = locate("quickstart").read_text(encoding="utf-8").replace("[axes]", '[axes]\nprecision = ["fp32", "bf16"]', 1)
    path = tmp_path / "quickstart.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_cells_of_another_precision_are_other_cells_and_the_usual_ones_keep_their_names(both: str) -> None:
    plain = {cell.cell_id for cell in expand(load_suite("quickstart"))}
    cells = expand(load_suite(both))
    assert {cell.cell_id for cell in cells if cell.cell.precision == "fp32"} == plain
    assert len({cell.cell_id for cell in cells}) == 2 * len(plain)


def test_a_learner_that_cannot_refuses_with_the_reason(both: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SAC, "precisions", ("fp32",))
    reasons = {(cell.cell.precision, cell.unsupported) for cell in expand(load_suite(both))}
    assert reasons == {("fp32", None), ("bf16", "learner sac trains in fp32, not bf16")}


def test_an_unknown_precision_is_a_mistake_in_the_file(both: str) -> None:
    path = Path(both)
    path.write_text(path.read_text(encoding="utf-8").replace('"bf16"]', '"fp8"]'), encoding="utf-8")
    with pytest.raises(Exception, match="precision"):
        load_suite(both)
