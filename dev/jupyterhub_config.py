"""A JupyterHub to try hubgate with: anyone can log in, users are folders, all state in one place.

Not for production: every user runs as the account that started the hub. `dev/run.py` starts it
and sets the ports and the state folder through the environment.
"""

import logging
import os
import sys
from pathlib import Path

from traitlets.config import get_config

c = get_config()

state = Path(os.environ["DEMO_STATE"])
port = os.environ["DEMO_PORT"]
cert = os.environ.get("DEMO_TLS_CERT", "")

# This line is all that a hub needs.
c.JupyterHub.proxy_class = "hubgate"

c.JupyterHub.bind_url = f"{'https' if cert else 'http'}://127.0.0.1:{port}"
c.JupyterHub.ssl_cert = cert
c.JupyterHub.ssl_key = os.environ.get("DEMO_TLS_KEY", "")
c.JupyterHub.hub_port = int(os.environ["DEMO_HUB_PORT"])
c.HubgateProxy.api_url = f"http://127.0.0.1:{os.environ['DEMO_API_PORT']}"

c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.Authenticator.allow_all = True

# What the hub warns of is so here, and said above: every line of a good start is information.
_EXPECTED = ("Using testing authenticator ", "Running JupyterHub without SSL.")
logging.getLogger("JupyterHub").addFilter(lambda line: not line.getMessage().startswith(_EXPECTED))

c.JupyterHub.db_url = f"sqlite:///{state / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(state / "jupyterhub_cookie_secret")
c.HubgateProxy.pid_file = str(state / "jupyterhub-proxy.pid")
c.SimpleLocalProcessSpawner.home_dir_template = str(state / "home" / "{username}")

# The interpreter, not a name on PATH: the demo works without its environment being activated.
c.Spawner.cmd = [sys.executable, "-P", "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 180
# A notebook server sometimes hangs when it is told to stop.
c.LocalProcessSpawner.interrupt_timeout = 4
c.LocalProcessSpawner.term_timeout = 3
# While a stop takes longer than this (default 10 s), the control panel offers a start.
c.JupyterHub.tornado_settings = {"slow_stop_timeout": 120}
# Servers that make no requests to the internet, and that also start as root.
c.Spawner.environment = {"JUPYTER_CONFIG_PATH": str(Path(__file__).parent / "jupyter")}
