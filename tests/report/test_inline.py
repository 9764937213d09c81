"""Pictures as parts of pages: unique ids, no styles that leak, dark rules for both ways of being dark."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from rtbench.drawing.svg import STYLE
from rtbench.report.inline import inline, scoped
from rtbench.report.pages import stylesheet

SVG = """<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "x" "y">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="300pt" height="100pt" \
viewBox="0 0 300 100" role="img">
 <title>T</title><style>text{fill:red}</style>
 <defs><clipPath id="time"><rect id="r" width="1" height="2"/></clipPath><path id="m" d="M0 0"/></defs>
 <g clip-path="url(#time)"><use xlink:href="#m" x="1"/><rect width="9" height="8"/></g>
</svg>
"""


def test_ids_and_what_refers_to_them_get_a_prefix() -> None:
    found = inline(SVG, "fig")
    assert set(re.findall(r'\bid="([^"]+)"', found)) == {"fig-time", "fig-r", "fig-m"}
    assert 'clip-path="url(#fig-time)"' in found
    assert 'xlink:href="#fig-m"' in found


def test_it_is_an_element_without_styles_that_shrinks() -> None:
    found = inline(SVG, "fig")
    assert found.startswith("<svg ")
    assert "<style" not in found
    assert "<?xml" not in found
    root = ET.fromstring(found)
    assert (root.get("width"), root.get("height"), root.get("style")) == (None, None, "max-width:400px")  # 300 pt
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "T"
    assert 'width="9" height="8"' in found  # sizes inside stay


def test_the_head_can_be_cut_off() -> None:
    cut = ET.fromstring(inline(SVG, "fig", 40))
    assert (cut.get("viewBox"), cut.get("preserveAspectRatio")) == ("0 40 300 60", "xMidYMin meet")


def test_styles_hold_under_their_scope_only() -> None:
    style = "a{x:1}.b,.c d{y:2}\n@media (prefers-color-scheme:dark){\n.b{y:3}a{x:4}}"
    found = scoped(style, ".s")
    light, dark = found.split("@media (prefers-color-scheme:dark)")
    assert light == ".s a{x:1}.s .b,.s .c d{y:2}"
    assert dark == (
        "{:root:not([data-theme=light]) .s .b{y:3}:root:not([data-theme=light]) .s a{x:4}}"
        ":root[data-theme=dark] .s .b{y:3}:root[data-theme=dark] .s a{x:4}"
    )


def test_nothing_of_a_drawings_style_is_lost() -> None:
    rules = len(re.findall(r"\{[^{}]*\}", STYLE))
    dark = len(re.findall(r"\{[^{}]*\}", STYLE[STYLE.index("@media") :]))
    assert len(re.findall(r"\.layers [^{}]*\{[^{}]*\}", scoped(STYLE, ".layers"))) == rules + dark


def test_the_stylesheet_asks_for_nothing() -> None:
    text = stylesheet()
    assert "@import" not in text
    assert "url(" not in text
    assert text.count("{") == text.count("}")
