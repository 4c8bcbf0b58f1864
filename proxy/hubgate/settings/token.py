"""The API's token, from the environment or a file; no message contains it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hubgate.errors import ConfigError
from hubgate.settings.catalogue import variables_of

_VARIABLES = variables_of("api_token")


def token_from_environment(
    environ: Mapping[str, str], names: Sequence[str] = _VARIABLES
) -> str | None:
    """Return the token in the first of the variables `names` that is set, None if none is.

    Raises ConfigError.
    """
    for name in names:
        if text := environ.get(name, "").strip():
            return _checked(text, name)
    return None


def token_from_file(path: str) -> str:
    """Return the token that the file at `path` holds. Raises ConfigError."""
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; put the token there") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the token has non-ASCII characters") from None
    if not text:
        raise ConfigError(
            f"{path}: is empty; put the token there, such as one from `openssl rand -hex 32`"
        )
    return _checked(text, path)


def _checked(token: str, where: str) -> str:
    # It is sent as `Authorization: token SECRET`: one word of visible ASCII.
    if not all("!" <= char <= "~" for char in token):
        raise ConfigError(f"{where}: the token must be one word of plain ASCII, without spaces")
    return token
