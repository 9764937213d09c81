"""Every distribution's own tests, each in its folder, in the environment this runs in.

    python plugins/own_tests.py [FOLDER …]

Tests of clusters run against stand-ins; the real ones have tox environments beside their distribution.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Exit code 1 if any distribution's tests fail; all of them run."""
    folders = [Path(given).resolve() for given in sys.argv[1:]]
    folders = folders or sorted(path.parent for path in HERE.glob("*/pyproject.toml"))
    failed = []
    for folder in folders:
        print(f"== {folder.name}", flush=True)
        if subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder).returncode:
            failed.append(folder.name)
    print(f"failed: {', '.join(failed)}" if failed else "every distribution's tests pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
