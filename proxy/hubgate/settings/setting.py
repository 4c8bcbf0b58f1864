"""The description of one setting. Lightweight: every start waits for it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

Place = tuple[str | int, ...]
"""Where a value is in routes.yaml: ("listen", "tls", "cert")."""

Where = Callable[[Place], str]
"""Says where a setting was given: `routes.yaml, line 3: listen.port`, `--port`, a variable."""


def dotted(place: Place) -> str:
    """Return a place as a person would write it: `routes./user/alice.target`, `listen.host[1]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


class Kind(Enum):
    """How the text of a flag or variable is read."""

    TEXT = "text"
    PATH = "path"
    STORE = "store"
    OUTPUT = "output"
    SWITCH = "switch"


class TakesEffect(Enum):
    """The least that makes a running hubgate adopt a changed setting."""

    AT_RELOAD = "a reload takes it over"
    AT_UPGRADE = "an upgrade takes it over, or a restart"
    AT_RESTART = "only a restart takes it over"
    AT_START = "nothing: it says how things begin"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of `proxyctl serve`, with its environment variable.

    `descriptor` is what a systemd unit may call a socket for this port (FileDescriptorName=).
    """

    name: str
    metavar: str
    help: str
    kind: Kind = Kind.TEXT
    descriptor: str = ""

    @property
    def variable(self) -> str:
        """The environment variable: HUBGATE_API_PORT for `--api-port`."""
        return "HUBGATE_" + self.name[2:].upper().replace("-", "_")


@dataclass(frozen=True, slots=True)
class NotInFile:
    """A setting that is not in any file: its `name` in messages, and its `variables`, if any.

    Of the variables, the first that is set counts.
    """

    name: str
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    `key` is its place in routes.yaml, with dots: "listen.tls.cert"; "" for none. `becomes` is the
    field of `Settings` that it decides, alone or with others, also with dots: "worker.tls.cert";
    `also` is another. `given` is the other way to give it.
    """

    key: str
    becomes: str
    takes_effect: TakesEffect = TakesEffect.AT_RELOAD
    given: Flag | NotInFile | None = None
    also: str = ""

    @property
    def place(self) -> Place:
        """Where it is in routes.yaml."""
        return tuple(self.key.split(".")) if self.key else ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field of `Settings` that it decides."""
        return (self.becomes, self.also) if self.also else (self.becomes,)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that give it."""
        if isinstance(self.given, Flag):
            return (self.given.variable,)
        return self.given.variables if self.given else ()
