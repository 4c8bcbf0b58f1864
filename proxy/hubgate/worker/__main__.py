"""`python -m hubgate.worker LINK SUPERVISOR`: a worker process; only the supervisor starts it.

LINK is the number of the inherited link's file descriptor, SUPERVISOR the parent's process id.
"""

import os
import sys
from contextlib import suppress

from hubgate.worker.lifeline import die_with_parent, leave_signals_to_supervisor

if __name__ == "__main__":
    try:
        link_fd, supervisor = (int(argument) for argument in sys.argv[1:3])
    except ValueError:
        with suppress(OSError):  # print would fail later, and change the exit code
            os.write(2, b"hubgate.worker: is started by hubgate itself; run `proxyctl serve`\n")
        sys.exit(1)
    leave_signals_to_supervisor()
    die_with_parent(supervisor)
    # Imported only now: it takes a while, and the supervisor may die meanwhile.
    from hubgate.worker.main import main

    main(link_fd)
