"""Leases, claims and checkpoints on a store that fails now and then, four runners in virtual time."""

import random
from collections import Counter

import numpy as np
import pytest
from helpers.executors_common import only_row, run, scripted
from helpers.faulty_objects import FaultyObjects
from helpers.samples import hand_row

from rtbench.executors.leases import Holder, Leases, Lost
from rtbench.executors.recording import commit, standing
from rtbench.executors.shelf import StoreShelf
from rtbench.files import CannotRead, CannotWrite
from rtbench.learners.checkpoint import CheckpointFolder
from rtbench.results.objects import ObjectStore
from rtbench.results.rows import RowStore

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS")


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Runner:
    """Takes runs under leases, advances them, commits their rows; may sleep through a lease in the middle."""

    def __init__(self, name, system, time, rows, rng):
        self.store = ObjectStore("s3://bucket/state", system=system, patience_s=5.0, clock=time, sleep=time.sleep)
        self.rows, self.left, self.rng, self.time = RowStore(self.store), list(rows), rng, time
        self.leases = Leases(self.store, Holder(name, name, "boot", 1, "1"), lease_s=60, clock=time)
        self.held, self.row, self.paused_s = None, None, 0.0
        self.committed = []

    def turn(self):
        """One step of what a runner does; what its store refuses is tried again at a later turn."""
        try:
            self._turn()
        except (CannotRead, CannotWrite):
            pass
        except Lost:
            self.held = None

    def _turn(self):
        if self.held is None:
            if not self.left:
                return
            row = self.left.pop(0)
            self.left.append(row)
            if not isinstance(standing(self.rows, row["run_id"], 1, 1), int):
                self.left.remove(row)
                return
            self.held = self.leases.acquire(row["run_id"])
            if self.held and not isinstance(standing(self.rows, row["run_id"], 1, 1), int):
                self.held.release()
                self.held = None
            self.row = row
        elif self.rng.random() < 0.5:
            self.held.beat()
        else:
            attempt = standing(self.rows, self.row["run_id"], 1, 1)
            self.held.check()
            if isinstance(attempt, int):
                row = commit(self.rows, {**self.row, "attempt": attempt, "wall_s": self.time.now + 1})
                self.committed.append(row)
            self.held.release()
            self.held = None


@pytest.mark.parametrize("seed", range(6))
def test_four_runners_lose_and_double_nothing(seed, monkeypatch):
    monkeypatch.setattr("rtbench.executors.recording.time.sleep", lambda seconds: None)
    rng, time = random.Random(seed), Time()
    random.seed(seed)
    system = FaultyObjects(rate=0.3, seed=seed)
    rows = [hand_row(seed=number) for number in range(10)]
    runners = [Runner(f"r{number}", system, time, rng.sample(rows, len(rows)), rng) for number in range(4)]
    for _ in range(20_000):
        runner = rng.choice(runners)
        if runner.paused_s <= time.now:
            runner.turn()
            if rng.random() < 0.02:
                runner.paused_s = time.now + 300  # a machine that slept through its lease
        time.now += 1
        if not any(each.left or each.held for each in runners):
            break
    system._rate = 0.0
    found = Counter(row["run_id"] for row in RowStore(runners[0].store).rows())
    assert found == {row["run_id"]: 1 for row in rows}
    assert len(system.faults) > 20


class Counting:
    """A program whose state is its length and whose segments are its numbers."""

    done_units, total_units, done = 0, 100, False

    def __init__(self):
        self.numbers, self._saved = [], 0

    def advance(self):
        self.numbers.append(len(self.numbers) ** 2)

    def state(self):
        return {"length": len(self.numbers)}

    def appended(self):
        new, self._saved = self.numbers[self._saved :], len(self.numbers)
        return {"numbers": np.array(new, np.int64)}

    def restore(self, state, segments):
        self.numbers = [int(number) for segment in segments for number in segment["numbers"]]
        assert len(self.numbers) == state["length"]
        self._saved = len(self.numbers)


@pytest.mark.parametrize("seed", range(4))
def test_a_checkpoint_in_a_bucket_is_continued_after_any_fault(seed):
    """Every save that is given up is made up for by the next; every load finds the newest whole state."""
    time, system, rng = (
        Time(),
        FaultyObjects(rate=0.3, seed=seed, ways=("before", "after", "partly")),
        random.Random(seed),
    )
    store = ObjectStore("s3://bucket/state", system=system, patience_s=0.3, clock=time, sleep=time.sleep)
    program, saved = Counting(), 0
    folder = CheckpointFolder(StoreShelf(store, "checkpoints/job"), 1)
    for fence in range(2, 40):
        program.advance()
        try:
            folder.save(program, {"length": len(program.numbers)})
            saved = len(program.numbers)
        except (CannotRead, CannotWrite):
            continue
        if rng.random() < 0.3:  # the process is killed, another continues
            system._rate, rate = 0.0, system._rate
            program, folder = Counting(), CheckpointFolder(StoreShelf(store, "checkpoints/job"), fence)
            extra = folder.load(program)
            assert extra == {"length": len(program.numbers)}
            assert len(program.numbers) >= saved
            assert folder.notes == []
            assert program.numbers == [number**2 for number in range(len(program.numbers))]
            system._rate = rate
    system._rate = 0.0
    CheckpointFolder(StoreShelf(store, "checkpoints/job"), 99).remove()
    assert store.list() == []


def test_a_damaged_state_in_a_bucket_is_set_aside():
    system = FaultyObjects()
    store = ObjectStore("s3://bucket/state", system=system)
    program, folder = Counting(), CheckpointFolder(StoreShelf(store, "checkpoints/job"), 1)
    for _ in range(2):
        program.advance()
        folder.save(program, {})
    newest = "checkpoints/job/state-000001-00000002.pt"
    store.replace(newest, store.read(newest)[:-1])
    again, other = Counting(), CheckpointFolder(StoreShelf(store, "checkpoints/job"), 2)
    assert other.load(again) == {}
    assert again.numbers == [0]
    assert other.notes == ["state-000001-00000002.pt: it is damaged: its content is not what was written"]
    assert f"{newest}.unreadable" in store.list()


def test_credentials_of_the_environment_are_in_nothing_that_is_kept(tmp_path):
    secrets = {name: f"secret{number}of{name}" for number, name in enumerate(CREDENTIALS)}
    path, environment = scripted(tmp_path, "ok")
    code, out, err = run(path, tmp_path / "state", **environment, **secrets)
    assert code == 0, err
    kept = b"".join(file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file())
    assert only_row(tmp_path / "state")["status"] == "ok"
    assert not [name for name, secret in secrets.items() if secret.encode() in kept or secret in out + err]
