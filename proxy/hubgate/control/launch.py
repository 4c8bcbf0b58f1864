"""Starting the supervisor from settings, or in the place of an older release of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hubgate.control.handover import Handover
from hubgate.control.upgrade import signals, succession
from hubgate.logs import configure_logging
from hubgate.settings import Settings

if TYPE_CHECKING:
    from hubgate.control.supervisor import Supervisor

Reload = Callable[[], Settings] | None


def launch(settings: Settings, reload: Reload) -> int:
    """Run hubgate until it is told to stop; return the exit code."""
    configure_logging(settings.log_level)
    if (fd := succession.rehearsal()) is not None:
        return _rehearse(settings, fd)
    left = succession.predecessor()
    if left is None:
        signals.hold_early_signals()
    code, supervisor = _run(settings, reload, left)
    while supervisor.legacy is not None:
        succession.succeed(supervisor.legacy)
        # It could not be replaced: then the same release is its own successor.
        left = supervisor.legacy.taken_back()
        code, supervisor = _run(supervisor.settings, reload, left)
    return code


def _run(settings: Settings, reload: Reload, left: Handover | None) -> tuple[int, "Supervisor"]:
    # Imported late: a command line's --help and its mistakes need none of it.
    from hubgate.control.bootstrap import Ground

    ground = Ground(settings, left)
    try:
        if left is None:  # else the old workers serve, and signals are still held
            ground.give_birth()
        import uvloop

        from hubgate.control.supervisor import Supervisor

        supervisor = Supervisor(settings, reload, ground, left)
        return uvloop.run(supervisor.run()), supervisor
    finally:
        ground.close()


def _rehearse(settings: Settings, fd: int) -> int:
    import uvloop

    import hubgate.control.supervisor  # noqa: F401 - all of it must be there
    from hubgate.control.upgrade import rehearsal

    uvloop.run(rehearsal.answer(settings, fd))
    return 0
