"""Builds the games with Debian's sdcc: `python roms/build.py` writes them, `--check` compares them with what is there.

sdcc's own packer, makebin, would add a vendor's logo to the header; this one writes the bytes of the program and zeros.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GAMES = HERE.parent / "rtbench_gameboy" / "games"
SIZE = 32 * 1024
NAMES = {"falling_blocks": "falling-blocks", "encounters": "encounters"}


def image(intel_hex: str) -> bytes:
    """32 KiB from Intel hex; ValueError where it does not fit."""
    out = bytearray(SIZE)
    for line in intel_hex.split():
        record = bytes.fromhex(line.removeprefix(":"))
        count, at, kind = record[0], int.from_bytes(record[1:3], "big"), record[3]
        if kind == 0:
            if at + count > SIZE:
                raise ValueError(f"the program reaches 0x{at + count:x}, beyond 32 KiB")
            out[at : at + count] = record[4 : 4 + count]
    return bytes(out)


def build(source: str) -> bytes:
    """One game from its C source."""
    with tempfile.TemporaryDirectory() as folder:

        def run(*command: str) -> None:
            subprocess.run(command, cwd=folder, check=True)

        run("sdasgb", "-o", "crt0.rel", str(HERE / "crt0.s"))
        for name in ("console", source):
            run("sdcc", "-msm83", "-c", f"-I{HERE}", "-o", f"{name}.rel", str(HERE / f"{name}.c"))
        layout = ("--no-std-crt0", "--code-loc", "0x200", "--data-loc", "0xC200")
        run("sdcc", "-msm83", *layout, "-o", "game.ihx", "crt0.rel", f"{source}.rel", "console.rel")
        return image((Path(folder) / "game.ihx").read_text())


def main() -> int:
    """Write the games, or say which differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed games, write nothing")
    check = parser.parse_args().check
    version = subprocess.run(["sdcc", "-v"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    sys.stdout.write(version + "\n")
    differ = 0
    for source, name in NAMES.items():
        built, path = build(source), GAMES / f"{name}.gb"
        digest = hashlib.sha256(built).hexdigest()
        same = path.is_file() and path.read_bytes() == built
        differ += not same
        sys.stdout.write(f"{digest}  {name}.gb{'' if same else ' (differs from what is there)'}\n")
        if not check:
            path.write_bytes(built)
            path.with_suffix(".sha256").write_text(f"{digest}  {name}.gb\n")
    return 1 if check and differ else 0


if __name__ == "__main__":
    sys.exit(main())
