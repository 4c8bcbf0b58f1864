"""What a person is told who interrupts a command while hubgate is making a change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from hubgate.logs import one_line


@contextmanager
def told_if_interrupted(state: Callable[[], str]) -> Iterator[None]:
    """Say on Ctrl-C what `state` returns: what has been changed by then, as far as is known."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(one_line(f"proxyctl: interrupted: {state()}"), err=True)
        raise
