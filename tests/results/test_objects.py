"""The store in a bucket: conditional writes, patience, lost answers; no service that does not keep its word."""

import errno
import os
import threading
from collections import Counter

import pytest
from helpers.faulty_objects import FaultyObjects, Passing
from helpers.samples import hand_row
from hypothesis import given, settings
from hypothesis import strategies as st

from rtbench.errors import RtbenchError
from rtbench.files import CannotRead, CannotWrite
from rtbench.results.objects import KNOWN, ObjectStore, file_system
from rtbench.results.rows import RowStore
from rtbench.results.store import KeyTaken


def store_of(system, patience_s=60.0):
    """A store whose time passes only while it waits."""
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    return ObjectStore("s3://bucket/state", system=system, patience_s=patience_s, clock=lambda: now[0], sleep=sleep)


def test_the_verbs():
    store = store_of(FaultyObjects())
    assert store.list() == []
    store.write_new("rows/b.json", b"1")
    store.replace("rows/a.json", b"2")
    store.replace("rows/a.json", b"3")
    store.replace("other", b"4")
    store.replace("rowsnot/c", b"5")
    assert store.list("rows/") == ["rows/a.json", "rows/b.json"]
    assert store.list("rows/b") == ["rows/b.json"]
    assert store.list() == ["other", "rows/a.json", "rows/b.json", "rowsnot/c"]
    assert store.read("rows/a.json") == b"3"
    store.remove("rows/a.json")
    store.remove("rows/a.json")
    for key in ("rows/a.json", "../x"):
        with pytest.raises(KeyError):
            store.read(key)
    for verb in (store.replace, store.write_new):
        with pytest.raises(RtbenchError, match="not a key"):
            verb("../x", b"")


def test_fsspecs_own_memory_has_the_same_verbs():
    url = f"memory://rtbench-{os.getpid()}/state"
    store = ObjectStore(url)
    store.write_new("rows/a", b"1")
    store.replace("rows/b", b"2")
    with pytest.raises(KeyTaken):
        store.write_new("rows/a", b"other")
    assert ObjectStore(url).list("rows/") == ["rows/a", "rows/b"]
    assert ObjectStore(url).read("rows/a") == b"1"
    store.prove()
    for key in store.list():
        store.remove(key)
    assert store.list() == []


@pytest.mark.parametrize("way", FaultyObjects.WAYS)
@pytest.mark.parametrize("verb", ["write_new", "replace", "remove"])
def test_a_write_that_fails_once_in_any_way_is_done_once(way, verb):
    class Once(FaultyObjects):
        def _call(self, *given, **more):
            self._rate = 1.0 if not self.faults else 0.0
            return super()._call(*given, **more)

    system = Once(ways=(way,))
    system.values["bucket/state/a"] = b"old"
    key = "b" if verb == "write_new" else "a"
    store = store_of(system)
    getattr(store, verb)(key, *([b"mine"] if verb != "remove" else []))
    assert len(system.faults) == 1
    expected = {"write_new": {"a": b"old", "b": b"mine"}, "replace": {"a": b"mine"}, "remove": {}}[verb]
    assert {key: store.read(key) for key in store.list()} == expected


def test_another_ones_value_is_never_taken_for_ones_own():
    """The answer is lost, and meanwhile somebody else has the name."""
    system = FaultyObjects(ways=("before",))
    store = store_of(system)
    store.write_new("a", b"theirs")
    system._rate = 0.5
    for seed in range(20):
        system._random.seed(seed)
        with pytest.raises(KeyTaken):
            store.write_new("a", b"mine")
    assert system.values == {"bucket/state/a": b"theirs"}


def test_what_does_not_pass_is_told_after_a_while_and_nothing_is_lost():
    system = FaultyObjects(rate=1.0, ways=("before",))
    store = store_of(system, patience_s=60.0)
    for act in (lambda: store.replace("a", b"1"), lambda: store.write_new("a", b"1"), lambda: store.remove("a")):
        with pytest.raises(CannotWrite, match="before:") as caught:
            act()
        assert caught.value.place == "s3://bucket/state/a"
    for read in (lambda: store.read("a"), lambda: store.list("a/")):
        with pytest.raises(CannotRead):
            read()
    # Pauses double from 0.1 s (drawn between half and all) up to 5 s: 12 to 36 tries in a minute.
    assert all(12 <= count <= 36 for count in Counter(verb for verb, _ in system.calls).values())


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "Access Denied"), type("NoCredentialsError", (Exception,), {})("no keys")]
)
def test_what_the_service_has_decided_is_not_asked_again(error):
    class Closed(FaultyObjects):
        def _call(self, verb, *given, **more):
            self.calls.append(verb)
            raise error

    system = Closed()
    with pytest.raises(CannotWrite):
        store_of(system).replace("a", b"")
    with pytest.raises(CannotRead):
        store_of(system).list()
    assert system.calls == ["replace", "list"]


def test_a_condition_that_s3fs_does_not_name_is_seen_in_the_answer_itself():
    """MinIO and others answer 412 without saying which condition failed; s3fs makes EINVAL of it."""

    class Compatible(FaultyObjects):
        def pipe_file(self, path, value, mode="overwrite"):
            try:
                super().pipe_file(path, value, mode)
            except FileExistsError:
                cause = Exception("412")
                cause.response = {"Error": {"Code": "PreconditionFailed"}}
                raise OSError(errno.EINVAL, "At least one precondition did not hold") from cause

    store = store_of(Compatible())
    store.write_new("a", b"1")
    with pytest.raises(KeyTaken):
        store.write_new("a", b"2")
    store.prove()


def test_a_service_that_ignores_conditions_is_found_out():
    class Careless(FaultyObjects):
        def pipe_file(self, path, value, mode="overwrite"):
            super().pipe_file(path, value)

    system = Careless()
    with pytest.raises(RtbenchError, match="conditional writes"):
        store_of(system).prove()
    assert system.values == {}
    fine = FaultyObjects()
    store_of(fine).prove()
    assert fine.values == {}


@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0, 0.7))
@settings(max_examples=40, deadline=None)
def test_a_row_is_committed_once_whatever_goes_wrong(seed, rate):
    system = FaultyObjects(rate, seed)
    one, two = RowStore(store_of(system, 1e9)), RowStore(store_of(system, 1e9))
    rows = [hand_row(seed=1, wall_s=wall_s) for wall_s in (1.0, 2.0)]
    taken = 0
    for store, row in zip((one, two), rows, strict=True):
        try:
            store.write(row)
        except KeyTaken:
            taken += 1
    assert taken == 1
    assert one.rows() == rows[:1]


def test_runners_in_threads_commit_every_run_once_while_a_third_of_all_calls_fails():
    system = FaultyObjects(rate=0.33, seed=7)
    rows = [hand_row(seed=seed) for seed in range(12)]
    won = Counter()

    def runner(number):
        store = RowStore(store_of(system, 1e9))
        for row in rows:
            try:
                store.write({**row, "wall_s": float(number + 1)})
                won[row["run_id"]] += 1
            except KeyTaken:
                pass

    threads = [threading.Thread(target=runner, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == {row["run_id"]: 1 for row in rows}
    assert len(RowStore(store_of(system, 1e9)).rows()) == len(rows)
    assert {way for way, _, _ in system.faults} == set(FaultyObjects.WAYS)


def test_a_package_that_is_not_there_is_named(monkeypatch):
    import fsspec

    def missing(protocol, **options):
        raise ImportError("No module named 's3fs'")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(RtbenchError, match="s3fs is not installed") as caught:
        file_system("s3")
    assert "rtbench[s3]" in caught.value.hint


def test_no_file_system_is_known_whose_condition_was_not_looked_at():
    assert set(KNOWN) == {"s3", "gs", "gcs", "memory"}
    assert issubclass(Passing, Exception)
