"""Where log lines go: to stderr, in a thread, so that nobody who logs waits for its reader."""

import select
import time
from collections.abc import Callable
from contextlib import suppress
from threading import RLock

from hubgate.output.line_writer import LineWriter

# Bytes of lines that may wait; further ones are dropped, until half of these are written.
MOST_WAITING = 1 << 18
# Seconds that the last lines have to be written, at most.
PATIENCE = 1.0
_INTERVAL = 0.002
# Seconds of a turn for our thread, and how many blocks it writes in one, if it may, at least.
_TURN, _OF_USE = 0.0005, 4
# Seconds until it gets another if it did not.
_LONGEST_PAUSE = 0.01


class LogWriter(LineWriter):
    """Writes blocks from any thread, drops what is too much, and says so when there is room again.

    `say` makes the line that tells how many were lost.
    """

    def __init__(self, fd: int, say: Callable[[int], bytes]) -> None:
        super().__init__("log", fd, MOST_WAITING)
        self._say = say
        # Reentrant: a signal's handler, or a finalizer, may log in the middle of a call.
        self._lock = RLock()
        self._gap = False
        self._put_lines = self._done_lines = 0
        # When our thread may be given another turn, and how long after one that was of no use.
        self._next_turn = self._pause = 0.0
        # How many lost lines each notice that waits stands for, by its place in the queue.
        self._notices: dict[int, int] = {}

    def offer(self, block: bytes) -> None:
        """Queue whole lines, or count them as lost."""
        if self._waiting > self._most // 4:
            if self._at_once:
                self._yield_to_reader()
            else:
                self._yield_to_disk()
        with self._lock:
            self._gap = self.full or (self._gap and self._waiting > self._most // 2)
            if self._gap:
                self.refuse(block.count(b"\n"))
                return
            self._tell_lost()
            self.put(block)
            if self._thread is None:
                self._try_to_start()

    def put(self, block: bytes) -> None:
        """Queue whole lines to be written."""
        self._put_lines += block.count(b"\n")
        super().put(block)

    def refuse(self, lines: int) -> None:
        """Count lines as lost, to be told with others."""
        with self._lock:
            super().refuse(lines)

    @property
    def unwritten(self) -> int:
        """How many lines would be lost, without anybody being told, if we ended now."""
        with self._lock:
            waiting = self._put_lines - self._done_lines - len(self._notices)
            untold = self._refused + self._lost - self._told + sum(self._notices.values())
            return untold + waiting

    def settle(self, seconds: float) -> None:
        """Wait until all is written, or `seconds` are over."""
        deadline = time.monotonic() + seconds
        while not self.settled and self._thread is not None and time.monotonic() < deadline:
            time.sleep(_INTERVAL)

    def _yield_to_reader(self) -> None:
        """Let our thread write if somebody reads, and it only has not had its turn."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if poll.poll(0):
            time.sleep(_TURN)

    def _yield_to_disk(self) -> None:
        """Let our thread write if that is all it needs, and the disk is not slow.

        Whether it is can only be tried: to poll(2), a file always takes more.
        """
        if (now := time.monotonic()) < self._next_turn:
            return
        done = self._done
        time.sleep(_TURN)
        if self._done - done > _OF_USE:
            self._pause = 0.0
        else:
            self._pause = min(2 * self._pause + 4 * _TURN, _LONGEST_PAUSE)
        self._next_turn = now + self._pause

    def _try_to_start(self) -> None:
        with suppress(RuntimeError):  # no room for a thread: the next line tries again
            self.start()

    def _tell_lost(self) -> None:
        lost = self._refused + self._lost - self._told
        if lost > 0:
            self._told += lost
            self._notices[self._put] = lost
            self.put(self._say(lost))

    def _write(self, block: bytes) -> None:
        super()._write(block)
        with self._lock:
            self._done_lines += block.count(b"\n")

    def _wrote(self) -> None:
        with self._lock:
            self._notices.pop(self._done, None)
            if self._waiting <= self._most // 2:
                self._gap = False
                self._tell_lost()

    def _failed(self, error: OSError) -> None:
        with self._lock:
            if (lost := self._notices.pop(self._done, None)) is not None:
                # Nobody has been told: these lines count again, and the notice does not.
                self._told -= lost
                self._lost -= 1
