"""The store against a real S3 server: every verb, every way of going wrong, one at a time and all at once."""

import threading
from collections import Counter

import pytest
from s3.proxy import WAYS

from rtbench.errors import RtbenchError
from rtbench.files import CannotWrite
from rtbench.results.objects import ObjectStore
from rtbench.results.store import KeyTaken


def test_the_verbs(bucket, proxy):
    store = ObjectStore(bucket)
    assert store.list() == store.list("rows/") == []
    store.write_new("rows/b.json", b"1")
    store.replace("rows/a.json", b"2")
    store.replace("rows/a.json", b"3")
    store.replace("other", b"")
    with pytest.raises(KeyTaken):
        store.write_new("rows/b.json", b"2")
    store.write_new("rows/b.json", b"1")  # the very same bytes: a write whose answer was lost
    assert store.list("rows/") == ["rows/a.json", "rows/b.json"]
    assert store.list("rows/b") == ["rows/b.json"]
    assert store.list() == ["other", "rows/a.json", "rows/b.json"]
    assert (store.read("rows/a.json"), store.read("other")) == (b"3", b"")
    with pytest.raises(KeyError):
        store.read("rows/c.json")
    store.remove("other")
    store.remove("other")
    assert ObjectStore(bucket).list() == ["rows/a.json", "rows/b.json"]
    store.prove()
    assert store.list() == ["rows/a.json", "rows/b.json"]
    assert not proxy.faults


def test_more_keys_than_one_page_of_a_listing(bucket):
    store = ObjectStore(bucket)
    names = [f"rows/{number:04d}.1.json" for number in range(1005)]
    for name in names:
        store.replace(name, b"1")
    assert store.list("rows/") == names


def test_a_bucket_that_is_not_there_is_told(proxy):
    with pytest.raises(CannotWrite, match="bucket"):
        ObjectStore("s3://nosuchbucketanywhere/state").prove()


@pytest.mark.parametrize("way", WAYS)
def test_whatever_goes_wrong_once_is_made_good(bucket, proxy, way):
    store = ObjectStore(bucket)
    proxy.ways = (way,)
    value = bytes(200_000)
    for verb, key in ((store.write_new, "a"), (store.replace, "b"), (store.replace, "a")):
        _once(proxy, lambda verb=verb, key=key: verb(key, value + key.encode()))
    assert _once(proxy, lambda: store.read("a")) == value + b"a"
    assert _once(proxy, store.list) == ["a", "b"]
    _once(proxy, lambda: store.remove("a"))
    assert store.list() == ["b"]
    assert sum(proxy.faults.values()) == 6


def _once(proxy, act):
    """What is answered although the first request goes wrong."""
    fate, told = type(proxy).fate, []

    def first(method):
        proxy.rate = 0.0 if told else 1.0
        told.append(method)
        return fate(proxy, method)

    proxy.fate = first
    try:
        return act()
    finally:
        del proxy.fate
        proxy.rate = 0.0


def test_half_an_upload_is_never_seen(bucket, proxy):
    store = ObjectStore(bucket, patience_s=0.0)
    proxy.rate, proxy.ways = 1.0, ("partly",)
    for verb in (store.write_new, store.replace):
        with pytest.raises(CannotWrite):
            verb("a", bytes(100_000))
    proxy.rate = 0.0
    assert store.list() == []


def test_of_four_writers_one_wins_whatever_goes_wrong(bucket, proxy):
    proxy.rate, won = 0.15, Counter()

    def writer(number):
        store = ObjectStore(bucket)
        for key in range(15):
            try:
                store.write_new(f"rows/{key}", b"%d" % number)
                won[key] += 1
            except KeyTaken:
                pass

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == dict.fromkeys(range(15), 1)
    assert len(proxy.faults) > 3


def test_wrong_keys_are_told_at_once_and_never_shown(bucket, proxy, monkeypatch):
    """moto asks nobody for a password; what is sent is that of the environment, and no error names it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(RtbenchError) as caught:
        ObjectStore(bucket, patience_s=0.5).prove()
    assert "secretofthetest" not in str(caught.value)
