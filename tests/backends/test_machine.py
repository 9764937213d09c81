"""The machine's fingerprint, and the conditions of a measurement from a made-up system folder."""

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
from rtbench.backends.machine import (
    Conditions,
    MemoryTaken,
    conditions,
    cpu_name,
    fingerprint,
    gpu_names,
    machine_class,
    packages_digest,
)
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


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_conditions_where_the_system_tells_all(tmp_path):
    """The mean clock and every governor of the cores asked about, the processor's hottest sensor, the last minute."""
    cpu = "sys/devices/system/cpu/cpu{}/cpufreq/{}".format
    write(
        tmp_path,
        {cpu(core, "scaling_cur_freq"): f"{1_000_000 * (core + 1)}\n" for core in range(3)}
        | {cpu(core, "scaling_governor"): name for core, name in enumerate(("powersave", "performance", "performance"))}
        | {
            "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
            "sys/class/thermal/thermal_zone0/temp": "51500\n",
            "sys/class/thermal/thermal_zone1/type": "acpitz",
            "sys/class/thermal/thermal_zone1/temp": "99000",
            "sys/class/hwmon/hwmon0/name": "k10temp",
            "sys/class/hwmon/hwmon0/temp1_input": "62250",
            "sys/class/hwmon/hwmon1/name": "nvme",
            "sys/class/hwmon/hwmon1/temp1_input": "80000",
            "proc/loadavg": "0.52 0.40 0.31 1/200 4242\n",
        },
    )
    assert conditions((1, 2), tmp_path) == Conditions(2500.0, 62.25, "performance", 0.52)
    assert conditions((0, 1), tmp_path).governor == "performance, powersave"


def test_conditions_from_cpuinfo_where_there_is_no_frequency_driver(tmp_path):
    """A virtual machine: clocks by processor, whatever their order; nothing else."""
    write(tmp_path, {"proc/cpuinfo": "processor\t: 1\ncpu MHz\t\t: 3000.5\n\nprocessor\t: 0\ncpu MHz\t: 2000.0\n"})
    assert conditions((1,), tmp_path) == Conditions(3000.5, None, None, None)
    assert conditions((0, 1), tmp_path).clock_mhz == 2500.25


def test_conditions_where_nothing_can_be_read(tmp_path):
    assert conditions((0,), tmp_path) == Conditions(None, None, None, None)
    write(tmp_path, {"proc/cpuinfo": PI})
    assert conditions((0,), tmp_path).clock_mhz is None


def test_memory_taken_sees_what_is_given_back_again():
    """Eighty megabytes that are gone before it is asked; nothing where the system does not tell."""
    taken = MemoryTaken()
    if taken.bytes() is None:
        assert not machine.Path("/proc/self/clear_refs").exists()
        return
    held = bytearray(80_000_000)
    held[::4096] = b"x" * len(held[::4096])
    del held
    assert taken.bytes() >= 75_000_000
    assert MemoryTaken().bytes() < 75_000_000


def test_memory_that_cannot_be_read(monkeypatch):
    monkeypatch.setattr(machine, "_status_bytes", lambda name: None)
    assert MemoryTaken().bytes() is None
