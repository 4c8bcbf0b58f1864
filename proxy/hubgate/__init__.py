"""hubgate: the front proxy of a notebook hub."""

__version__ = "0.2.0"
