"""`python -m hubgate.worker LINK SUPERVISOR INDEX`: a worker; only the supervisor starts it.

LINK is the number of the inherited link's file descriptor, SUPERVISOR the parent's process id,
INDEX the worker's number, from 0; older releases give none.
"""

import os
import sys
from contextlib import suppress

from hubgate.logs import configure_logging, own_stderr
from hubgate.output.standard_streams import open_closed_streams
from hubgate.process_name import name_process
from hubgate.worker.lifeline import die_with_parent, leave_signals_to_supervisor

if __name__ == "__main__":
    open_closed_streams()
    try:
        link_fd, supervisor = (int(argument) for argument in sys.argv[1:3])
    except ValueError:
        with suppress(OSError):  # print would fail later, and change the exit code
            os.write(2, b"hubgate.worker: is started by hubgate itself; run `proxyctl serve`\n")
        sys.exit(1)
    leave_signals_to_supervisor()
    die_with_parent(supervisor)
    configure_logging("info")  # until the supervisor says how
    own_stderr()
    index = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    name_process(f"hubgate-w{index}", f"worker {index}")
    # Imported only now: it takes a while, and the supervisor may die meanwhile.
    from hubgate.worker.main import main

    main(link_fd, index)
