"""Settings: flags beat the environment (`HUBGATE_…`), which beats routes.yaml."""

from proxy.settings.load import load
from proxy.settings.values import Settings

__all__ = ["Settings", "load"]
