"""Where strangers and honest clients go: the ports of a proxy, and the paths behind its routes."""

import enum


class Port(enum.Enum):
    """A port that a proxy may have."""

    PUBLIC = "public"
    REDIRECT = "redirect"
    API = "API"
    METRICS = "metrics"


# Routes: to the bystander's target, to the attackers' own, to one where nothing listens, and to
# one that counts what it is sent. Any other path has no route.
HONEST, EVIL, DOWN, COUNTED = "/honest", "/evil", "/down", "/counted"
HEALTH = "/_chp_healthz"
