"""Every test has a stand-in for SLURM in front of its PATH, with a queue of its own that is empty afterwards."""

import pytest
import stand_in
from suites import eventually


@pytest.fixture(autouse=True)
def fake(tmp_path_factory, monkeypatch):
    """The folder of the stand-in's queue."""
    folder = tmp_path_factory.mktemp("slurm")
    for name, value in stand_in.install(folder / "bin", folder / "queue").items():
        monkeypatch.setenv(name, value)
    yield folder / "queue"
    for task in (folder / "queue").glob("*.task"):
        task.with_suffix(".cancel").touch()
    eventually(lambda: not list((folder / "queue").glob("*.task")))
