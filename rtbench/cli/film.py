"""Frames with words below them, as a film (.mp4, .gif) or a contact sheet (.png)."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rtbench.errors import RtbenchError, SuiteError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

FORMATS = (".gif", ".mp4", ".png")
_GIF_FPS, _MP4_FPS, _GIF_SIDE = 25, 50, 320
_SHORTEST_S = 1e-3
"""Worlds of shorter steps are shown in slow motion, a step a frame."""
_SHEET_FRAMES, _SHEET_COLUMNS, _SHEET_SIDE = 12, 4, 300
_LINE_HEIGHT, _MARGIN, _GAP, _BAR_HEIGHT = 20, 6, 4, 32
_BARS_SIDE = 320
_INK, _PAPER, _FULL = (30, 30, 30), (255, 255, 255), (20, 80, 160)
_NO_BARS: Sequence[Bar] = ()


@dataclass(frozen=True)
class Bar:
    """A box below a frame, the darker the larger its share of 1 (None: it has none); framed if it is the one chosen."""

    name: str
    share: float | None = None
    chosen: bool = False


class Film(Protocol):
    """Takes frames one by one; `wants` says which are worth drawing."""

    def wants(self, frame: int) -> bool:
        """Whether frame number `frame` will be shown."""
        ...

    def add(self, picture: NDArray[np.uint8], words: list[str], bars: Sequence[Bar] = _NO_BARS) -> None:
        """The next wanted frame: RGB [height, width, 3], the lines and the bars below it."""
        ...

    def finish(self) -> bytes:
        """The file's content."""
        ...


def slowed(step_s: float) -> int:
    """How many times slower than its world a film runs: one whose steps are too short to be seen, in slow motion."""
    return 1 if step_s >= _SHORTEST_S else round(1 / (_MP4_FPS * step_s))


def film_for(path: Path, frame_s: float, sheet_frames: int = _SHEET_FRAMES) -> Film:
    """The film a file's ending asks for; `frame_s` is the time between frames. Shown as fast as it happened.

    `sheet_frames`: how many a contact sheet has at most.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise SuiteError(f"cannot write a film as {path.name!r}", place="-o", given=suffix, allowed=FORMATS)
    _need("PIL", "pillow")
    if suffix == ".png":
        return ContactSheet(sheet_frames)
    if suffix == ".gif":
        return Gif(frame_s)
    _need("imageio_ffmpeg", "imageio-ffmpeg")
    return Mp4(frame_s)


def _need(module: str, package: str) -> None:
    import importlib.util

    if importlib.util.find_spec(module) is None:
        raise SuiteError(f"the package {package!r} is not installed", place="-o", hint="pip install 'rtbench[video]'")


def captioned(picture: NDArray[np.uint8], words: list[str], side: int = 0, bars: Sequence[Bar] = _NO_BARS) -> Image:
    """A frame with lines of words and a row of bars below it, the frame at most `side` pixels wide (0: as it is).

    A frame too narrow for bars is shown as many times larger as brings it to about `_BARS_SIDE` pixels.
    """
    from PIL import Image as Images
    from PIL import ImageDraw as Draws
    from PIL import ImageFont

    shown = Images.fromarray(picture)
    if side and shown.width > side:
        shown = shown.resize((side, round(shown.height * side / shown.width)), Images.Resampling.LANCZOS)
    elif bars and (larger := _BARS_SIDE // shown.width) > 1:
        shown = shown.resize((shown.width * larger, shown.height * larger), Images.Resampling.NEAREST)
    below = shown.height + 2 * _MARGIN + _LINE_HEIGHT * len(words)
    height = below + (_BAR_HEIGHT + _MARGIN if bars else 0)
    out = Images.new("RGB", (shown.width + shown.width % 2, height + height % 2), _PAPER)  # video needs even sides
    out.paste(shown, (0, 0))
    draw = Draws.Draw(out)
    for number, said in enumerate(words):
        text, size = said.replace("δ", "delta"), 14.0  # Pillow's own font has no Greek
        font = ImageFont.load_default(size)
        while draw.textlength(text, font) > out.width - 2 * _MARGIN and size > 7:
            size -= 0.5
            font = ImageFont.load_default(size)
        draw.text((_MARGIN, shown.height + _MARGIN + number * _LINE_HEIGHT), text, _INK, font)
    for number, bar in enumerate(bars):
        wide = out.width - 2 * _MARGIN
        left, right = (_MARGIN + wide * at // len(bars) for at in (number, number + 1))
        _draw_bar(draw, (left + 1, below - _MARGIN, right - 2, below - _MARGIN + _BAR_HEIGHT), bar)
    return out


def _draw_bar(draw: ImageDraw, box: tuple[int, int, int, int], bar: Bar) -> None:
    """Shaded by its share, with as many letters of its name as fit, and the share in per cent if that fits, too."""
    from PIL import ImageFont

    share = bar.share or 0.0
    shade = tuple(round(paper + (full - paper) * share) for paper, full in zip(_PAPER, _FULL, strict=True))
    ink = _PAPER if share > 0.5 else _INK
    draw.rectangle(box, fill=shade, outline=_INK if bar.chosen else (200, 200, 200), width=3 if bar.chosen else 1)
    font, room = ImageFont.load_default(10), box[2] - box[0] - 6
    name = bar.name
    while len(name) > 1 and draw.textlength(name, font) > room:
        name = name[:-1]
    draw.text((box[0] + 3, box[1] + 3), name, ink, font)
    told = "" if bar.share is None else f"{100 * bar.share:.0f}"
    if draw.textlength(told, font) <= room:
        draw.text((box[0] + 3, box[1] + 16), told, ink, font)


class Gif:
    """An animated picture, at most 25 frames a second."""

    def __init__(self, frame_s: float) -> None:
        self._every = max(1, round(1 / (_GIF_FPS * frame_s)))
        # The format counts hundredths of a second, and viewers slow down below two of them.
        self._duration_ms = max(20, 10 * round(100 * self._every * frame_s))
        self._frames: list[Image] = []

    def wants(self, frame: int) -> bool:
        """Every so many."""
        return frame % self._every == 0

    def add(self, picture: NDArray[np.uint8], words: list[str], bars: Sequence[Bar] = _NO_BARS) -> None:
        """Kept with 256 colours."""
        from PIL import Image as Images

        self._frames.append(captioned(picture, words, _GIF_SIDE, bars).quantize(256, dither=Images.Dither.NONE))

    def finish(self) -> bytes:
        """The whole animation."""
        buffer = io.BytesIO()
        first, *others = self._frames
        first.save(
            buffer, "GIF", save_all=True, append_images=others, duration=self._duration_ms, loop=0, optimize=False
        )
        return buffer.getvalue()


class Mp4:
    """A video, at most 50 frames a second; frames are encoded as they come."""

    def __init__(self, frame_s: float) -> None:
        self._every = max(1, round(1 / (_MP4_FPS * frame_s)))
        self._fps = 1 / (self._every * frame_s)
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "film.mp4"
        self._writer: Any = None

    def wants(self, frame: int) -> bool:
        """Every so many."""
        return frame % self._every == 0

    def add(self, picture: NDArray[np.uint8], words: list[str], bars: Sequence[Bar] = _NO_BARS) -> None:
        """Handed to the encoder."""
        import imageio_ffmpeg

        image = captioned(picture, words, bars=bars)
        if self._writer is None:
            self._writer = imageio_ffmpeg.write_frames(
                str(self._path), image.size, fps=self._fps, macro_block_size=2, ffmpeg_log_level="error"
            )
            self._writer.send(None)
        self._writer.send(image.tobytes())

    def finish(self) -> bytes:
        """The whole video."""
        self._writer.close()
        if not self._path.exists():
            raise RtbenchError("the video encoder wrote nothing", place="-o", hint="write a .gif instead")
        content = self._path.read_bytes()
        self._folder.cleanup()
        return content


class ContactSheet:
    """Some frames of however many, twelve unless told, evenly apart, in rows."""

    def __init__(self, frames: int = _SHEET_FRAMES) -> None:
        self._frames, self._every = frames, 1
        self._kept: list[Image] = []

    def wants(self, frame: int) -> bool:
        """Every so many, ever more rarely, so that few are kept whatever the length."""
        return frame % self._every == 0

    def add(self, picture: NDArray[np.uint8], words: list[str], bars: Sequence[Bar] = _NO_BARS) -> None:
        """Kept for now; when too many are, every other one goes."""
        self._kept.append(captioned(picture, words, _SHEET_SIDE, bars))
        if len(self._kept) > 4 * self._frames:
            self._kept = self._kept[::2]
            self._every *= 2

    def finish(self) -> bytes:
        """The sheet."""
        from PIL import Image as Images

        count = min(self._frames, len(self._kept))
        last = len(self._kept) - 1
        chosen = [self._kept[round(number * last / max(1, count - 1))] for number in range(count)]
        width, height = (length + _GAP for length in chosen[0].size)
        columns = min(_SHEET_COLUMNS, count)
        sheet = Images.new("RGB", (columns * width, -(-count // columns) * height), _PAPER)
        for number, image in enumerate(chosen):
            sheet.paste(image, (number % columns * width, number // columns * height))
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        return buffer.getvalue()
