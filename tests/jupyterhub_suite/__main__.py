"""`python -m tests.jupyterhub_suite`: what `make jupyterhub-suite` runs."""

import sys

from tests.jupyterhub_suite import bench, plan, sandbox
from tests.jupyterhub_suite.bench import Proxy
from tests.jupyterhub_suite.suite import Suite

if __name__ == "__main__":
    wanted = plan.parse()
    sandbox.adopt_orphans()
    sys.exit(Suite(wanted, bench.prepare(Proxy.CHP in wanted.proxies)).run())
