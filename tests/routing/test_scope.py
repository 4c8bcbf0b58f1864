"""Which keys a token is for, and how its client writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.errors import OutOfScopeError, RouteError
from hubgate.routing.keys import clean_key
from hubgate.routing.scope import EVERYTHING, Scope

HOST = Scope("hub.example.org")
BELOW = Scope("hub.example.org", "/jh")
PATH = Scope("", "/hub-b")
NO_HOST = Scope("", "/")
SUBDOMAINS = Scope("hub.example.org", host_routing=True)
SUBDOMAINS_BELOW = Scope("hub.example.org", "/jh", host_routing=True)


@pytest.mark.parametrize(
    ("scope", "posted", "stored"),
    [
        (EVERYTHING, "/", "/"),
        (EVERYTHING, "other.example.org/a", "other.example.org/a"),
        # A hub with a host of its own posts paths.
        (HOST, "/", ".hub.example.org/"),
        (HOST, "/user/alice", ".hub.example.org/user/alice"),
        (HOST, "hub.example.org/user/alice", "hub.example.org/user/alice"),
        (HOST, "x.hub.example.org/", "x.hub.example.org/"),
        (BELOW, "/jh", ".hub.example.org/jh"),
        (BELOW, "/jh/user/alice", ".hub.example.org/jh/user/alice"),
        (Scope("[::1]"), "/user/alice", "[::1]/user/alice"),
        # A hub with a base_url posts paths below it.
        (PATH, "/hub-b", "/hub-b"),
        (PATH, "/hub-b/user/alice", "/hub-b/user/alice"),
        (NO_HOST, "/", "/"),
        # A hub with subdomains posts hosts as CHP wants them, and / for all.
        (SUBDOMAINS, "/", ".hub.example.org/"),
        (SUBDOMAINS, "/hub.example.org", "hub.example.org/"),
        (SUBDOMAINS, "/al.hub.example.org/user/al", "al.hub.example.org/user/al"),
        (
            SUBDOMAINS,
            "/hubgate--service.hub.example.org/services/x",
            "hubgate--service.hub.example.org/services/x",
        ),
        (SUBDOMAINS_BELOW, "/", ".hub.example.org/jh"),
        (SUBDOMAINS_BELOW, "/al.hub.example.org/jh/user/al", "al.hub.example.org/jh/user/al"),
    ],
)
def test_keys_are_stored_in_the_scope_and_shown_as_they_were_posted(
    scope: Scope, posted: str, stored: str
) -> None:
    assert scope.inward(posted) == stored
    assert clean_key(stored) == stored
    assert scope.sees(stored)
    assert scope.outward(stored) == posted


def test_a_host_routed_key_may_name_its_host_as_a_host_too() -> None:
    assert SUBDOMAINS.inward("al.hub.example.org/user") == "al.hub.example.org/user"


@pytest.mark.parametrize(
    ("scope", "posted"),
    [
        (HOST, "example.org/"),
        (HOST, "other.example.org/"),
        (HOST, "xhub.example.org/"),
        (HOST, ".example.org/"),
        (BELOW, "/"),
        (BELOW, "/jhx"),
        (BELOW, "x.hub.example.org/"),
        (PATH, "/"),
        (PATH, "/hub"),
        (PATH, "/hub-bx"),
        (PATH, "hub.example.org/hub-b"),
        (PATH, ".hub.example.org/hub-b"),
        (NO_HOST, "hub.example.org/"),
        (SUBDOMAINS, "/user/alice"),
        (SUBDOMAINS, "/other.example.org/user/alice"),
        (SUBDOMAINS_BELOW, "/al.hub.example.org/user/al"),
    ],
)
def test_what_is_outside_is_refused_with_the_scope(scope: Scope, posted: str) -> None:
    with pytest.raises(OutOfScopeError) as raised:
        scope.inward(posted)
    text = f"route {posted} is outside this token's scope, which is {scope}"
    assert (raised.value.status, str(raised.value)) == (403, text)


def test_a_segment_that_is_no_host_is_refused_as_one() -> None:
    with pytest.raises(RouteError, match="bad host"):
        SUBDOMAINS.inward("/a b/x")


@pytest.mark.parametrize("key", ["/", "/user/alice", "other.example.org/", ".example.org/"])
@pytest.mark.parametrize("scope", [HOST, PATH, SUBDOMAINS])
def test_nobody_sees_what_is_anothers(scope: Scope, key: str) -> None:
    assert not scope.sees(key)
    assert EVERYTHING.sees(key)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (HOST, HOST, True),
        (HOST, Scope("a.hub.example.org"), True),
        (HOST, SUBDOMAINS, True),
        (HOST, BELOW, True),
        (HOST, Scope("hub2.example.org"), False),
        (HOST, Scope("xhub.example.org"), False),
        (BELOW, Scope("a.hub.example.org", "/other"), False),
        (BELOW, Scope("a.hub.example.org", "/jh/x"), True),
        (PATH, Scope("", "/hub-b/x"), True),
        (PATH, Scope("", "/hub-bx"), False),
        (PATH, NO_HOST, True),
        (HOST, NO_HOST, False),
        (HOST, PATH, False),
        (EVERYTHING, HOST, False),
        (EVERYTHING, EVERYTHING, False),
    ],
)
def test_whether_a_key_can_be_in_both(one: Scope, other: Scope, overlap: bool) -> None:
    assert one.overlaps(other) is other.overlaps(one) is overlap


labels = st.sampled_from(["a", "hub", "jh", "hub-b", "example", "org"])
hosts = st.one_of(
    st.just(""),
    st.lists(labels, min_size=1, max_size=4).map(".".join),
    st.lists(labels, min_size=1, max_size=4).map(lambda parts: "." + ".".join(parts)),
)
paths = st.lists(labels, max_size=3).map(lambda parts: "/" + "/".join(parts))
keys = st.builds(str.__add__, hosts, paths)
scopes = st.builds(
    Scope, st.sampled_from([None, "", "hub.example.org", "a.hub"]), paths, st.just(False)
) | st.builds(Scope, st.sampled_from(["hub.example.org", "org"]), paths, st.just(True))


@given(scopes, keys)
def test_whatever_a_token_sees_it_can_name(scope: Scope, key: str) -> None:
    if scope.sees(key):
        assert scope.inward(scope.outward(key)) == key


@given(scopes, scopes, keys)
def test_scopes_that_do_not_overlap_share_no_key(one: Scope, other: Scope, key: str) -> None:
    if one.is_everything or other.is_everything or one.overlaps(other):
        return
    assert not (one.sees(key) and other.sees(key))
