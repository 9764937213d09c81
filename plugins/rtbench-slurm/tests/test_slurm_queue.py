"""What squeue prints, as places of tasks; what it says when it knows nothing, or does not answer."""

import pytest
from rtbench.errors import RtbenchError

from rtbench_slurm.queue import queued


@pytest.fixture
def squeue(fake):
    """Answers as a test wants it to, and keeps what it was asked."""
    program = fake.parent / "bin" / "squeue"

    def answer(out="", err="", code=0):
        (fake / "out").write_text(out)
        (fake / "err").write_text(err)
        program.write_text(f'#!/bin/sh\necho "$@" > {fake}/asked\ncat {fake}/out\ncat {fake}/err >&2\nexit {code}\n')
        return lambda: (fake / "asked").read_text()

    return answer


def test_states_as_slurm_names_them(squeue):
    lines = [
        "7_0|RUNNING|None|n1",
        "7_1|PENDING|Resources|",
        "7_2|COMPLETING|None|n2",
        "9|PENDING|(ReqNodeNotAvail, x)|",
    ]
    lines += ["7_3|PREEMPTED|None|n1", "7_4|COMPLETED|None|n1", "7_5|SUSPENDED|None|n1", "7_6|REQUEUED|BeginTime|"]
    asked = squeue("".join(f"{line}\n" for line in lines))
    assert queued([*(f"7_{index}" for index in range(8)), "9"]) == {
        "7_0": ("running", "n1"),
        "7_1": ("queued", "Resources"),
        "7_2": ("running", "n2"),
        "7_3": ("queued", "None"),
        "7_5": ("running", "n1"),
        "7_6": ("queued", "BeginTime"),
        "9": ("queued", "(ReqNodeNotAvail, x)"),
    }
    assert "--jobs 7,9" in asked()


def test_tasks_of_others_in_the_same_job_are_left_out(squeue):
    squeue("7_0|RUNNING|None|n1\n7_1|RUNNING|None|n1\n")
    assert set(queued(["7_1"])) == {"7_1"}


def test_unknown_jobs_are_in_no_queue(squeue):
    squeue(err="slurm_load_jobs error: Invalid job id specified\n", code=1)
    assert queued(["7_0"]) == {}


def test_no_answer_is_an_error_and_not_an_empty_queue(squeue):
    squeue(err="slurm_load_jobs error: Unable to contact slurm controller\n", code=1)
    with pytest.raises(RtbenchError, match="Unable to contact"):
        queued(["7_0"])


def test_without_squeue_it_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RtbenchError, match="not on the PATH"):
        queued(["7_0"])
    assert queued([]) == {}
