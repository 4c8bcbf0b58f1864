"""What an older release hands over when it has nothing."""

from hubgate.control.handover import HandedRoutes, Handover


def nothing(release: str) -> Handover:
    return Handover(
        release=release,
        generation=1,
        link_version=1,
        revision=0,
        listeners=(),
        workers=(),
        routes=HandedRoutes(),
        counters={},
    )
