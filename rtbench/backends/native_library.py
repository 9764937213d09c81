"""The C source compiled for this processor, once: a shared library in a cache folder, named by all that goes into it.

`RTBENCH_CACHE` names the folder, else it is `rtbench` in `XDG_CACHE_HOME` or `~/.cache`; `CC` names the compiler, else
it is `cc`, `gcc` or `clang`, whichever is found first.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import uuid
from pathlib import Path

from rtbench.errors import RtbenchError

SOURCE = Path(__file__).with_name("native.c")
COMPILERS = ("cc", "gcc", "clang")
CACHE, COMPILER = "RTBENCH_CACHE", "CC"
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-std=gnu11", "-shared", "-fPIC", "-pthread")
_PATIENCE_S = 120
_PLACE = "backend native"


def compiler() -> str | None:
    """The system's C compiler, as a path."""
    asked = os.environ.get(COMPILER, "")
    return next((found for name in ((asked,) if asked else COMPILERS) if (found := shutil.which(name))), None)


def unsupported() -> str | None:
    """Why nothing can be compiled here; None if a compiler is there."""
    if platform.system() not in ("Linux", "Darwin"):
        return f"native code needs POSIX threads, and this is {platform.system()}"
    if compiler() is None:
        asked = os.environ.get(COMPILER, "")
        wanted = f"{COMPILER}={asked}" if asked else ", ".join(COMPILERS)
        return f"native code needs a C compiler, and none was found ({wanted}); install gcc or clang"
    return None


@functools.cache
def library() -> ctypes.CDLL:
    """What backends call; RtbenchError with the compiler's words if it cannot be compiled."""
    loaded = compiled(SOURCE)
    loaded.rtbench_open.argtypes, loaded.rtbench_open.restype = [ctypes.c_void_p], ctypes.c_void_p
    loaded.rtbench_close.argtypes, loaded.rtbench_close.restype = [ctypes.c_void_p], None
    loaded.rtbench_tick.argtypes, loaded.rtbench_tick.restype = [ctypes.c_void_p, ctypes.c_int64], ctypes.c_int
    return loaded


def compiled(source: Path) -> ctypes.CDLL:
    """A C source as a library, compiled unless the cache has it; RtbenchError with the compiler's words if it fails."""
    if reason := unsupported():
        raise RtbenchError(reason, place=_PLACE)
    found = compiler()
    assert found is not None
    path = _folder() / f"{source.stem}-{_key(source, found)}.so"
    if not path.is_file():
        _compile(source, found, path)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise RtbenchError(
            f"the compiled library cannot be loaded: {error}", place=str(path), hint="delete it"
        ) from error


def _folder() -> Path:
    asked = os.environ.get(CACHE, "")
    if asked:
        return Path(asked).expanduser().absolute()  # a loader looks for a bare name elsewhere
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtbench"


def _key(source: Path, found: str) -> str:
    """Source, headers beside it, flags, compiler, the processor's instructions: machines may share a home."""
    stat = Path(found).resolve().stat()
    texts = [path.read_text(encoding="utf-8") for path in (source, *sorted(source.parent.glob("*.h")))]
    parts = (*texts, *FLAGS, found, f"{stat.st_size} {stat.st_mtime_ns}", _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _processor() -> str:
    """Model and instructions, where Linux tells them; else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    told = {line for line in lines if line.partition(":")[0].strip() in ("model name", "flags", "Features", "CPU part")}
    return "\n".join((platform.system(), platform.machine(), platform.processor(), *sorted(told)))


def _compile(source: Path, found: str, path: Path) -> None:
    """Written aside and renamed, so that several processes may compile at once."""
    aside = path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    hint = f"`{CACHE}` names another folder, `{COMPILER}` another compiler; or use backend 'numpy'"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [found, *FLAGS, str(source), "-o", str(aside)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
        if done.returncode:
            raise RtbenchError(f"{found} fails: {done.stderr.strip()[-2000:]}", place=_PLACE, hint=hint)
        aside.replace(path)
    except (OSError, subprocess.SubprocessError) as error:
        raise RtbenchError(f"cannot compile: {error}", place=_PLACE, hint=hint) from error
    finally:
        aside.unlink(missing_ok=True)
