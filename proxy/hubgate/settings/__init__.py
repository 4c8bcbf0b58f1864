"""Settings: flags beat the environment (`HUBGATE_…`), which beats routes.yaml.

`hubgate.settings.load` reads them. It is not imported here: importing it takes a while, and the
drop-in command does not need it.
"""

from hubgate.settings.values import Settings

__all__ = ["Settings"]
