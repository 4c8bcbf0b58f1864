"""`proxyctl init`: a routes.yaml to begin with."""

import os
import shlex
import stat
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import click

from hubgate.errors import ConfigError

DEFAULT_FILE = Path("routes.yaml")


@click.command()
@click.argument("file", metavar="[FILE]", default=DEFAULT_FILE, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init(file: Path, force: bool) -> None:
    """Write a routes.yaml to begin with: every setting, with its default or an example.

    FILE is ./routes.yaml if not given; - is standard output. An existing file is only replaced
    with --force.
    """
    text = example()
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        _replace(file, text) if force else _create(file, text)
    except FileExistsError:
        raise ConfigError(
            f"{file}: it exists already; --force replaces it, or give another name"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror}; give a new file in an existing, writable folder"
        ) from error
    named = "" if file == DEFAULT_FILE else f" {shlex.quote(str(file))}"
    click.echo(f"made {file}; put your routes in it, then: proxyctl check{named}, serve{named}")


def example() -> str:
    """Return the text of the example file."""
    return files("hubgate.settings.routes_yaml").joinpath("example.yaml").read_text("utf-8")


def _create(file: Path, text: str) -> None:
    with file.open("x", encoding="utf-8") as new:
        try:
            new.write(text)
            new.flush()
        except OSError:  # such as a full disk
            file.unlink()
            raise


def _replace(file: Path, text: str) -> None:
    """Replace the file in one step: what was in it is lost only once the new text is there."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    _create(beside, text)
    try:
        with suppress(FileNotFoundError):  # it may hold secrets
            beside.chmod(stat.S_IMODE(file.stat().st_mode))
        beside.replace(file)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
