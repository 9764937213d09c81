"""On real Ray: two nodes and a head on this machine, one of which loses its power; and the digest of a leaderboard.

python -m pytest cluster        (tox -e ray)
"""

import os
import signal
import subprocess
import sys

import pytest
from ray.cluster_utils import Cluster
from ray_harness import SAC, checkpoints, command, eventually, finished, kill_all, once_each, rows, same_outcomes, suite

RUNS = 3
STORE = 100_000_000


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The rows of the local executor."""
    folder = tmp_path_factory.mktemp("local")
    path = suite(folder, steps=3_000, seeds=RUNS, trained=SAC)  # still at work when somebody stops them
    code, out, err = finished(command("run", path, "--state", folder / "state"))
    assert code == 0, out + err
    return path, folder / "state"


@pytest.fixture
def nodes(monkeypatch):
    """A head without cores, two nodes with one each; RAY_ADDRESS says where."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    try:
        found = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield found
    finally:
        cluster.shutdown()


def processes(node):
    """Of a node's own daemons; all that it runs descend from them."""
    return [info.process.pid for infos in node.all_processes.values() for info in infos]


def test_one_of_two_nodes_is_lost_in_the_middle(nodes, local, tmp_path):
    path, undisturbed = local
    state = tmp_path / "state"
    runner = command("run", path, "--executor", "ray", "--state", state)
    assert eventually(lambda: len(checkpoints(state)) > 1, 120), finished(runner)
    assert len(kill_all(processes(nodes[1]))) > 2
    code, out, err = finished(runner)
    sys.stdout.write(f"{out}\n{err}\n")
    assert code == 0, out + err
    assert "; sent again: " in err
    once_each(state, RUNS)
    same_outcomes(state, undisturbed)
    assert not checkpoints(state)


def test_ctrl_c_and_on(nodes, local, tmp_path):
    path, undisturbed = local
    state = tmp_path / "state"
    runner = command("run", path, "--executor", "ray", "--state", state)
    assert eventually(lambda: len(checkpoints(state)) > 1, 120), finished(runner)
    os.kill(runner.pid, signal.SIGINT)
    code, out, err = finished(runner, timeout=60)
    sys.stdout.write(f"{out}\n{err}\n")
    assert code == 130, out + err
    assert [row["status"] for row in rows(state)] == ["interrupted"] * 2
    code, out, err = finished(command("run", path, "--executor", "ray", "--state", state))
    sys.stdout.write(f"{out}\n{err}\n")
    assert code == 0, out + err
    assert err.count("continues at") == 2
    once_each(state, RUNS)
    same_outcomes(state, undisturbed)


def test_the_same_leaderboard(nodes, tmp_path):
    """`mujoco-delta --profile smoke` here and there: one digest."""
    digests = {}
    for name, more in (("local", []), ("ray", ["--executor", "ray"])):
        state, results = tmp_path / name, tmp_path / f"{name}-results"
        asked = ("mujoco-delta", "--state", state)
        code, out, err = finished(command("run", *asked, "--profile", "smoke", *more), timeout=1500)
        assert code == 0, out + err
        folder = ("--results", results)
        for line in (("results", "export", *asked, *folder, "--allow-dirty"), ("leaderboard", "build", *folder)):
            code, out, err = finished(command(*line))
            assert code == 0, out + err
        digests[name] = (results / "leaderboards" / "DIGESTS").read_text()
    sys.stdout.write("\n".join(f"{name}: {digest}" for name, digest in digests.items()))
    assert digests["local"] == digests["ray"]


def test_no_cluster_is_said():
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    line = [sys.executable, "-m", "rtbench.cli.main", "run", "quickstart", "--executor", "ray"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "no Ray cluster answers" in done.stderr
