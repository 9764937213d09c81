"""Timelines as SVG: boxes, actions and ages of cases worked out by hand."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from rtbench.cell import Interaction
from rtbench.interaction.timing import timeline_of
from rtbench.plugins import use
from rtbench.report.timelines import MOST_PROCESSES, timeline_svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


def interaction(execution: str = "sequential", delta: float = 2.0, processes: int = 1) -> Interaction:
    scheduler = use("schedulers", "one-process" if processes == 1 else "staggered-slots")
    return Interaction(scheduler, execution, delta, use("default_policies", "repeat-last"), processes=processes)  # type: ignore[arg-type]


def drawn(met: Interaction, layers: int, steps: int, lags: tuple[int, int] = (1, 1), title: str = "t") -> ET.Element:
    line = timeline_of(met, layers, 0.02, 200, 0, "test")
    return ET.fromstring(timeline_svg(line, title, lags=lags, steps=steps))


def classes(root: ET.Element, tag: str = "rect") -> list[str]:
    return [each.get("class", "") for each in root.iter(NAMESPACE + tag)]


def test_one_process_of_two_layers() -> None:
    """Two layers of δ = 2: inferences start at 0, 4, 8; actions at steps 4 and 8 are four steps old."""
    root = drawn(interaction(), layers=2, steps=12)
    found = classes(root)
    assert found.count("box p0") == 3
    assert (found.count("p0"), found.count("none")) == (2, 10)
    told = [text.text for text in root.iter(NAMESPACE + "text") if text.get("class") == "in"]
    assert told == ["4", "4"]
    assert len(classes(root, "circle")) == 12
    about = root.findtext(NAMESPACE + "desc")
    assert about == (
        "12 environment steps, 1 inference processes: 2 steps have a new action (observations 4 to 4 steps old), "
        "4 wait for the first, 6 have the default policy's."
    )


def test_a_pipeline_tells_its_newest_and_oldest_observation() -> None:
    """Three layers at once, δ = 1, skip connections: after the start, observations one and three steps old."""
    root = drawn(interaction("pipelined", 1.0), layers=3, steps=8, lags=(1, 3))
    told = [text.text for text in root.iter(NAMESPACE + "text") if text.get("class") == "in"]
    assert told == ["1", "1–2", "1–3", "1–3", "1–3", "1–3", "1–3"]


def test_boxes_stand_where_the_inference_is() -> None:
    root = drawn(interaction(), layers=2, steps=12)
    lines = [float(each.get("x1", "0")) for each in root.iter(NAMESPACE + "line") if each.get("class") == "grid"]
    boxes = [each for each in root.iter(NAMESPACE + "rect") if each.get("class") == "box p0"]
    starts = [float(box.get("x", "0")) for box in boxes]
    assert all(abs(start - lines[4 * number]) < 1 for number, start in enumerate(starts))
    assert float(boxes[0].get("width", "0")) + 1.5 - (lines[4] - lines[0]) < 0.2


def test_of_many_processes_the_first_are_shown_and_the_others_counted() -> None:
    line = timeline_of(interaction(delta=20.0, processes=20), 1, 0.02, 200, 0, "test")
    text = timeline_svg(line, "t")
    assert f"the first {MOST_PROCESSES} of 20" in text
    assert text.count(">process ") == MOST_PROCESSES


def test_names_are_escaped_and_bytes_are_equal() -> None:
    line = timeline_of(interaction(), 1, 0.02, 200, 0, "test")
    text = timeline_svg(line, "<script>alert(1)</script>")
    assert "<script>" not in text
    assert text == timeline_svg(line, "<script>alert(1)</script>")
    assert not re.search(r'width="-', text)
