"""`proxyctl export` and `import`: the routes of a running hubgate, to a file and from one."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import click

from hubgate.cli.api.client import Api
from hubgate.cli.api.interruption import told_if_interrupted
from hubgate.cli.api.options import with_api
from hubgate.cli.table.differences import patch_to
from hubgate.cli.table.whole_table import (
    PIECE,
    ChangedError,
    change_table,
    read_routes,
    read_table,
)
from hubgate.control.api.object_reader import ObjectReader
from hubgate.errors import ConfigError, RouteError
from hubgate.file_reading import read_file
from hubgate.logs import one_line
from hubgate.routing.keys import clean_key

ATTEMPTS = 5
"""Times that an import looks at the table anew, because it was changed meanwhile."""

LARGEST = 256 * 1024 * 1024

_MOST_NAMED = 20  # mistakes in a file

_CHANGES = {"added": "+", "changed": "~", "removed": "-"}
_MARKS = {**_CHANGES, "left": "="}
_LEFT = "left to their hub (--hub changes them)"

_UNSTORED = "nothing was changed"
_UNKNOWN = "the routes may have been stored, all or none; --dry-run shows what is still to do"

Routes = dict[str, dict[str, Any]]


@click.command("export")
@click.argument("file", metavar="[FILE]", default="-")
@with_api
def export_routes(api: Api, file: str) -> None:
    """Write all routes to FILE, or to standard output, as JSON.

    There is a route on each line, with its last activity, in the order of keys. FILE is replaced
    only when all of it has been written; only this user can read it.
    """
    if file == "-":
        for line in _lines(api):
            click.echo(line, nl=False)
        return
    try:
        with _replaced(Path(file)) as output:
            for line in _lines(api):
                output.write(line.encode())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from None


def _lines(api: Api) -> Iterator[str]:
    before = "{"
    for key, data in sorted((key, json.dumps(data)) for key, data in read_routes(api)):
        yield f"{before}\n{json.dumps(key)}: {data}"
        before = ","
    yield "{}\n" if before == "{" else "\n}\n"


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of `path` once it is complete. Raises OSError."""
    if path.exists() and not path.is_file():  # a pipe, or a device
        with path.open("wb") as output:
            yield output
        return
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as output:
            yield output
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option("--replace", is_flag=True, help="Also remove routes that are not in FILE.")
@click.option("--hub", "hubs_too", is_flag=True, help="Also change routes that a hub has added.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@with_api
def import_routes(api: Api, file: str, replace: bool, hubs_too: bool, dry_run: bool) -> None:
    """Add and change routes as in FILE, all at once or none; - is standard input.

    FILE is JSON, as `proxyctl export` writes it. Routes of a hub, in FILE or running, are not
    touched without --hub: the hub adds and removes its own. Routes of routes.yaml stay.
    """
    wanted = _read(file)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            done = _import(api, wanted, replace, hubs_too, dry_run)
            break
        except ChangedError:
            if attempt == ATTEMPTS:
                raise
    if dry_run:
        _show(done.get("keys"))
        return
    counts = ", ".join(f"{done.get(what, 0)} {what}" for what in _CHANGES)
    left = f"; {done['left']} {_LEFT}" if done.get("left") else ""
    click.echo(one_line(f"imported {_named(file)}: {counts}{left}"))
    api.tell_missing()


def _import(
    api: Api, wanted: Routes, replace: bool, hubs_too: bool, dry_run: bool
) -> dict[str, Any]:
    """Return which routes were changed, or would be. Raises ChangedError."""
    table = read_table(api)
    method, content, left = "PUT", wanted, list[str]()
    if not replace:
        method = "PATCH"
        content, left = patch_to(table.routes, wanted, hubs_too)
    body = json.dumps(content, separators=(",", ":")).encode()
    query = [*(["hub"] if replace and hubs_too else ()), *(["dry_run"] if dry_run else ())]
    upload = _Upload(body)
    with told_if_interrupted(lambda: _UNSTORED if dry_run else upload.outcome), _shown(upload):
        done = change_table(api, method, table.etag, upload.pieces(), len(body), query)
    if left:
        done["left"] = len(left)
        if isinstance(keys := done.get("keys"), dict):
            keys["left"] = left
    return done


def _show(keys: object) -> None:
    """Print a line for each route that would be changed, as `diff` does, or is left alone."""
    lists = keys if isinstance(keys, dict) else {}
    for what, mark in _MARKS.items():
        for key in sorted(lists.get(what) or ()):
            note = f"  {_LEFT}" if what == "left" else ""
            click.echo(one_line(f"{mark} {key}{note}"))
    if not any(lists.get(what) for what in _CHANGES):
        click.echo("nothing would change")


class _Upload:
    """A body that is sent in pieces."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._begun = 0  # bytes that were sent, or are being sent
        self.progress: Callable[[int], None] = lambda sent: None

    def __repr__(self) -> str:
        return f"<_Upload, {self._begun} of {self.size} bytes>"

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self._body)

    @property
    def outcome(self) -> str:
        """What became of the routes if no response is heard: a part of them is not stored."""
        return _UNSTORED if self._begun < self.size else _UNKNOWN

    def pieces(self) -> Iterator[bytes]:
        """Yield the body; `progress` is told how many bytes were sent."""
        for first in range(0, self.size, PIECE):
            piece = self._body[first : first + PIECE]
            self._begun = first + len(piece)
            yield piece
            self.progress(self._begun)


@contextmanager
def _shown(upload: _Upload) -> Iterator[None]:
    """Show a person on a terminal how far it is."""
    if upload.size <= PIECE or sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    # Imported late: it takes a tenth of a second.
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending", total=upload.size)

        def show(sent: int) -> None:
            bar.update(task, completed=sent)
            if sent == upload.size:  # how long that takes, nobody knows: a bar without an end
                bar.remove_task(task)
                bar.add_task("storing", total=None)

        upload.progress = show
        yield


def _read(file: str) -> Routes:
    """Return the routes of a file, by clean key. Raises ConfigError."""
    name = _named(file)
    try:
        content = _content(file)
        return _parsed(content)
    except RouteError as error:
        raise ConfigError(f"{name}: {str(error).replace('the body', 'it')}") from None
    except ConfigError as error:
        raise ConfigError(*(f"{name}: {line}" for line in error.lines)) from None
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror or error}") from None


def _named(file: str) -> str:
    return "standard input" if file == "-" else file


def _content(file: str) -> bytes:
    if file != "-":
        return read_file(file, LARGEST)
    if sys.stdin is None:
        raise RouteError("it is closed; name a file")
    content = sys.stdin.buffer.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise RouteError(f"it is larger than {LARGEST >> 20} MiB")
    return content


def _parsed(content: bytes) -> Routes:
    found: Routes = {}
    mistakes: list[str] = []
    for key, data in ObjectReader().feed(content, final=True):
        if not isinstance(data, dict) or not isinstance(data.get("target"), str):
            mistakes.append(f'{key}: write an object with a "target"')
            continue
        try:
            cleaned = clean_key(key)
        except RouteError as error:
            mistakes.append(f"{key}: {error}")
            continue
        if cleaned in found:
            mistakes.append(f"{key}: is there twice; keep one")
        found[cleaned] = data
    if mistakes:
        more = len(mistakes) - _MOST_NAMED
        raise ConfigError(*mistakes[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else ()))
    return found
