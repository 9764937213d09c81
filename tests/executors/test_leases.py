"""Leases: one holder at a time, the dead and the silent are succeeded, the overtaken find out before they write."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from helpers.executors_common import MemoryStore
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rtbench.executors.leases import Heart, Held, Holder, Leases, Lost, current, held_from, key
from rtbench.results.store import FolderStore

ELSEWHERE = Holder("r", "another machine", "its boot", 17, "1")


class Clock:
    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


def watcher(store, clock, name="watcher"):
    return Leases(store, dataclasses.replace(ELSEWHERE, name=name), lease_s=60, clock=clock)


def test_first_come(tmp_path):
    store = FolderStore(tmp_path)
    first = watcher(store, Clock(), "one").acquire("run")
    assert (first.key, first.fence) == ("leases/run/000001.json", 1)
    assert watcher(store, Clock(), "two").acquire("run") is None
    first.release()
    second = watcher(store, Clock(), "two").acquire("run")
    assert second.fence == 2
    with pytest.raises(Lost):
        first.check()
    second.check()


def test_silence_is_measured_by_the_watchers_own_clock():
    """The holder's clock is wherever it likes; 60 s without a change, seen by one watcher, end the lease."""
    store, mine, theirs = MemoryStore(), Clock(5_000_000.0), Clock(3.0)
    held = watcher(store, mine, "holder").acquire("run")
    two = watcher(store, theirs, "two")
    assert two.acquire("run") is None  # seen for the first time at 3
    theirs.now = 62.9
    assert two.acquire("run") is None
    held.beat()
    theirs.now = 63.0
    assert two.acquire("run") is None  # it has changed: seen at 63
    theirs.now = 122.9
    assert two.acquire("run") is None
    theirs.now = 123.0
    assert two.acquire("run").fence == 2
    with pytest.raises(Lost):
        held.beat()
    assert current(store, "run").holder.name == "two"


def test_the_holder_says_how_long_it_may_be_silent():
    store, clock = MemoryStore(), Clock()
    Leases(store, ELSEWHERE, lease_s=200, clock=clock).acquire("run")
    two = watcher(store, clock)
    assert two.acquire("run") is None
    clock.now = 199
    assert two.acquire("run") is None
    clock.now = 200
    assert two.acquire("run").fence == 2


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"beat": 1}', b"\xff\xfe", b'{"holder": {"pid": 1}}'])
def test_an_unreadable_lease_ends_after_its_time(value):
    store, clock = MemoryStore(), Clock()
    store.values[key("run", 4)] = value
    leases = watcher(store, clock)
    assert leases.acquire("run") is None
    clock.now = 59
    assert leases.acquire("run") is None
    clock.now = 60
    assert leases.acquire("run").fence == 5
    assert store.values[key("run", 4)] == value


def test_foreign_files_beside_leases_are_no_leases():
    store = MemoryStore()
    store.values |= {"leases/run/readme.txt": b"", "leases/run/9.json": b"", "leases/runner/000007.json": b""}
    assert watcher(store, Clock()).acquire("run").fence == 1


def test_a_dead_process_of_this_machine_is_succeeded_at_once():
    """Alive: busy. Killed, even while its parent has not taken note: free. A later process of the same number: free."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    try:
        here = Holder.of_this_process("other")
        lived = subprocess.check_output(["cut", "-d ", "-f22", f"/proc/{process.pid}/stat"], text=True).strip()
        holder = dataclasses.replace(here, pid=process.pid, began=lived)
        assert not holder.dead
        assert dataclasses.replace(holder, began=str(int(lived) - 1)).dead
        assert not dataclasses.replace(holder, began="0", host="another").dead
        assert not dataclasses.replace(holder, began="0", boot="another").dead
        store = MemoryStore()
        Leases(store, holder).acquire("run")
        assert watcher(store, Clock()).acquire("run") is None
        process.kill()
        while not holder.dead:
            pass
        assert process.returncode is None  # nobody has waited for it
        assert watcher(store, Clock()).acquire("run").fence == 2
    finally:
        process.kill()
        process.wait()
    assert not Holder.of_this_process("me").dead


def test_all_or_none():
    store = MemoryStore()
    one, two = watcher(store, Clock(), "one"), watcher(store, Clock(), "two")
    held = one.acquire_all(["c", "a"])
    assert [lease.run_id for lease in held] == ["c", "a"]
    assert two.acquire_all(["a", "b"]) is None
    assert two.acquire_all(["b", "c"]) is None
    assert current(store, "b") is None
    for lease in held:
        lease.release()
    assert [lease.fence for lease in two.acquire_all(["a", "b", "c"])] == [2, 1, 2]


def test_the_silence_of_many_runs_is_waited_for_once():
    """Eight runs of a holder on another machine that fell silent: all taken over after one lease's length."""
    store, clock, runs = MemoryStore(), Clock(), [f"run{i}" for i in range(8)]
    watcher(store, clock, "gone").acquire_all(runs)
    two = watcher(store, clock, "two")
    assert two.acquire_all(runs) is None
    clock.now = 59.9
    assert two.acquire_all(runs) is None
    clock.now = 60.0
    assert [lease.fence for lease in two.acquire_all(runs)] == [2] * 8


def test_of_two_that_race_one_wins():
    """Both have seen that the run is free before either writes."""
    store = MemoryStore()
    rival = watcher(store, Clock(), "rival")

    class Racing(MemoryStore):
        values = store.values

        def __init__(self):
            pass

        def write_new(self, name, value):
            if not self.values:
                assert rival.acquire("run").fence == 1
            super().write_new(name, value)

    assert watcher(Racing(), Clock(), "one").acquire("run") is None
    assert current(store, "run").holder.name == "rival"


def test_a_worker_adopts_what_its_runner_took_unless_it_is_lost():
    store = MemoryStore()
    watcher(store, Clock()).acquire_all(["a", "b"])
    worker = dataclasses.replace(ELSEWHERE, pid=18)
    held = held_from(store, ["a", "b"], [1, 1], worker)
    assert [current(store, name).holder.pid for name in "ab"] == [18, 18]
    store.values[key("b", 2)] = b"of another"
    before = dict(store.values)
    with pytest.raises(Lost):
        held_from(store, ["b"], [1], worker)
    for lease in held[1:]:
        lease.release()
    assert store.values == before  # an overtaken holder writes nothing at all


def test_the_heart_beats_until_it_is_stopped_and_finds_out_that_it_lost():
    store = MemoryStore()
    held = Leases(store, ELSEWHERE, lease_s=0.03).acquire("run")
    heart = Heart([held])
    heart.start()
    while held.lease.beat < 3:
        pass
    assert not heart.lost
    store.values[key("run", 2)] = b"of another"
    heart.join()
    assert heart.lost
    after = dict(store.values)
    heart.stop()
    assert store.values == after


class SideBySide(RuleBasedStateMachine):
    """Any order of what several holders can do; a pause is a holder that does nothing while time goes by."""

    RUNNERS = 4

    def __init__(self):
        super().__init__()
        self.store, self.now = MemoryStore(), 0.0
        # Every machine has a clock of its own; they agree on nothing but how fast time goes.
        clocks = [lambda shift=shift: self.now + shift for shift in (0.0, -1e6, 37.5, 1e9)]
        holders = [dataclasses.replace(ELSEWHERE, name=str(i), host=str(i)) for i in range(self.RUNNERS)]
        self.leases = [Leases(self.store, h, lease_s=60, clock=c) for h, c in zip(holders, clocks, strict=True)]
        self.believed: dict[int, Held] = {}
        self.alive_at: dict[int, float] = {}
        self.fences: list[int] = []
        self.committed: list[int] = []

    @rule(who=st.integers(0, RUNNERS - 1))
    def acquire(self, who):
        before = self.fences[-1:] and self.fences[-1]
        owner = next((i for i, held in self.believed.items() if held.fence == before), None)
        released = owner is None
        held = self.leases[who].acquire("run")
        if held is None:
            return
        assert released or self.now - self.alive_at[owner] >= 60, "a living holder was overtaken"
        assert not self.fences or held.fence > self.fences[-1]
        self.fences.append(held.fence)
        self.believed[who], self.alive_at[who] = held, self.now

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def beat(self, data):
        who = data.draw(st.sampled_from(sorted(self.believed)))
        try:
            self.believed[who].beat()
            self.alive_at[who] = self.now
        except Lost:
            assert self.believed[who].fence < self.fences[-1]
            del self.believed[who]

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def release(self, data):
        self.believed.pop(data.draw(st.sampled_from(sorted(self.believed)))).release()

    @rule(seconds=st.sampled_from([0.5, 19.0, 59.0, 61.0, 1000.0]))
    def pause(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def commit(self, data):
        held = self.believed[data.draw(st.sampled_from(sorted(self.believed)))]
        try:
            held.check()
        except Lost:
            return
        assert held.fence == self.fences[-1], "an overtaken holder would have committed"
        self.committed.append(held.fence)
        assert self.committed == sorted(self.committed)

    @invariant()
    def one_at_most_may_commit(self):
        passing = []
        for held in self.believed.values():
            try:
                held.check()
                passing.append(held.fence)
            except Lost:
                pass
        assert len(passing) <= 1

    @rule(who=st.integers(0, RUNNERS - 1))
    def nobody_waits_for_ever(self, who):
        """Whoever looks, and looks again after a lease's length of silence, gets the run."""
        self.acquire(who)
        if who not in self.believed or self.believed[who].fence < self.fences[-1]:
            self.now += 60
            self.acquire(who)
            assert self.believed[who].fence == self.fences[-1]


TestSideBySide = SideBySide.TestCase
TestSideBySide.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
