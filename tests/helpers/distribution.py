"""A distribution made of files, as pip would leave it: metadata, entry points, modules."""

from __future__ import annotations

from pathlib import Path


def write_distribution(site: Path, name: str, entry_points: str, modules: dict[str, str]) -> Path:
    """Write it into a folder that a test puts on the path; `modules` are sources by file name."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    for file, source in modules.items():
        path = site / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return site
