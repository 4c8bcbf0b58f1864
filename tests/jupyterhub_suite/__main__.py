"""`python -m tests.jupyterhub_suite`: what `make jupyterhub-suite` runs."""

import signal
import sys

from tests.jupyterhub_suite import bench, plan, sandbox
from tests.jupyterhub_suite.bench import Proxy
from tests.jupyterhub_suite.suite import Suite

if __name__ == "__main__":
    wanted = plan.parse()
    # A shell's background job ignores SIGINT, and so would the notebook servers of the tests,
    # which a hub stops with it: every stop would take ten seconds.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sandbox.adopt_orphans()
    sys.exit(Suite(wanted, bench.prepare(Proxy.CHP in wanted.proxies)).run())
