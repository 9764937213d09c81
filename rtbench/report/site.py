"""Writing a site into a folder: what changed is written, what an earlier build left is removed, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rtbench import files
from rtbench.errors import SuiteError
from rtbench.suites.identity import digest

MANIFEST = "site.json"
"""Names the files of a site, so that a later build knows which are its own."""
LIVE = "assets/live.js"
"""What live pages look at: a script, since pages opened from disk may load nothing else."""
KIND = "report"


def write(built: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Make `folder` hold exactly this site beside whatever is not a site's; the paths that were written or removed.

    Raises SuiteError if the folder holds something else and no site, so that nobody's files are overwritten.
    """
    known = _manifest(folder)
    if known is None and folder.exists() and any(folder.iterdir()):
        raise SuiteError(
            "the folder is not empty and holds no site of an earlier build",
            place=f"--html {folder}",
            hint="name a new folder, or empty this one",
        )
    touched = []
    for name in sorted(built):
        path = folder / name
        if not path.is_file() or path.read_bytes() != built[name]:
            files.write(path, built[name], kind=KIND)
            touched.append(path)
    for name in sorted((known or set()) - built.keys()):
        path = folder / name
        if path.is_file():
            path.unlink()
            touched.append(path)
    listed = json.dumps({"schema_version": 1, "files": sorted(built)}, indent=1) + "\n"
    if known != set(built):
        files.write(folder / MANIFEST, listed.encode(), kind=KIND)
    return touched


def _manifest(folder: Path) -> set[str] | None:
    """The files of the site that is there; None if there is none."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = {str(name) for name in found["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # A manifest that names what lies outside is not ours: nothing there is removed.
    return {name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts}


def digest_of(built: Mapping[str, bytes]) -> str:
    """A digest of all files."""
    import hashlib

    return digest({name: hashlib.sha256(content).hexdigest() for name, content in built.items()})


def with_live(built: Mapping[str, bytes]) -> dict[str, bytes]:
    """The site and the script that tells its pages which version it is."""
    return {**built, LIVE: f'window.rtbenchLive && window.rtbenchLive("{digest_of(built)[:16]}");\n'.encode()}
