"""Settings: flags beat the environment (`HUBGATE_…`), which beats routes.yaml.

`hubgate.settings.load` reads them; it is not imported here, because it takes a while and the
drop-in command does without.
"""

import time

from hubgate.settings.values import Settings

__all__ = ["READ_SINCE", "Settings"]

# Nothing was read before (epoch seconds): a file that changes from here on may have been read
# in its older version.
READ_SINCE = time.time()
