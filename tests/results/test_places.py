"""Where state may lie: folders, buckets, and what is refused with its reason."""

from pathlib import Path

import pytest
from helpers.faulty_objects import FaultyObjects

from rtbench.errors import RtbenchError
from rtbench.results import objects
from rtbench.results.places import Bucket, local_folder, open_store, pace, packages, shared_store, state_from
from rtbench.results.store import FolderStore


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (".rtbench", Path(".rtbench")),
        (Path("/a/b"), Path("/a/b")),
        ("file:///a/with%20space", Path("/a/with space")),
        ("file://localhost/a", Path("/a")),
        ("file:/a", Path("/a")),
        ("s3://bucket/some/folder/", Bucket("s3://bucket/some/folder")),
        ("gs://bucket", Bucket("gs://bucket")),
        ("memory://x", Bucket("memory://x")),
    ],
)
def test_what_is_given_is_a_folder_or_a_bucket(given, state):
    found = state_from(given)
    assert found == state
    assert state_from(str(found)) == found


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("sftp://host/folder", "two runners could commit one run twice"),
        ("https://host/folder", "two runners could commit one run twice"),
        ("abfs://container/folder", "not known to write a name only if nothing is there"),
        ("s3://", "names no bucket"),
        ("s3://key:secret@bucket/folder", "no credentials"),
        ("s3://bucket/folder?key=secret", "no credentials"),
    ],
)
def test_what_cannot_hold_state_is_refused_with_the_reason(given, says):
    with pytest.raises(RtbenchError, match=says) as caught:
        state_from(given)
    assert "secret" not in f"{caught.value}{caught.value.place}"


def test_a_folder_stays_what_it_was(tmp_path):
    assert isinstance(open_store(tmp_path), FolderStore)
    assert isinstance(shared_store(tmp_path), FolderStore)
    assert (local_folder(tmp_path), pace(tmp_path), packages(tmp_path)) == (tmp_path, 1.0, [])


def test_of_a_bucket_logs_stay_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("RTBENCH_CACHE", str(tmp_path))
    one, two = (local_folder(Bucket(f"s3://bucket/{name}")) for name in "ab")
    assert one.parent == two.parent == tmp_path
    assert one != two
    assert packages(Bucket("s3://bucket")) == ["s3fs"]


def test_a_bucket_is_tried_before_runs_are_started(monkeypatch):
    systems = [FaultyObjects(), type("Careless", (FaultyObjects,), {"pipe_file": careless})()]
    monkeypatch.setattr(objects, "file_system", lambda protocol: systems[0])
    monkeypatch.setattr(FaultyObjects, "_strip_protocol", lambda self, url: url.partition("://")[2], raising=False)
    shared_store(Bucket("s3://bucket/state"))
    del systems[0]
    with pytest.raises(RtbenchError, match="does not know conditional writes"):
        shared_store(Bucket("s3://bucket/state"))


def careless(self, path, value, mode="overwrite"):
    self.values[path] = value


def test_memory_is_refused_where_runs_are_processes():
    with pytest.raises(RtbenchError, match="one process's own"):
        shared_store(Bucket("memory://x"))
