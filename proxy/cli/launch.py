"""Starting the supervisor from settings."""

from collections.abc import Callable

from proxy.logs import configure_logging
from proxy.settings import Settings


def launch(settings: Settings, reload: Callable[[], Settings] | None) -> int:
    """Run hubgate until it is told to stop; return the exit code."""
    # Imported late: a command line's --help and its mistakes need none of it.
    import uvloop

    from proxy.control.supervisor import Supervisor

    configure_logging(settings.log_level)
    return uvloop.run(Supervisor(settings, reload).run())
