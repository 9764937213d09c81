"""The machine's fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata

import pytest
import torch
from helpers.samples import hand_cell

from rtbench.backends import machine
from rtbench.backends.machine import cpu_name, fingerprint, gpu_names, machine_class, packages_digest
from rtbench.interaction.profile import MACHINE_FIELDS
from rtbench.results.columns import COLUMNS
from rtbench.results.schema import new_row

X86 = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Intel(R)  Xeon(R) CPU @ 2.0GHz\nflags\t: fpu\n"
PI = "processor\t: 0\nBogoMIPS\t: 108.00\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"


def test_it_has_exactly_the_columns_of_its_group():
    found = fingerprint(3)
    assert list(found) == [column.name for column in COLUMNS if column.group == "machine"]
    assert found["threads"] == 3
    assert json.loads(found["machine_json"]) == {}
    assert (found["python"], found["torch"]) == (platform.python_version(), str(torch.__version__))
    assert set(MACHINE_FIELDS) <= set(found)
    assert all(found[name] for name in ("machine_class", "cpu", "os", "kernel"))


def test_a_row_takes_it():
    row = new_row(
        hand_cell(),
        0,
        suite="tiny",
        suite_revision=1,
        attempt=1,
        outcome={"status": "failed"},
        machine=fingerprint(1),
        provenance={},
    )
    assert row["threads"] == 1
    assert row["deterministic"] is False


def test_it_says_whether_determinism_was_asked_for():
    torch.use_deterministic_algorithms(True)
    try:
        assert fingerprint(1)["deterministic"] is True
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_class_names_what_decides_the_last_bit(monkeypatch):
    before = machine_class()
    assert fingerprint(1)["machine_class"] == fingerprint(2)["machine_class"] == before
    changed = {before}
    monkeypatch.setattr(os, "cpu_count", lambda: 4097)
    changed.add(machine_class())
    monkeypatch.setattr(platform, "machine", lambda: "another")
    changed.add(machine_class())
    monkeypatch.setattr(torch, "__version__", "99.0")
    changed.add(machine_class())
    monkeypatch.setattr(machine, "_cpu", lambda: "another")
    changed.add(machine_class())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    changed.add(machine_class())
    assert len(changed) == 6


def test_cpu_name():
    assert cpu_name(X86) == "Intel(R) Xeon(R) CPU @ 2.0GHz"
    assert cpu_name(PI) == "Raspberry Pi 4 Model B Rev 1.4"
    assert cpu_name("processor : 0\n") == ""


def test_gpu_names():
    assert gpu_names("") == ("", "")
    assert gpu_names("NVIDIA A, with comma, 550.1\n") == ("NVIDIA A, with comma", "550.1")
    assert gpu_names("NVIDIA A, 550.1\nNVIDIA B, 550.1\nNVIDIA A, 550.1\n") == ("2 × NVIDIA A, NVIDIA B", "550.1")


@pytest.mark.parametrize("error", [subprocess.TimeoutExpired("x", 1), OSError(), subprocess.CalledProcessError(9, "x")])
def test_a_driver_tool_that_fails_is_no_accelerator(monkeypatch, error):
    def failing(*_, **__):
        raise error

    machine._gpu.cache_clear()
    monkeypatch.setattr(machine.shutil, "which", lambda name: name)
    monkeypatch.setattr(machine.subprocess, "run", failing)
    try:
        assert machine._gpu() == ("", "")
    finally:
        machine._gpu.cache_clear()


def test_packages_digest(distributions):
    before = packages_digest()
    distributions.add("Some_Package", {}, version="2.0")
    lines = {
        f"{d.metadata['Name'].lower().replace('_', '-').replace('.', '-')}=={d.version}"
        for d in metadata.distributions()
    }
    assert "some-package==2.0" in lines
    assert packages_digest() == hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest() != before
