"""BibTeX of suites: every shipped one has its papers, entries are whole, somebody's own suite brings its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.command_line import printed, printed_json
from helpers.samples import install_parts, write_suite

from rtbench import plugins
from rtbench.cli.main import run_command_line
from rtbench.errors import SuiteError
from rtbench.results.bibtex import bibtex, read_entries
from rtbench.suites.model import load_suite

SUITES = [found.name for found in plugins.registrations("suites") if not found.third_party]
PAPERS = Path(__file__).resolve().parents[2] / "suites" / "papers.bib"


def keys(text: str) -> list[str]:
    return re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)


@pytest.mark.parametrize("name", SUITES)
def test_every_shipped_suite_cites_a_paper_that_is_known(name: str) -> None:
    suite = load_suite(name)
    assert suite.document.suite.cite
    found = keys(bibtex(suite, "0"))
    assert found[0] == f"rtbench-{name}"
    assert {"anokhin2025handling", "riemer2025enabling"} & set(found)
    assert len(found) == len(set(found))


def test_entries_are_whole_and_none_is_left_over() -> None:
    entries = read_entries(PAPERS)
    assert len(entries) == PAPERS.read_text(encoding="utf-8").count("\n@")
    for key, text in entries.items():
        assert text.count("{") == text.count("}"), key
        assert all(re.search(rf"^  {name} +=", text, re.MULTILINE) for name in ("title", "author", "year")), key
    cited = {key for name in SUITES for key in load_suite(name).document.suite.cite}
    assert cited == set(entries)


def test_a_suite_of_suites_cites_what_they_cite() -> None:
    text = bibtex(load_suite("handling-delay"), "0")
    assert {"rtbench-mujoco-delta", "rtbench-minatar-delta", "haarnoja2018soft", "young2019minatar"} <= set(keys(text))


def test_somebodys_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_parts(tmp_path / "site", monkeypatch)
    path = write_suite(tmp_path, ('name = "tiny"', 'name = "tiny"\ncite = ["me2026", "you2026"]'))
    entry = "@misc{me2026,\n  title = {Mine {\\& yours}},\n}"
    (tmp_path / "papers.bib").write_text(f"% mine\n{entry}\n")
    with pytest.raises(SuiteError, match="'you2026'") as caught:
        bibtex(load_suite(path), "0")
    assert (caught.value.nearest, "tiny.toml" in caught.value.place) == ("me2026", True)
    (tmp_path / "papers.bib").write_text(f"{entry}\n\n@misc{{you2026,\n}}\n")
    text = bibtex(load_suite(path), "0")
    assert keys(text) == ["rtbench-tiny", "me2026", "you2026"]
    assert entry in text


def test_as_it_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "describe", "suite", "theory", "--bibtex")
    assert text.startswith("@misc{rtbench-theory,\n")
    assert printed_json(capsys, "describe", "suite", "theory", "--bibtex")["bibtex"].strip() == text.strip()
    assert run_command_line(["describe", "architecture", "mlp", "--bibtex"]) == 2
