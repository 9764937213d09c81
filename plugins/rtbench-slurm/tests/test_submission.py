"""What sbatch is asked for, how runs are laid into tasks, and what is refused before anything is submitted."""

import dataclasses

import pytest
from rtbench.errors import RtbenchError, SuiteError
from rtbench.executors.jobs import Job
from rtbench.results.places import Bucket
from rtbench.suites.identity import run_ids
from rtbench.testing import samples

from rtbench_slurm.execution import SlurmExecution
from rtbench_slurm.executor import Params
from rtbench_slurm.submission import Array, arrays, check, minutes, resources


def job(seed, **interaction):
    cell = samples.cell(interaction=samples.interaction("sequential", 1.0, **interaction))
    return Job(cell, (seed,), tuple(run_ids(cell, (seed,))), (1,), "a-suite", 1, 120.0)


def seeds(found):
    return [[[one.seeds[0] for one in task] for task in array.tasks] for array in found]


def test_a_task_has_as_many_jobs_as_it_does_at_a_time_unless_told_otherwise():
    jobs = [job(seed) for seed in range(5)]
    assert seeds(arrays(jobs, Params())) == [[[0], [1], [2], [3], [4]]]
    assert seeds(arrays(jobs, Params(jobs=2))) == [[[0, 1], [2, 3], [4]]]
    assert seeds(arrays(jobs, Params(jobs=2, jobs_per_task=4))) == [[[0, 1, 2, 3], [4]]]
    assert seeds(arrays(jobs, Params(array_size=2))) == [[[0], [1]], [[2], [3]], [[4]]]
    assert arrays([], Params()) == []


def test_runs_on_the_wall_clock_have_a_node_each():
    jobs = [job(0), job(1, clock="wall"), job(2, clock="wall"), job(3)]
    found = arrays(jobs, Params(jobs=2, jobs_per_task=8))
    assert seeds(found) == [[[0, 3]], [[1], [2]]]
    assert [array.alone for array in found] == [False, True]
    shared, alone = (resources(array, Params(jobs=2, threads=3)) for array in found)
    assert "exclusive" not in shared
    assert alone["exclusive"] is True
    assert (shared["cpus_per_task"], alone["cpus_per_task"]) == (6, 3)


def test_what_is_asked_for():
    array = Array(((job(0),),), alone=False)
    plain = resources(array, Params())
    assert {"partition", "account", "gpus_per_node", "exclusive", "setup"}.isdisjoint(plain)
    assert (plain["time"], plain["signal_delay_s"], plain["job_name"]) == (240, 90, "rtbench-a-suite")
    assert plain["additional_parameters"] == {"requeue": True}
    assert plain["wckey"] is None
    asked = Params(partition="gpu", gpus=1, memory="8G", setup="module load x", sbatch="nice=100, hold,--mail-user=me")
    full = resources(array, dataclasses.replace(asked, exclusive=True, time="61s", stop_before="20s"))
    assert (full["partition"], full["gpus_per_node"], full["setup"]) == ("gpu", 1, ["module load x"])
    assert (full["time"], full["signal_delay_s"], full["exclusive"]) == (2, 20, True)
    further = {"requeue": True, "mem": "8G", "nice": "100", "hold": True, "mail-user": "me"}
    assert full["additional_parameters"] == further


@pytest.mark.parametrize(("time", "expected"), [("1s", 1), ("60s", 1), ("61s", 2), ("4h", 240), ("1.5h", 90)])
def test_limits_are_whole_minutes_rounded_up(time, expected):
    assert minutes(time) == expected


@pytest.mark.parametrize(
    ("params", "place"),
    [
        (Params(jobs=-1), "--jobs"),
        (Params(array_parallelism=0), "--array-parallelism"),
        (Params(time="soon"), "--time"),
        (Params(stop_before="5s"), "--stop-before"),
        (Params(time="1min", stop_before="60s"), "--stop-before"),
        (Params(sbatch="=3"), "--sbatch"),
    ],
)
def test_what_no_cluster_can_be_asked_is_refused(params, place):
    with pytest.raises(SuiteError) as error:
        check(params)
    assert error.value.place == place


def test_without_a_cluster_it_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SuiteError, match="not on the PATH"):
        check(Params())


def test_a_bucket_needs_a_folder_for_what_sbatch_reads(tmp_path):
    bucket = Bucket("s3://bucket/state")
    with pytest.raises(SuiteError, match="--folder"):
        SlurmExecution(bucket, print, Params())
    SlurmExecution(bucket, print, Params(folder=str(tmp_path)))


def test_refusal_of_sbatch_is_told_in_its_words(tmp_path, fake):
    refusing = fake.parent / "bin" / "sbatch"
    refusing.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpu' >&2\nexit 1\n")
    with pytest.raises(RtbenchError, match="invalid partition specified: gpu"):
        SlurmExecution(tmp_path, lambda event: None, Params(partition="gpu")).run([job(0)])
    assert not list((tmp_path / "handed").glob("*"))
