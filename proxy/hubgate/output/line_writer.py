"""Writing whole lines in a thread, so that nobody waits for a full disk or an unread pipe."""

import os
import select
import signal
import stat
from queue import SimpleQueue
from threading import Thread

# Bytes. A pipe takes this much in one piece (Linux: PIPE_BUF), so lines of several processes stay
# whole in it.
LONGEST_LINE = 4096


class LineWriter:
    """Writes blocks of whole lines to a descriptor, in a thread of its own, in order.

    When `most` bytes wait, it is `full`; what to do then is up to its user. Lines are lost only
    if they cannot be written. The process may end, or become another program, at any time: of a
    pipe's lines, each is written or it is not.
    """

    def __init__(self, name: str, fd: int, most: int) -> None:
        self._name = name
        self._most = most
        self._blocks: SimpleQueue[bytes | None] = SimpleQueue()
        # Each of these is written by one thread only, or under a subclass's lock.
        self._put = self._put_bytes = self._refused = 0
        self._done = self._done_bytes = self._lost = 0
        self._told = 0
        self._torn = False
        self._thread: Thread | None = None
        self._write_to(fd)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} {self._waiting} bytes wait>"

    # --- from any other thread -------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether so much is waiting that the next line should be dropped."""
        return self._waiting >= self._most

    @property
    def settled(self) -> bool:
        """Whether everything that was put is written, or lost."""
        return self._put == self._done

    @property
    def closed(self) -> bool:
        """Whether the thread has ended, and the descriptor is no longer used."""
        return self._thread is not None and not self._thread.is_alive()

    def start(self) -> None:
        """Start the thread. Raises RuntimeError if the system has no room for one."""
        thread = Thread(target=self._run, name=self._name, daemon=True)
        # It takes no signals, which are for the main thread: one that is held there would end us.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._thread = thread

    def put(self, block: bytes) -> None:
        """Queue whole lines to be written."""
        self._put += 1
        self._put_bytes += len(block)
        self._blocks.put(block)

    def refuse(self, lines: int) -> None:
        """Count lines that were not even put, because too many wait."""
        self._refused += lines

    def dropped(self) -> int:
        """Return how many lines were dropped since the last call."""
        before, self._told = self._told, self._refused + self._lost
        return self._told - before

    def close(self) -> None:
        """Write what was put, then let go of the descriptor."""
        self._blocks.put(None)

    # --- in the thread ---------------------------------------------------------------------

    def _before(self) -> None:
        """Prepare to write a block."""

    def _wrote(self) -> None:
        """Note that a block was written."""

    def _failed(self, error: OSError) -> None:
        """Note that lines were lost."""

    def _let_go(self) -> None:
        """Close the descriptor, if that is ours to do."""

    @property
    def _waiting(self) -> int:
        return self._put_bytes - self._done_bytes

    def _write_to(self, fd: int) -> None:
        self._fd = fd
        # Anything other than a regular file takes only a short piece in one step.
        self._at_once = 0 if stat.S_ISREG(os.fstat(fd).st_mode) else LONGEST_LINE

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._before()
            self._write(block)
            self._done_bytes += len(block)
            self._done += 1
        self._let_go()

    def _write(self, block: bytes) -> None:
        lines, start = block.count(b"\n"), 0
        if self._torn and block:
            # Part of a line was written: it must not run into the next one.
            block = b"\n" + block
        try:
            while start < len(block):
                start += self._write_some(block, start)
        except OSError as error:
            if start:
                self._torn = block[start - 1 : start] != b"\n"
            self._lost += min(lines, block.count(b"\n", start))
            self._failed(error)
        else:
            if block:
                self._torn = False
                self._wrote()

    def _write_some(self, block: bytes, start: int) -> int:
        """Write what goes in one step; return how many bytes that was."""
        if self._at_once:
            end = block.rfind(b"\n", start, start + self._at_once) + 1
            block = block[start:end] if end > start else block[start : start + self._at_once]
        elif start:
            block = block[start:]
        try:
            return os.write(self._fd, block)
        except BlockingIOError:
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll()
            return 0
