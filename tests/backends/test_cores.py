"""Threads and cores are set for a while and put back."""

from __future__ import annotations

import os

import pytest
import torch
from threadpoolctl import threadpool_info

from rtbench.backends import cores
from rtbench.backends.cores import Arithmetic, available, chosen, cores_text, kept_to


def blas_threads():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_the_last_cores_are_chosen(monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: (0, 2, 3, 7))
    assert [chosen(threads) for threads in (1, 2, 4, 9)] == [(7,), (3, 7), (0, 2, 3, 7), (0, 2, 3, 7)]


def test_torch_and_numpy_get_their_threads_and_back():
    before = torch.get_num_threads(), blas_threads()
    arithmetic = Arithmetic()
    for threads in (1, 3):
        with arithmetic.on(threads):
            assert torch.get_num_threads() == threads
            assert blas_threads() == {threads}
        assert (torch.get_num_threads(), blas_threads()) == before


def test_they_are_put_back_when_something_goes_wrong():
    before, allowed = torch.get_num_threads(), available()
    with pytest.raises(ZeroDivisionError), Arithmetic().on(before + 1, allowed[-1:]):
        raise ZeroDivisionError
    assert (torch.get_num_threads(), available()) == (before, allowed)


def test_the_calling_thread_is_kept_to_its_cores():
    allowed = available()
    with kept_to(allowed[-1:]):
        assert available() == allowed[-1:]
    with kept_to(()):
        assert available() == allowed
    assert available() == allowed


def test_where_the_system_cannot_keep_threads(monkeypatch):
    for name in ("sched_setaffinity", "sched_getaffinity"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available() == (0, 1, 2)
    assert cores_text((1, 2)) == ""
    with kept_to((2,)):
        pass


def test_cores_as_text():
    assert cores_text((0, 11)) == "0,11"
