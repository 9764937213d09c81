"""The fingerprint of the machine: what a row and a latency profile say about where they were made."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

_PATIENCE_S = 20


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
