"""What slowhttptest prints is read: when it ended, what was open, when there was no service."""

import pytest

from benchmarks.strangers.slowhttptest import MODES, in_words, summary

BOLD, PLAIN = "\x1b[1;32m", "\x1b[0m"


def status(second: int, connected: int, closed: int, available: str) -> str:
    return (
        f"\x1b[H\x1b[2J\tslowhttptest version 1.8.2\ntest type:   SLOW HEADERS\n"
        f"slow HTTP test status on {PLAIN}{second}{BOLD}th second:\n\n"
        f"{BOLD}initializing:{BOLD}        0\n{BOLD}pending:     {BOLD}        3\n"
        f"{BOLD}connected:   {BOLD}        {connected}\n{BOLD}error:       {BOLD}        2\n"
        f"{BOLD}closed:      {BOLD}        {closed}\n"
        f"{BOLD}service available:{BOLD}   {BOLD}{available}{PLAIN}\n"
    )


END = (
    "\x1b[0;36m\nTest ended on 15th second\n"
    "Exit status:\x1b[1;36m No open connections left\n\x1b[0m"
)


def test_the_last_counts_and_the_end_are_read() -> None:
    said = summary(status(5, 900, 0, "YES") + status(10, 166, 834, "YES") + END)
    assert said == {
        "seconds": 15, "exit": "No open connections left", "away": [],
        "connected": 166, "closed": 834, "pending": 3, "error": 2,
    }  # fmt: skip
    assert in_words(said) == "available throughout; 166 still open after 15 s"


def test_the_seconds_without_service_are_read() -> None:
    said = summary(status(5, 1000, 0, "NO") + status(10, 1000, 0, "NO") + END)
    assert said["away"] == [5, 10]
    assert in_words(said).startswith("not available from second 5;")


def test_output_of_another_kind_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="cannot connect"):
        summary("cannot connect")


def test_all_four_modes_are_there() -> None:
    assert set(MODES) == {"-H", "-B", "-R", "-X"}
