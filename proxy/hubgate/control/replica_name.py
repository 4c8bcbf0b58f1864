"""The name of this hubgate among those that share its store."""

import dataclasses
import os
import socket

from hubgate.model import ReplicaOptions
from hubgate.settings import Settings

_USUAL = ("", "0.0.0.0", "::", "localhost", "127.0.0.1", "::1")


def named_replica(settings: Settings) -> ReplicaOptions:
    """Return the settings of replicas with a name: by default that of the machine and its API.

    It is the same after a restart, so that the successor takes over from its predecessor. An
    address of the API that is not the machine's usual one is part of it: another hubgate there may
    have the same port.
    """
    if settings.replicas.name:
        return settings.replicas
    api = settings.api[0]
    place = str(api.port) if api.path is None else os.path.abspath(api.path)
    if api.path is None and api.host not in _USUAL:
        place = str(api)
    return dataclasses.replace(settings.replicas, name=f"{socket.gethostname()}:{place}")
