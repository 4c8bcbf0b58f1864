"""A worker's access log: a line for each request when it has ended."""

import asyncio
import time
from collections.abc import Callable

from hubgate import model
from hubgate.dataplane.access_log.file import LogFile
from hubgate.dataplane.access_log.lines import FORMATS, Lines
from hubgate.dataplane.access_log.record import Record

# Lines go out together: after this many seconds, or bytes, whichever comes first.
INTERVAL = 1.0
BATCH = 1 << 16
# This many records are formatted at once, which is faster and still takes far under a millisecond.
RECORDS_AT_ONCE = 64
# Seconds that the last lines have to be written, at most; and at least, however late it is.
FLUSH_TIMEOUT = 1.0
LEAST_FLUSH_TIMEOUT = 0.1


class AccessLog:
    """Takes records, and does nothing with them until `configure` says where they go."""

    def __init__(self) -> None:
        self._config: model.AccessLogConfig | None = None
        self._file: LogFile | None = None
        self._leaving: list[LogFile] = []
        self._format: Lines = FORMATS["combined"]()
        self._records: list[Record] = []
        self._lines: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._dropped = 0

    def __repr__(self) -> str:
        return f"<AccessLog {self._config or 'off'}>"

    def configure(self, config: model.AccessLogConfig | None) -> None:
        """Write by `config` from now on, the same as before or another; None turns it off.

        Raises ConfigError, with nothing changed, if a file that is required cannot be opened.
        """
        if config == self._config:
            self.flush()
            if self._file is not None:
                self._file.put(b"")
            return
        file = None if config is None else LogFile(config.path, required=config.required)
        self._let_go()
        self._config, self._file = config, file
        if config is not None:
            self._format = FORMATS[config.format]()

    def add(self, record: Record) -> None:
        """Take a request that ends now."""
        record.ended = time.monotonic()
        self._records.append(record)
        if len(self._records) >= RECORDS_AT_ONCE:
            self._make_lines()
            if self._size >= BATCH:
                self._hand_over()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._on_timer)

    def flush(self) -> None:
        """Hand everything over to the file."""
        self._make_lines()
        self._hand_over()

    def _make_lines(self) -> None:
        records, self._records = self._records, []
        file = self._file
        if file is None:
            return
        if file.full:
            file.refuse(len(records))
            return
        line = self._format.line
        # From the steady clock to the time of day.
        offset = time.time() - time.monotonic()
        lines = [line(record, record.ended + offset) for record in records]
        self._lines += lines
        self._size += sum(map(len, lines))

    def _hand_over(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        if lines and self._file is not None:
            self._file.put("".join(lines).encode("ascii"))

    def dropped(self) -> int:
        """Return how many lines were dropped since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped + (self._file.dropped() if self._file is not None else 0)

    async def settle(self) -> None:
        """Wait until what was handed to the file is written, for a limited time."""
        file = self._file
        if file is not None:
            await _wait(lambda: file.settled, FLUSH_TIMEOUT)

    async def close(self, seconds: float = FLUSH_TIMEOUT) -> None:
        """Write what there is, as far as it can be written in `seconds`, and end.

        Every call waits for that, and for earlier files that are still being written to: the
        process may exit afterwards.
        """
        self._let_go()
        self._config = self._file = None
        limit = max(LEAST_FLUSH_TIMEOUT, min(FLUSH_TIMEOUT, seconds))
        await _wait(lambda: all(file.closed for file in self._leaving), limit)

    def _let_go(self) -> None:
        self.flush()
        if self._file is not None:
            self._dropped += self._file.dropped()
            self._file.close()
            self._leaving = [*(file for file in self._leaving if not file.closed), self._file]

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()


async def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - it is a thread's
        await asyncio.sleep(0.005)
