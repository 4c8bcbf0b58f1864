"""Medians, what is wanted and what is reached."""

import pytest

from benchmarks.catalogue import ROWS, Row, Wanted
from benchmarks.load import percentile
from benchmarks.report import (
    markdown,
    medians,
    ratio_to,
    remarks,
    rounded,
    spread,
    table,
    verdicts,
)
from tests.benchmarks.results import RESULT


def reached(row: Row, figures: dict[str, dict[str, float]]) -> list[tuple[str, str, bool | None]]:
    return [(each.wanted, each.reached, each.enough) for each in verdicts(row, figures)]


def test_a_figure_is_the_median_of_its_rounds() -> None:
    assert medians({"small": {"CHP": [5.0, 1.0, 3.0]}}) == {"small": {"CHP": 3.0}}


def test_a_ratio_to_another_contender() -> None:
    row = Row("small", "", "µs", (Wanted(1 / 6, "CHP"), Wanted(2, "nginx")))
    figures = {"small": {"hubgate": 30.0, "CHP": 120.0, "nginx": 15.0}}
    assert reached(row, figures) == [("≤ 1/6 × CHP", "0.25 ✗", False),
                                     ("≤ 2 × nginx", "2.00 ✓", True)]  # fmt: skip


def test_a_ratio_to_another_row_of_hubgate() -> None:
    row = Row("down", "", "µs", (Wanted(0.5, "a proxied request", "small"),))
    figures = {"small": {"hubgate": 40.0}, "down": {"hubgate": 10.0}}
    assert reached(row, figures) == [("≤ 1/2 × a proxied request", "0.25 ✓", True)]


def test_a_bound_of_its_own() -> None:
    row = Row("memory-tunnel", "", "KiB", most=12)
    assert reached(row, {"memory-tunnel": {"hubgate": 12.5}}) == [("≤ 12 KiB", "12.5 ✗", False)]


@pytest.mark.parametrize("taken", [{"hubgate": 1.0}, {"CHP": 1.0}, {}])
def test_what_was_not_measured_is_neither_reached_nor_missed(taken: dict[str, float]) -> None:
    row = Row("small", "", "µs", (Wanted(1 / 6, "CHP"),))
    assert reached(row, {"small": taken}) == [("≤ 1/6 × CHP", "not measured", None)]


def test_every_wanted_row_exists() -> None:
    rows = [wanted.row for row in ROWS.values() for wanted in row.wanted if wanted.row]
    assert rows
    assert set(rows) <= ROWS.keys()


def test_the_ratio_of_nothing_is_unknown() -> None:
    row = Row("small", "", "µs")
    assert ratio_to(1.0, row, Wanted(1, "CHP"), {"small": {"CHP": 0.0}}) is None


def test_the_table_has_the_contenders_of_its_rows_in_order() -> None:
    heading, lines = table(RESULT, [ROWS["small"], ROWS["down"], ROWS["page"]])
    assert heading == ["work", "unit", "hubgate", "CHP", "nginx", "goal for hubgate", "reached"]
    assert [line[2:5] for line in lines] == [["20.0", "150", "15.0"], ["8.00", "700", ""]]
    assert lines[1][-1] == "0.40 ✓"


def test_a_title_shows_the_scale() -> None:
    _, lines = table(RESULT, [ROWS["memory-tunnels"]])
    assert lines[0][0] == "memory per idle tunnel, 10,000 open"


def test_remarks_name_row_and_contender() -> None:
    assert remarks(RESULT, [ROWS["small"], ROWS["memory-tunnels"]]) == [
        "memory per idle tunnel, 10,000 open: hubgate with 2 workers; CHP 9,800 open"
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.6, "1,235"), (99.94, "99.9"), (9.876, "9.88"), (0.05678, "0.057"), (-1.1, "-1.10")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert rounded(value) == text


def test_the_spread_is_that_of_the_middle_figure() -> None:
    figures = {"a": {"CHP": [9.0, 10.0, 11.0], "nginx": [10.0, 10.0, 10.0]},
               "b": {"CHP": [5.0, 10.0, 15.0], "nginx": [1.0]}}  # fmt: skip
    assert spread({"figures": figures}) == pytest.approx(0.2)
    assert spread({"figures": {}}) is None


def test_markdown_keeps_bars_in_their_cells() -> None:
    assert markdown(["a", "b"], [["1|2", "3"]]) == "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |\n"


def test_percentiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 0.99), percentile(values, 0.5)) == (100.0, 51.0)
    assert percentile([7.0], 0.99) == 7.0
