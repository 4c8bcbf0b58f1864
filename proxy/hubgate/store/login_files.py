"""Files that a login at Redis is read from: passwords, and the certificate of an authority."""

import ssl
from collections.abc import Callable, Iterator

from hubgate.errors import StoreRefusedError
from hubgate.file_reading import read_file
from hubgate.model import RedisLogin

_LONGEST_PASSWORD = 65536  # bytes


def login_mistakes(login: RedisLogin) -> Iterator[tuple[str, str]]:
    """Yield the setting of each file that cannot be used, as in `redis.ca`, and what is wrong."""
    files: tuple[tuple[str, str | None, Callable[[str], object]], ...] = (
        ("password_file", login.password_file, password_in),
        ("sentinel_password_file", login.sentinel_password_file, password_in),
        ("ca", login.ca, _authority_in),
    )
    for name, file, check in files:
        if file is None:
            continue
        try:
            check(file)
        except StoreRefusedError as error:
            yield name, str(error).removeprefix("store: ")


def password_in(file: str) -> str:
    """Return the password in `file`. Raises StoreRefusedError if there is none."""
    try:
        password = read_file(file, _LONGEST_PASSWORD, once=False).decode().strip()
    except OSError as error:
        reason = f"cannot be read: {file}: {error.strerror or error}"
    except UnicodeDecodeError:
        reason = f"cannot be read: {file}: it is not text"
    else:
        if password and "\n" not in password:
            return password
        problem = "has more than one line; keep that of the password" if password else "is empty"
        reason = f"is not in {file}: it {problem}"
    raise StoreRefusedError(f"store: the password for Redis {reason}")


def _authority_in(file: str) -> None:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise StoreRefusedError(f"store: {file}: {reason}") from None
