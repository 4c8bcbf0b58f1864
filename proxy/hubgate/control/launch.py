"""Starting the supervisor from settings, or in place of an older release."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hubgate.control.handover import Handover
from hubgate.control.pidfile import check_pid_file
from hubgate.control.upgrade import succession
from hubgate.logs import count_lost, own_stderr
from hubgate.process_name import name_process
from hubgate.settings import Settings
from hubgate.settings.checks import stated

if TYPE_CHECKING:
    from hubgate.control.supervisor import Supervisor

Reload = Callable[[], Settings] | None


def launch(settings: Settings, reload: Reload, read_since: float) -> int:
    """Run hubgate until it is told to stop; return the exit code.

    No file of the settings was read before `read_since`, epoch seconds.
    """
    succession.configure_log(settings)
    if (fd := succession.rehearsal()) is not None:
        return _rehearse(settings, fd)
    own_stderr()
    received = succession.receive_handover()
    if received is None:
        stated(check_pid_file, settings.pid_file, "--pid-file")  # before anybody is served
    else:
        count_lost(received.lost_lines)
    code, supervisor = _run(settings, reload, read_since, received)
    while supervisor.handover is not None:
        succession.exec_next_release(supervisor.handover)
        # It could not be replaced, so this release is its own successor.
        received = supervisor.handover.taken_back()
        code, supervisor = _run(supervisor.settings, reload, read_since, received)
    return code


def _run(
    settings: Settings, reload: Reload, read_since: float, received: Handover | None
) -> tuple[int, "Supervisor"]:
    # Imported late: --help and command-line mistakes need none of it.
    from hubgate.control.bootstrap import Bootstrap

    bootstrap = Bootstrap(settings, received)
    try:
        addresses = ", ".join(str(each.address) for each in bootstrap.listeners.public)
        name_process("hubgate", f"supervisor {addresses}")
        if received is None:  # otherwise the old workers serve, and signals are still held
            bootstrap.spawn_workers()
        import uvloop

        from hubgate.control.supervisor import Supervisor

        supervisor = Supervisor(settings, reload, bootstrap, read_since, received)
        return uvloop.run(supervisor.run()), supervisor
    finally:
        bootstrap.close()


def _rehearse(settings: Settings, fd: int) -> int:
    name_process("hubgate", "rehearsal of an upgrade")
    import uvloop

    import hubgate.control.supervisor  # noqa: F401 - all of it must be importable
    from hubgate.control.upgrade import rehearsal

    uvloop.run(rehearsal.answer(settings, fd))
    return 0
