"""The command lines. Whatever a shell or a daemon has closed is open before they load anything."""

from hubgate.output.standard_streams import open_closed_streams

open_closed_streams()
