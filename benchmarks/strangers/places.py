"""Where strangers and honest clients go: the ports of a proxy, and the paths behind its routes."""

import enum


class Port(enum.Enum):
    """A port that a proxy may have."""

    PUBLIC = "public"
    REDIRECT = "redirect"
    API = "API"
    METRICS = "metrics"


# Routes: to the bystander's target, to the attackers' own, and to one where nothing listens.
# Any other path has no route.
HONEST, EVIL, DOWN = "/honest", "/evil", "/down"
HEALTH = "/_chp_healthz"
