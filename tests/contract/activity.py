"""Telling whether a route had activity, without guessing how long its record may take."""

import datetime
import time

from tests.contract.better import REFERENCE
from tests.contract.harness import RunningProxy
from tests.contract.polling import eventually
from tests.contract.target import Target


def last(proxy: RunningProxy, route: str) -> str:
    return str(proxy.routes()[route]["last_activity"])


def settled(proxy: RunningProxy, route: str) -> str:
    """Return the route's activity once the clock shows a later time than that."""
    written = last(proxy, route)
    moment = datetime.datetime.fromisoformat(written).timestamp()
    while time.time() < moment + 0.002:
        time.sleep(0.001)
    return written


class Witness:
    """Tells whether /x had activity, by a later one of another route that surely had."""

    def __init__(self, proxy: RunningProxy, target: Target, good: Target) -> None:
        self.proxy = proxy
        proxy.add("/x", target.url)
        proxy.add("/good", good.url)
        self.before = settled(proxy, "/x")

    def moved(self) -> bool:
        return eventually(lambda: last(self.proxy, "/x") > self.before, 3 if REFERENCE else 15)

    def stayed(self) -> bool:
        before = settled(self.proxy, "/good")
        assert self.proxy.get("/good").status == 200
        assert eventually(lambda: last(self.proxy, "/good") > before)
        return last(self.proxy, "/x") == self.before
