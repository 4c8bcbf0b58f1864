"""When a file of routes was last used, which decides whether a hub's routes in it still count.

When a route was last active does not: a notebook that nobody uses is still there. While hubgate
runs with the file, the hub removes what has ended; so it is how long nobody ran that counts, and
that is noted for the whole file, once a minute and at the end.
"""

import sqlite3
from dataclasses import dataclass

# No other version of the file's format: releases that do not know the table leave it alone.
_TABLE = "CREATE TABLE IF NOT EXISTS seen (moment REAL NOT NULL)"
_IS_THERE = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'seen'"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many routes of a hub were not restored; the file was unseen for so many `seconds`.

    None if nobody knows: it was never noted, or by a clock that was ahead.
    """

    count: int = 0
    seconds: float | None = None


def seconds_unseen(connection: sqlite3.Connection, now: float) -> float | None:
    """Return for how long nobody has used the file, None if that cannot be known.

    `now` is in seconds since the epoch. Raises sqlite3.Error.
    """
    if not connection.execute(_IS_THERE).fetchone()[0]:
        return None
    moment = connection.execute("SELECT max(CAST(moment AS REAL)) FROM seen").fetchone()[0]
    return now - moment if moment is not None and moment <= now else None


def note_seen(connection: sqlite3.Connection, now: float) -> None:
    """Note in the transaction in progress that the file is in use. Raises sqlite3.Error."""
    connection.execute(_TABLE)
    connection.execute("DELETE FROM seen")
    connection.execute("INSERT INTO seen VALUES (?)", (now,))
