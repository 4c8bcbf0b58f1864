"""The files that settings are read from, and those that they name."""

from pathlib import Path

from hubgate.model import ClientTLS, ServerTLS
from hubgate.settings.values import Settings


def watched_files(settings: Settings) -> list[Path]:
    """Return the files that the settings are read from, certificates among them."""
    own = (settings.config_file, settings.api_token_file)
    return [path for path in own if path is not None] + certificate_files(settings)


def certificate_files(settings: Settings) -> list[Path]:
    """Return every file of a certificate, a key or an authority."""
    names = [name for each in tls_sides(settings) for name in (each.cert, each.key, each.ca)]
    return [Path(name) for name in dict.fromkeys(names) if name]


def tls_sides(settings: Settings) -> list[ServerTLS | ClientTLS]:
    """Return all places where hubgate speaks TLS, or would towards an https target."""
    sides = (settings.worker.tls, settings.api_tls, settings.worker.client_tls)
    return [side for side in sides if side is not None]
