"""Failpoints: what is armed happens there and then, and nothing else does."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from rtbench.errors import RtbenchError
from rtbench.failpoints import FIRED, POINTS, VARIABLE, Failpoint, Failpoints, parse


def test_parsing() -> None:
    assert parse("") == {}
    assert parse(" rows.after-write=kill@3, segment.before-flush=ENOSPC ,progress.after-rename=pause:0.5") == {
        "rows.after-write": Failpoint("kill", 3),
        "segment.before-flush": Failpoint("ENOSPC"),
        "progress.after-rename": Failpoint("pause:0.5"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "rows=kill",
        "rows.after-lunch=kill",
        "rows.after-write",
        "rows.after-write=",
        "rows.after-write=die",
        "rows.after-write=kill@x",
        "rows.after-write=pause:long",
        "rows.after-write=errorcode",
        "rows.after-write=strerror",
    ],
)
def test_what_does_not_exist_is_told(text: str) -> None:
    with pytest.raises(RtbenchError, match="no such fail"):
        parse(text)


def test_every_point_fails_every_time_and_no_other_does() -> None:
    for point in POINTS:
        points = Failpoints({VARIABLE: f"{point}=ENOSPC"})
        for reached in POINTS:
            if reached != point:
                points.reach(reached)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left") as caught:
                points.reach(point)
            assert caught.value.errno == errno.ENOSPC


def test_only_at_the_time_that_was_asked_for() -> None:
    points = Failpoints({VARIABLE: "rows.after-write=EIO@2"})
    points.reach("rows.after-write")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        points.reach("rows.after-write")
    points.reach("rows.after-write")


def test_once_among_those_that_share_a_folder(tmp_path: Path) -> None:
    environment = {VARIABLE: "rows.after-write=EIO", FIRED: str(tmp_path / "fired")}
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        Failpoints(environment).reach("rows.after-write")
    Failpoints(environment).reach("rows.after-write")
    assert [path.name for path in (tmp_path / "fired").iterdir()] == ["rows.after-write"]


def test_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    Failpoints({VARIABLE: "rows.after-write=pause:2.5"}).reach("rows.after-write")
    assert slept == [2.5]
