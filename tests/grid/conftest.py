"""What every grid has around it: an API to ask, and a folder for each command."""

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.grid.api import agreeing_api
from tests.grid.cells import Cell, Grid


@pytest.fixture(scope="module")
def grid(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Grid]:
    """Run every cell of the module's CELLS."""
    root = tmp_path_factory.mktemp("grid")
    cells: Sequence[Cell] = request.module.CELLS
    fill: Callable[[Path], None] = getattr(request.module, "fill", lambda folder: None)
    places = {cell.name: root / str(number) for number, cell in enumerate(cells)}
    for place in places.values():
        place.mkdir()
        fill(place)
    with agreeing_api() as url, socket.create_server(("127.0.0.1", 0)) as taken:
        env = {
            "HUBGATE_API_URL": url,
            "XDG_STATE_HOME": str(root / "state"),
            "TAKEN": str(taken.getsockname()[1]),
        }
        running = Grid(cells, lambda cell: places[cell.name], env)
        yield running
        running.close()
