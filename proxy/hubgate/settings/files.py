"""The files that settings are read from, and those that settings name."""

from pathlib import Path

from hubgate.model import ClientTLS, ServerTLS
from hubgate.settings.values import Settings


def watched_files(settings: Settings) -> list[Path]:
    """Return the files that the settings are read from, certificates among them."""
    own = (settings.config_file, *token_files(settings))
    return [path for path in own if path is not None] + certificate_files(settings)


def token_files(settings: Settings) -> list[Path]:
    """Return every file that a token of the API was read from."""
    own = [settings.api_token_file] if settings.api_token_file else []
    return [*own, *(each.file for each in settings.api_tokens)]


def certificate_files(settings: Settings) -> list[Path]:
    """Return every certificate, key and CA file."""
    names = [name for each in tls_sides(settings) for name in (each.cert, each.key, each.ca)]
    return [Path(name) for name in dict.fromkeys(names) if name]


def tls_sides(settings: Settings) -> list[ServerTLS | ClientTLS]:
    """Return every side on which hubgate speaks TLS, or would with an https target."""
    sides = (settings.worker.tls, settings.api_tls, settings.worker.client_tls)
    return [side for side in sides if side is not None]
