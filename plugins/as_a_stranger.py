"""The path a stranger takes, in the environment this runs in: wheels built and installed, parts checked, a suite run.

    python plugins/as_a_stranger.py [FOLDER …] [--kinds KIND …]

Builds a wheel of rtbench and of every folder here (or of those named), installs them, and for each distribution runs
`rtbench plugins check` and its first suite under its profile `smoke`. Then `rtbench plugins new` writes a distribution
of every kind, which is installed and checked the same way. Everything happens in a folder of its own, so that no
checkout is imported; the reports are left there as JSON. Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
KINDS = (
    *("architecture", "scheduler", "environment", "learner", "backend"),
    *("executor", "suite", "default-policy", "command", "hook"),
)


def main() -> int:
    """What failed is named at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="plugins; all beside this file if none is named")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS, help="kinds that `new` is tried with")
    asked = parser.parse_args()
    folders = [folder.resolve() for folder in asked.folders] or sorted(
        path.parent for path in HERE.glob("*/pyproject.toml")
    )
    work = Path(tempfile.mkdtemp(prefix="rtbench-stranger-"))
    say(f"in {work}")
    wheels(work, [HERE.parent, *folders])
    failed = [problem for folder in folders for problem in tried(work, folder)]
    failed += new(work, asked.kinds)
    say("failed: " + "; ".join(failed) if failed else "everything a stranger does works")
    return 1 if failed else 0


def wheels(work: Path, folders: list[Path]) -> None:
    """Build and install; rtbench with what its tests for others need."""
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(work / "wheels"), *map(str, folders), cwd=work)
    names = [f"{name(folder)}[testing]" if folder == HERE.parent else name(folder) for folder in folders]
    pip("install", "--quiet", "--find-links", str(work / "wheels"), *names, cwd=work)
    # An environment that is used again has wheels of the same version, from an earlier state of the checkout.
    pip("install", "--quiet", "--force-reinstall", "--no-deps", *map(str, (work / "wheels").glob("*.whl")), cwd=work)


def name(folder: Path) -> str:
    """A distribution's name."""
    return str(tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"])


def tried(work: Path, folder: Path) -> list[str]:
    """Check a plugin and run its first suite; what failed."""
    distribution = name(folder)
    failed = checked(work, distribution)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    suites = sorted(project.get("entry-points", {}).get("rtbench.suites", {}))
    if suites and rtbench(work, "run", suites[0], "--profile", "smoke", "--state", str(work / "state")).returncode:
        failed.append(f"suite {suites[0]} of {distribution}")
    return failed


def checked(work: Path, distribution: str) -> list[str]:
    """`plugins check`, its report kept; what failed."""
    done = rtbench(work, "plugins", "check", distribution, "--json", capture=True)
    (work / f"{distribution}.json").write_text(done.stdout, encoding="utf-8")
    counts = json.loads(done.stdout)["counts"] if done.stdout.startswith("{") else done.stderr
    say(f"{distribution}: {counts}")
    return [f"conformance of {distribution}"] if done.returncode else []


def new(work: Path, kinds: list[str]) -> list[str]:
    """Write, install, test and check a distribution of every kind; what failed."""
    failed = []
    for kind in kinds:
        distribution = f"stranger-{kind}"
        rtbench(work, "plugins", "new", kind, f"stranger/{kind}", "-o", str(work / "new"))
        folder = work / "new" / distribution
        pip("install", "--quiet", str(folder), cwd=work)
        if run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], folder).returncode:
            failed.append(f"the tests of a new {kind}")
        failed += checked(work, distribution)
    return failed


def rtbench(work: Path, *arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """The installed command line."""
    return run([str(Path(sys.executable).with_name("rtbench")), *arguments], work, capture=capture)


def pip(*arguments: str, cwd: Path) -> None:
    """pip of this environment; the end if it fails."""
    run([sys.executable, "-m", "pip", *arguments], cwd).check_returncode()


def run(line: list[str], cwd: Path, *, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """A process that sees nothing of this checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=capture, text=True, check=False)


def say(text: str) -> None:
    """A line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
