"""The name of this hubgate among those that share its store."""

import dataclasses
import os
import socket

from hubgate.model import ReplicaOptions
from hubgate.settings import Settings


def named_replica(settings: Settings) -> ReplicaOptions:
    """Return the settings of replicas with a name: by default that of host and API.

    It is the same after a restart, so that the successor takes over from its predecessor.
    """
    if settings.replicas.name:
        return settings.replicas
    api = settings.api[0]
    place = str(api.port) if api.path is None else os.path.abspath(api.path)
    return dataclasses.replace(settings.replicas, name=f"{socket.gethostname()}:{place}")
