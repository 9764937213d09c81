"""The pieces by hand: what a job reserves, how many fit, what a node refuses, when a lease counts as free."""

import json
import socket

import pytest
from rtbench.errors import RtbenchError
from rtbench.executors.jobs import Job
from rtbench.executors.leases import Holder, Leases
from rtbench.results.store import FolderStore
from rtbench.suites.identity import run_ids
from rtbench.testing import samples

from rtbench_ray import task as tasks
from rtbench_ray.cluster import GIB, Cluster, _room, _wanted
from rtbench_ray.executor import Params, Ray
from rtbench_ray.task import Task, carry_out
from rtbench_ray.watch import Watch

ELSEWHERE = Holder("other", "another-host", "another-boot", 1, "1")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"CPU": 1.0}),
        ({"threads": 4}, {"CPU": 4.0}),
        ({"threads": 4, "cpus": 0.5}, {"CPU": 0.5}),
        ({"gpus": 0.25, "memory_gib": 2.0}, {"CPU": 1.0, "GPU": 0.25, "memory": 2.0 * GIB}),
        ({"resources": "big=1, rack=0.5"}, {"CPU": 1.0, "big": 1.0, "rack": 0.5}),
    ],
)
def test_what_a_job_reserves(given, wanted):
    assert _wanted(Params(**given)) == wanted


@pytest.mark.parametrize("given", ["big", "big=", "big=0", "big=-1", "=1", "CPU=2", "big=nan"])
def test_no_resource(given):
    with pytest.raises(RtbenchError, match="not a resource"):
        _wanted(Params(resources=given))


def test_negative_amounts_name_their_option():
    with pytest.raises(RtbenchError, match="--memory-gib must be at least 0"):
        _wanted(Params(memory_gib=-1.0))


@pytest.mark.parametrize(
    ("node", "wanted", "room"),
    [
        ({"CPU": 16.0}, {"CPU": 1.0}, 16),
        ({"CPU": 16.0}, {"CPU": 3.0}, 5),
        ({"CPU": 16.0, "GPU": 2.0}, {"CPU": 1.0, "GPU": 0.25}, 8),
        ({"CPU": 16.0}, {"CPU": 1.0, "GPU": 0.25}, 0),
        ({"CPU": 0.3}, {"CPU": 0.1}, 3),  # 0.3 / 0.1 is a little less than 3
    ],
)
def test_room_of_a_node(node, wanted, room):
    assert _room(node, wanted) == room


def test_slots_and_what_is_missing(monkeypatch):
    monkeypatch.setenv("RAY_STANDIN_NODES", "4,2,1")
    fits, too_big = Cluster(Params(address="local", cpus=2.0)), Cluster(Params(address="local", cpus=8.0, gpus=1.0))
    try:
        assert (fits.slots, fits.missing()) == (3, "")
        assert (too_big.slots, too_big.missing()) == (1, "CPU 8, GPU 1")
    finally:
        fits.close()


def test_no_cluster_is_an_error_with_the_next_step():
    with pytest.raises(RtbenchError, match="no Ray cluster answers") as caught:
        Cluster(Params(address="192.0.2.1:6379"))
    assert "ray start --head" in caught.value.hint


def task(state, **more):
    return Task(**{"state": str(state), "mark": "ray/a.json", "version": "0", "job": {}, **more}, **LIMITS)


LIMITS = {"threads": 1, "retries": 0, "wait": True}


def test_a_node_of_another_version_refuses(tmp_path):
    ended = carry_out(task(tmp_path))
    assert "and 0 hands the runs over" in ended.refused
    assert ended.events == []


def test_a_node_that_has_another_state_refuses(tmp_path, monkeypatch):
    """Where the folder is not mounted there is an empty one of the same name, and results would go there."""
    import rtbench

    monkeypatch.setattr(tasks, "SEEN_S", 0.0)
    ended = carry_out(task(tmp_path / "not-mounted", version=rtbench.__version__))
    assert "is another one there" in ended.refused
    assert not (tmp_path / "not-mounted").exists()


def test_a_refusal_ends_the_command_and_names_the_node(tmp_path, monkeypatch):
    """The runner here says it is of another version than its nodes."""
    import rtbench

    cell, events = samples.cell(), []
    job = Job(cell, (1,), tuple(run_ids(cell, (1,))), (1,), "refused", 1, 60.0)
    monkeypatch.setattr(rtbench, "__version__", "0")
    with pytest.raises(RtbenchError, match=f"^{socket.gethostname()}: it has rtbench") as caught:
        Ray(Params(address="local")).make(tmp_path, events.append).run([job])
    assert caught.value.hint == "install the same versions on every node"
    assert events == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_lease_is_free_when_it_has_been_silent_for_its_length(tmp_path):
    store, now = FolderStore(tmp_path), [0.0]
    watch = Watch(store, clock=lambda: now[0])
    assert watch.free(["a", "b"])  # nobody ever held them
    held = Leases(store, ELSEWHERE, lease_s=60.0).acquire("a")
    assert not watch.free(["a", "b"])
    now[0] = 50.0
    held.beat()
    assert not watch.free(["a", "b"])  # the watch begins anew with every sign of life
    now[0] = 109.0
    assert not watch.free(["a", "b"])
    now[0] = 110.0
    assert watch.free(["a", "b"])
    assert json.loads(store.read(held.key))["beat"] == 1


def test_a_lease_that_was_let_go_is_free_at_once(tmp_path):
    store = FolderStore(tmp_path)
    held = Leases(store, ELSEWHERE, lease_s=60.0).acquire("a")
    assert not Watch(store).free(["a"])
    held.release()
    assert Watch(store).free(["a"])
