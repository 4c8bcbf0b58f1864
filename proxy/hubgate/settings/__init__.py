"""Settings: flags beat the environment (`HUBGATE_…`), which beats routes.yaml.

`hubgate.settings.load` reads them; it is not imported here, because it takes a while and the
drop-in command does without.
"""

from hubgate.settings.values import Settings

__all__ = ["Settings"]
