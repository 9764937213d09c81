"""SVG files put into a page: one set of styles for all of them, which follows the page's light or dark scheme."""

from __future__ import annotations

import re

_PROLOGUE = re.compile(r"^.*?(?=<svg[\s>])", re.DOTALL)
_STYLE = re.compile(r"<style[^>]*>.*?</style>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_USE = re.compile(r'(xlink:href|href)="#([^"]+)"|url\(#([^)]+)\)')
_SIZE = re.compile(r"^<svg\b[^>]*?>", re.DOTALL)
_BOX = re.compile(r'viewBox="([^"]+)"')
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_MEDIA = re.compile(r"@media \(prefers-color-scheme:\s*dark\)\s*\{((?:[^{}]+\{[^{}]*\})*)\s*\}", re.DOTALL)


def inline(svg: str, prefix: str, crop: float = 0.0) -> str:
    """The picture as part of a page: without prologue and styles, ids made unique by `prefix`, as wide as it fits.

    It keeps its width as the most it takes (`max-width`), and its title and description. `crop` of its own units are
    cut off at the top, where its title is that the page has beside it.
    """
    plain = _STYLE.sub("", _PROLOGUE.sub("", svg)).strip()
    plain = _ID.sub(lambda match: f'id="{prefix}-{match[1]}"', plain)
    plain = _USE.sub(lambda match: _reference(match, prefix), plain)
    plain = _BOX.sub(lambda match: _lower(match, crop), plain, count=1)
    return _SIZE.sub(lambda match: _fluid(match[0]), plain, count=1)


def _lower(match: re.Match[str], by: float) -> str:
    left, top, width, height = (float(number) for number in match[1].split())
    # Aligned at the top, what was cut off stays outside, whatever shape the place has.
    aligned = ' preserveAspectRatio="xMidYMin meet"' if by else ""
    return f'viewBox="{left:g} {top + by:g} {width:g} {height - by:g}"{aligned}'


def _reference(match: re.Match[str], prefix: str) -> str:
    if match[1]:
        return f'{match[1]}="#{prefix}-{match[2]}"'
    return f"url(#{prefix}-{match[3]})"


def _fluid(opening: str) -> str:
    """The tag with its width as a style, so that it shrinks with its place."""
    width = re.search(r'\swidth="([0-9.]+)(pt|px)?"', opening)
    bare = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    if width is None:
        return bare
    pixels = float(width[1]) * (4 / 3 if width[2] == "pt" else 1)
    return f'{bare[:-1]} style="max-width:{pixels:.0f}px">'


def scoped(style: str, scope: str) -> str:
    """The rules of an SVG's style under a selector; those for dark schemes also where the page was switched to dark."""
    dark = "".join(match[1] for match in _MEDIA.finditer(style))
    light = _MEDIA.sub("", style)
    automatic = _under(dark, f":root:not([data-theme=light]) {scope}")
    return (
        _under(light, scope)
        + f"@media (prefers-color-scheme:dark){{{automatic}}}"
        + _under(dark, f":root[data-theme=dark] {scope}")
    )


def _under(rules: str, scope: str) -> str:
    out = []
    for match in _RULE.finditer(rules):
        selectors = ",".join(f"{scope} {one.strip()}" for one in match[1].split(","))
        out.append(f"{selectors}{{{match[2].strip()}}}")
    return "".join(out)
