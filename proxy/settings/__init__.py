"""Settings: flags beat the environment (`HUBGATE_…`), which beats routes.yaml.

`proxy.settings.load` reads them; it is not imported here, because it takes a while and the
drop-in command does without.
"""

from proxy.settings.values import Settings

__all__ = ["Settings"]
