"""Starting the supervisor from settings."""

from collections.abc import Callable

from proxy.logs import configure_logging
from proxy.settings import Settings


def launch(settings: Settings, reload: Callable[[], Settings] | None) -> int:
    """Run hubgate until it is told to stop; return the exit code."""
    # Imported late: a command line's --help and its mistakes need none of it.
    from proxy.control.listeners import Listeners

    configure_logging(settings.log_level)
    # The ports first: after a crash, browsers wait while the rest is loaded instead of failing.
    listeners = Listeners(settings)
    try:
        import uvloop

        from proxy.control.supervisor import Supervisor

        return uvloop.run(Supervisor(settings, reload, listeners).run())
    finally:
        listeners.close()
