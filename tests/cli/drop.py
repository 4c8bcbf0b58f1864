"""The drop-in up to the point where it would start."""

import pytest
from click.testing import CliRunner

from hubgate.cli import drop_in
from hubgate.settings import Settings

# What a hub sets in no case; tests must not depend on who runs them.
CLEAN = {
    "CONFIGPROXY_AUTH_TOKEN": None,
    "HUBGATE_TOKEN": None,
    "HUBGATE_WORKERS": None,
    "HUBGATE_STORE": None,
}


class Drop:
    """Runs the drop-in up to the point where it would start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings: Settings | None = None
        self.read_since = 0.0
        self.log = ""
        monkeypatch.setattr(drop_in, "launch", self._launch)
        # What this machine has to say is tried with real processes.
        monkeypatch.setattr(drop_in, "start_findings", lambda settings, where: ([], []))

    def _launch(self, settings: Settings, reload: object, read_since: float) -> int:
        assert (reload is None) is (settings.api_token_file is None)
        self.settings, self.read_since = settings, read_since
        return 0

    def run(self, *args: str, **environ: str) -> Settings:
        """Return the settings that `args` lead to."""
        result = CliRunner(env={**CLEAN, **environ}).invoke(
            drop_in.command, list(args), standalone_mode=False, catch_exceptions=False
        )
        self.log = result.output
        assert self.settings is not None
        return self.settings
