"""A hub whose proxy listens on unix sockets alone: people's and the API's."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import aiohttp
import pytest

from tests.contract.ports import distinct_ports
from tests.hub.person import person
from tests.hub.running import Site, hub

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A socket's path has about 100 bytes at most; pytest's own folders may be deeper."""
    with TemporaryDirectory() as folder:
        yield Path(folder)
        assert not list(Path(folder).iterdir()), "sockets left behind"


async def test_a_cell_runs_through_a_unix_socket(tmp_path: Path, short_folder: Path) -> None:
    public, api = short_folder / "public.sock", short_folder / "api.sock"
    site = Site("http://localhost", lambda: aiohttp.UnixConnector(str(public)))
    settings = {
        "JupyterHub.bind_url": f"http+unix://{quote(str(public), safe='')}",
        "ConfigurableHTTPProxy.api_url": f"http+unix://{quote(str(api), safe='')}",
        "JupyterHub.hub_port": distinct_ports(1)[0],
    }
    async with (
        hub(tmp_path, site, settings),
        person(site, "alice", "http://localhost/user/alice/") as alice,
    ):
        kernel = await alice.start_kernel()
        assert await alice.run(kernel, "print(6 * 7)") == "42\n"
        # JupyterHub's own HTTP client names the socket's path as the host.
        named = {"Host": quote(str(public), safe="").lower()}
        async with alice.session.get(f"{site.url}/hub/api/", headers=named) as answer:
            assert answer.status == 200
