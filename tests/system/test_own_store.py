"""The file of `proxyctl serve` that nobody named, over upgrades."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.running import PROXYCTL, running
from tests.system.served import Served, serving
from tests.system.test_store import table
from tests.system.upgrading import Code, upgrade

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(300),
]

NOBODY_HOME = "http://127.0.0.1:9"
LOADED = "whole = partial(with_own_store, environ=os.environ)"
# How a release reads its settings that keeps routes in memory where nobody names a store.
IN_MEMORY = "whole = lambda settings: settings"


def own_file(served: Served) -> Path:
    return Path(os.environ["XDG_STATE_HOME"], "hubgate", f"api-{served.api_port}.routes.db")


async def test_what_an_earlier_release_has_in_memory_is_kept_from_its_upgrade_on(
    code: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    source = code.folder / "hubgate" / "cli" / "serve.py"
    text = source.read_text()
    source.write_text(text.replace(LOADED, IN_MEMORY))
    assert source.read_text() != text
    with serving(tmp_path) as served:
        served.add("/lab", NOBODY_HOME)
        served.add("/gone", NOBODY_HOME)
        served.call("POST", "/api/routes/user/a", {"target": NOBODY_HOME, "jupyterhub": True})
        assert not own_file(served).exists()
        source.write_text(text)
        assert (await upgrade(served))[0] == 0
        assert served.call("DELETE", "/api/routes/gone") == 204
        assert set(table(served)) == {"/lab", "/user/a"}
        # An upgrade of what is in the file.
        assert (await upgrade(served))[0] == 0
        assert set(table(served)) == {"/lab", "/user/a"}
        served.process.send_signal(signal.SIGKILL)
        served.process.wait()
        again = ("serve", "--port", "0", "--api-port", str(served.api_port))
        token = {"HUBGATE_TOKEN": served.token}
        with running(tmp_path, PROXYCTL, *again, env=token) as later:
            later.wait_for("Proxy API at ")
            assert set(table(served)) == {"/lab", "/user/a"}
