"""The machine: its fingerprint, which rows and latency profiles carry, and the conditions of a measurement."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

_PATIENCE_S = 20
_PROCESSOR_MONITORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


def fingerprint(threads: int) -> dict[str, Any]:
    """The columns of group `machine` (`rtbench.results.columns`), for `threads` threads of arithmetic per run.

    `machine_class` is what must be equal for results to be exactly equal; everything else is for the reader.
    `machine_json` is empty here: plugins fill it. No context is opened on an accelerator.
    """
    import torch

    gpu, driver = _gpu()
    return {
        "machine_class": machine_class(),
        "cpu": _cpu(),
        "gpu": gpu,
        "driver": driver,
        "os": _os(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "packages_digest": _packages(),
        "threads": threads,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "machine_json": "{}",
    }


def machine_class() -> str:
    """Processor, cores, operating system, architecture, torch with the instructions it chose: one readable line.

    The instructions are named because kernels of another vector width add up in another order, and because virtual
    machines often hide the processor's model.
    """
    import torch

    instructions = torch.backends.cpu.get_cpu_capability()
    return (
        f"{_cpu()}, {os.cpu_count() or 1} cores, {platform.system()} {platform.machine()}, "
        f"torch {torch.__version__} {instructions}"
    )


def packages_digest() -> str:
    """SHA-256 of the sorted lines name==version (normalised names) of all installed distributions."""
    lines = set()
    for distribution in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        lines.add(f"{name}=={distribution.version}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


@functools.cache
def _packages() -> str:
    """The digest for the rows of this process and of those it forks: reading the metadata takes longer than a start."""
    return packages_digest()


@functools.cache
def _cpu() -> str:
    """The processor's name."""
    system = platform.system()
    name = ""
    if system == "Linux":
        try:
            name = cpu_name(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            name = ""
    elif system == "Darwin":
        name = _answer("sysctl", "-n", "machdep.cpu.brand_string").strip()
    return name or platform.processor() or platform.machine() or "unknown"


def cpu_name(cpuinfo: str) -> str:
    """The processor in the text of Linux's cpuinfo, or an empty string (ARM kernels often name none)."""
    for key in ("model name", "Model", "Hardware", "cpu model"):
        found = re.search(rf"^{key}\s*:\s*(\S.*)$", cpuinfo, re.MULTILINE)
        if found:
            return " ".join(found.group(1).split())
    return ""


def _os() -> str:
    """The operating system with its version."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)


@functools.cache
def _gpu() -> tuple[str, str]:
    """Accelerators and their driver; empty without any."""
    return gpu_names(_answer("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"))


def gpu_names(listing: str) -> tuple[str, str]:
    """(names, driver) from lines "name, driver", equal names counted: 2 × Name."""
    pairs = [line.rsplit(",", 1) for line in listing.splitlines() if "," in line]
    names = Counter(pair[0].strip() for pair in pairs)
    text = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in names.items())
    return text, pairs[0][1].strip() if pairs else ""


def _answer(*command: str) -> str:
    """What a program prints; an empty string if it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


@dataclass(frozen=True)
class Conditions:
    """What a measurement was made under, as far as it can be read: None where it cannot.

    `clock_mhz` is the mean over the cores asked about, `temperature_c` the hottest sensor of the processor, `load` the
    mean number of processes that wanted to run in the last minute.
    """

    clock_mhz: float | None
    temperature_c: float | None
    governor: str | None
    load: float | None


def conditions(cores: Sequence[int], root: Path = Path("/")) -> Conditions:
    """The present conditions on these cores; `root` is where `proc` and `sys` lie. Virtual machines hide most."""
    cpus = [root / f"sys/devices/system/cpu/cpu{core}/cpufreq" for core in cores]
    clocks = [int(text) / 1e3 for cpu in cpus if (text := _read(cpu / "scaling_cur_freq")).isdigit()]
    if not clocks:
        told = _blocks(_read(root / "proc/cpuinfo"))
        clocks = [float(told[core]["cpu MHz"]) for core in cores if "cpu MHz" in told.get(core, {})]
    governors = sorted({text for cpu in cpus if (text := _read(cpu / "scaling_governor"))})
    first = _read(root / "proc/loadavg").partition(" ")[0]
    return Conditions(
        sum(clocks) / len(clocks) if clocks else None,
        max(_temperatures_c(root), default=None),
        ", ".join(governors) or None,
        float(first) if first else None,
    )


def _blocks(cpuinfo: str) -> dict[int, dict[str, str]]:
    """Linux's cpuinfo by processor."""
    found = {}
    for block in cpuinfo.split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        told = {key.strip(): value.strip() for key, _, value in pairs}
        if told.get("processor", "").isdigit():
            found[int(told["processor"])] = told
    return found


def _temperatures_c(root: Path) -> list[float]:
    """What the processor's sensors say: thermal zones and hardware monitors, both in thousandths of a degree."""
    zones = (
        zone / "temp"
        for zone in (root / "sys/class/thermal").glob("thermal_zone*")
        if re.search(r"cpu|pkg|soc|k10|core", _read(zone / "type").lower())
    )
    monitors = (
        sensor
        for monitor in (root / "sys/class/hwmon").glob("hwmon*")
        if _read(monitor / "name") in _PROCESSOR_MONITORS
        for sensor in monitor.glob("temp*_input")
    )
    told = (_read(path) for path in (*zones, *monitors))
    return [int(text) / 1e3 for text in told if text.lstrip("-").isdigit()]


class MemoryTaken:
    """How far the resident memory of this process has risen at its peak since this was made; Linux only."""

    def __init__(self) -> None:
        self._before: int | None = None
        with contextlib.suppress(OSError):
            asked = os.open("/proc/self/clear_refs", os.O_WRONLY)
            try:
                os.write(asked, b"5")  # the peak begins anew at what is resident now
            finally:
                os.close(asked)
            self._before = _status_bytes("VmRSS")

    def bytes(self) -> int | None:
        """Bytes, at least 0; None where it cannot be read."""
        peak = None if self._before is None else _status_bytes("VmHWM")
        return None if peak is None or self._before is None else max(0, peak - self._before)


def _status_bytes(name: str) -> int | None:
    found = re.search(rf"^{name}:\s+(\d+) kB", _read(Path("/proc/self/status")), re.MULTILINE)
    return 1024 * int(found.group(1)) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
