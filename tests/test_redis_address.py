"""Redis addresses are shown in one way, without what is secret."""

import pytest

from hubgate.redis_address import parse_redis, shown_store

SHOWN = [
    ("redis://h", "redis://h:6379/0?prefix=hubgate"),
    ("rediss://:hunter2@[::1]:7/3?prefix=hub", "rediss://[::1]:7/3?prefix=hub"),
    ("redis+unix:///run/redis.sock?db=2", "redis+unix:///run/redis.sock?db=2&prefix=hubgate"),
    (
        "redis+sentinel://me:hunter2@a,b:7/main",
        "redis+sentinel://a:26379,b:7/main/0?prefix=hubgate",
    ),
]


@pytest.mark.parametrize(("address", "shown"), SHOWN)
def test_an_address_is_shown_whole_and_without_a_password(address: str, shown: str) -> None:
    assert shown_store(address) == str(parse_redis(address)) == shown
    assert str(parse_redis(shown)) == shown


@pytest.mark.parametrize("store", ["memory:", "sqlite:/var/lib/me@home/routes.db"])
def test_other_stores_are_shown_as_they_are(store: str) -> None:
    assert shown_store(store) == store
