"""The pages get their figures between two marks, and nothing else of them changes."""

from pathlib import Path

import pytest

from benchmarks.page import BEGIN, END, between_marks, costs_of, figures_of
from tests.benchmarks.results import RESULT

ROOT = Path(__file__).resolve().parents[2]


def test_only_what_is_between_the_marks_changes() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_marks(page, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


@pytest.mark.parametrize("page", ["", BEGIN, END])
def test_a_page_without_marks_is_not_touched(page: str) -> None:
    with pytest.raises(ValueError, match="figures: begin"):
        between_marks(page, "new\n")


@pytest.mark.parametrize("name", ["benchmarks.md", "performance.md"])
def test_the_pages_have_their_marks(name: str) -> None:
    page = (ROOT / "docs" / name).read_text()
    assert "between the lines" in between_marks(page, "between the lines")


def test_the_figures_say_what_they_were_taken_on() -> None:
    text = figures_of(RESULT)
    for part in ("Abacus", "Linux 6.1", "CHP 5.3.0 on Node 20.1.0", "Median of 1 rounds"):
        assert part in text


def test_the_figures_say_how_many_targets_are_reached() -> None:
    # Of small GETs one of CHP's and nginx's; a 503; tunnels. Caddy was not measured.
    assert "Of 4 figures with a goal, 4 reach it" in figures_of(RESULT)


def test_sections_without_figures_are_left_out() -> None:
    text = figures_of(RESULT)
    assert "### Traffic" in text
    assert "### Memory" in text
    assert "### Routes" not in text


def test_the_figures_say_how_busy_the_cores_were() -> None:
    assert "| hubgate | 20,000 | 90% | 50% |" in figures_of(RESULT)


def test_costs_are_those_of_hubgate() -> None:
    text = costs_of(RESULT)
    assert "| 503 for a target that is down | 8.00 µs of CPU |" in text
    assert "150" not in text
