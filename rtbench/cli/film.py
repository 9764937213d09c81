"""Frames with words below them, as a film (.mp4, .gif) or a contact sheet (.png)."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rtbench.errors import RtbenchError, SuiteError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

FORMATS = (".gif", ".mp4", ".png")
_GIF_FPS, _MP4_FPS, _GIF_SIDE = 25, 50, 320
_SHEET_FRAMES, _SHEET_COLUMNS, _SHEET_SIDE = 12, 4, 300
_LINE_HEIGHT, _MARGIN, _GAP = 20, 6, 4
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


class Film(Protocol):
    """Takes frames one by one; `wants` says which are worth drawing."""

    def wants(self, frame: int) -> bool:
        """Whether frame number `frame` will be shown."""
        ...

    def add(self, picture: NDArray[np.uint8], words: list[str]) -> None:
        """The next wanted frame: RGB [height, width, 3] and the lines below it."""
        ...

    def finish(self) -> bytes:
        """The file's content."""
        ...


def film_for(path: Path, frame_s: float) -> Film:
    """The film a file's ending asks for; `frame_s` is the time between frames. Shown as fast as it happened."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise SuiteError(f"cannot write a film as {path.name!r}", place="-o", given=suffix, allowed=FORMATS)
    _need("PIL", "pillow")
    if suffix == ".png":
        return ContactSheet()
    if suffix == ".gif":
        return Gif(frame_s)
    _need("imageio_ffmpeg", "imageio-ffmpeg")
    return Mp4(frame_s)


def _need(module: str, package: str) -> None:
    import importlib.util

    if importlib.util.find_spec(module) is None:
        raise SuiteError(f"the package {package!r} is not installed", place="-o", hint="pip install 'rtbench[video]'")


def captioned(picture: NDArray[np.uint8], words: list[str], side: int = 0) -> Image:
    """A frame with lines of words below it, the frame at most `side` pixels wide (0: as it is)."""
    from PIL import Image as Images
    from PIL import ImageDraw, ImageFont

    shown = Images.fromarray(picture)
    if side and shown.width > side:
        shown = shown.resize((side, round(shown.height * side / shown.width)), Images.Resampling.LANCZOS)
    height = shown.height + 2 * _MARGIN + _LINE_HEIGHT * len(words)
    out = Images.new("RGB", (shown.width + shown.width % 2, height + height % 2), _PAPER)  # video needs even sides
    out.paste(shown, (0, 0))
    draw = ImageDraw.Draw(out)
    for number, said in enumerate(words):
        text, size = said.replace("δ", "delta"), 14.0  # Pillow's own font has no Greek
        font = ImageFont.load_default(size)
        while draw.textlength(text, font) > out.width - 2 * _MARGIN and size > 7:
            size -= 0.5
            font = ImageFont.load_default(size)
        draw.text((_MARGIN, shown.height + _MARGIN + number * _LINE_HEIGHT), text, _INK, font)
    return out


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

    def add(self, picture: NDArray[np.uint8], words: list[str]) -> None:
        """Kept with 256 colours."""
        from PIL import Image as Images

        self._frames.append(captioned(picture, words, _GIF_SIDE).quantize(256, dither=Images.Dither.NONE))

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

    def add(self, picture: NDArray[np.uint8], words: list[str]) -> None:
        """Handed to the encoder."""
        import imageio_ffmpeg

        image = captioned(picture, words)
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
    """Twelve frames of however many, evenly apart, in rows."""

    def __init__(self) -> None:
        self._every = 1
        self._kept: list[Image] = []

    def wants(self, frame: int) -> bool:
        """Every so many, ever more rarely, so that few are kept whatever the length."""
        return frame % self._every == 0

    def add(self, picture: NDArray[np.uint8], words: list[str]) -> None:
        """Kept for now; when too many are, every other one goes."""
        self._kept.append(captioned(picture, words, _SHEET_SIDE))
        if len(self._kept) > 4 * _SHEET_FRAMES:
            self._kept = self._kept[::2]
            self._every *= 2

    def finish(self) -> bytes:
        """The sheet."""
        from PIL import Image as Images

        count = min(_SHEET_FRAMES, len(self._kept))
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
