"""Paths that different servers read differently.

The rule: the route that is matched and the path that is forwarded agree on whose prefix the path
is in, whichever way its target reads it: literally (as tornado does, so every Jupyter server),
with dot segments resolved, percent-decoded, with backslashes as slashes. A path whose dots lead
out of a prefix goes with its dots resolved, and matched so, or not at all; one that only leads out
of it for a reader who decodes slashes first is refused.
"""

from tests.hostile.building import get
from tests.hostile.entry import Door, Entry, Outcome, Seen, passed, refused


def line(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1"


def at(target: str, path: bytes) -> Outcome:
    """Forwarded to `target` as `path`."""
    return passed(Seen(line(path), at=target))


# Readings disagree, and no rewriting says what was meant.
DOUBTFUL = {
    "encoded slash behind dots": b"/user/alice/..%2fbob/x",
    "encoded slash before dots": b"/user/alice%2f../bob/x",
    "encoded slashes around dots": b"/user/alice%2f..%2fbob/x",
    "capital encoded slashes around dots": b"/user/alice%2F..%2Fbob/x",
    "everything encoded": b"/user/alice%2f%2e%2e%2fbob/x",
    "encoded backslash behind dots": b"/user/alice/..%5cbob/x",
    "encoded backslashes around dots": b"/user/alice%5c..%5cbob/x",
    "encoded slash climbs out deep": b"/user/alice/a/b/..%2f..%2f..%2fbob/x",
    "encoded slash climbs to the root": b"/user/alice/..%2f..%2f..%2f..%2f",
}
# Dot segments that a browser would have resolved: refused, or resolved before forwarding.
DOTTED = {
    "to the other user": (b"/user/alice/../bob/x", "bob", b"/user/bob/x"),
    "to the other user, encoded": (b"/user/alice/%2e%2e/bob/x", "bob", b"/user/bob/x"),
    "to the other user, capitals": (b"/user/alice/%2E%2E/bob/x", "bob", b"/user/bob/x"),
    "to the other user, half encoded": (b"/user/alice/.%2e/bob/x", "bob", b"/user/bob/x"),
    "to the other user, other half": (b"/user/alice/%2e./bob/x", "bob", b"/user/bob/x"),
    "to the other user, from below": (b"/user/alice/a/../../bob/x", "bob", b"/user/bob/x"),
    "to the other user, with a dot": (b"/user/alice/./../bob/x", "bob", b"/user/bob/x"),
    "out of everything": (b"/user/alice/../../hub/x", "hub", b"/hub/x"),
    "over the root": (b"/../../user/alice/x", "alice", b"/user/alice/x"),
    "over the root, encoded": (b"/%2e%2e/user/alice/x", "alice", b"/user/alice/x"),
    "from the hub to a user": (b"/hub/../user/alice/x", "alice", b"/user/alice/x"),
    "a dot before the user": (b"/user/./alice/x", "alice", b"/user/alice/x"),
    "an encoded dot before the user": (b"/user/%2e/alice/x", "alice", b"/user/alice/x"),
    "to the user's own parent": (b"/user/alice/..", "hub", b"/user/"),
    "to the user's own parent, slash": (b"/user/alice/../", "hub", b"/user/"),
    "backslash behind dots": (b"/user/alice/..\\bob/x", "bob", b"/user/bob/x"),
    "backslashes around dots": (b"/user/alice\\..\\bob/x", "bob", b"/user/bob/x"),
    "backslash before the name": (b"/user\\alice/x", "alice", b"/user/alice/x"),
    "semicolon alone": (b"/user/alice/;/../x", "alice", b"/user/alice/x"),
    "question mark encoded, dots": (b"/user/alice%3f/../x", "hub", b"/user/x"),
    "away and back": (b"/user/alice/../alice/x", "alice", b"/user/alice/x"),
}
# All readings stay in one prefix: raw, as CHP forwards them; resolved would do as well.
INSIDE = {
    "dots that stay inside": (b"/user/alice/a/../b", "alice", b"/user/alice/b"),
    "a dot inside": (b"/user/alice/./b", "alice", b"/user/alice/b"),
    "encoded dots that stay inside": (b"/user/alice/a/%2e%2e/b", "alice", b"/user/alice/b"),
    "dots in the hub": (b"/hub/a/../b", "hub", b"/hub/b"),
}
# Nothing here climbs anywhere: forwarded byte for byte, to exactly this target.
RAW = {
    "encoded slash inside": (b"/user/alice/a%2fb", "alice"),
    "encoded backslash inside": (b"/user/alice/a%5cb", "alice"),
    "three dots": (b"/user/alice/.../bob", "alice"),
    "dots in a name": (b"/user/alice/..bob/bob..", "alice"),
    "hidden file": (b"/user/alice/.bashrc", "alice"),
    "semicolon behind the name": (b"/user/alice;x=1/y", "hub"),
    "semicolon behind dots": (b"/user/alice/..;/bob/x", "alice"),
    "doubly encoded dots": (b"/user/alice/%252e%252e/bob", "alice"),
    "doubly encoded slash": (b"/user/alice%252fx", "hub"),
    "doubly encoded slash and dots": (b"/user/alice/..%252fbob", "alice"),
    "double slash inside": (b"/user/alice//x", "alice"),
    "double slash at the end": (b"/user/alice//", "alice"),
    "encoded percent": (b"/user/alice/100%25", "alice"),
    "encoded letter of the name": (b"/user/%61lice/x", "alice"),
    "other capitals": (b"/User/Alice/x", "hub"),
    "one letter more": (b"/user/alicex", "hub"),
    "one letter less": (b"/user/alic/x", "hub"),
    "encoded blank behind the name": (b"/user/alice%20/x", "hub"),
    "plus sign": (b"/user/alice+/x", "hub"),
    "prefix in the query": (b"/a?/user/alice/../bob", "hub"),
    "dots in the query": (b"/user/alice/x?y=/../../bob", "alice"),
    "backslash in the query": (b"/user/alice/x?y=\\..\\bob", "alice"),
    "question mark encoded": (b"/user/alice%3f/x", "hub"),
    "question mark encoded, inside": (b"/user/alice/a%3fb", "alice"),
    "second question mark": (b"/user/alice?x?/user/bob", "alice"),
    "a URL in the path": (b"/user/alice/http://evil/", "alice"),
    "encoded line ends": (b"/user/alice/a%0d%0aX:%20y", "alice"),
    "encoded request": (b"/user/alice/%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0aGET%20/smug", "alice"),
    "encoded space and version": (b"/user/alice/x%20HTTP/1.1", "alice"),
}
# Not even UTF-8, or not even percent: forwarded byte for byte to the one target that the
# literal reading says, or refused.
MALFORMED = {
    "percent alone": (b"/user/alice/%", "alice"),
    "percent and one digit": (b"/user/alice/%4", "alice"),
    "percent and no digits": (b"/user/alice/%zz", "alice"),
    "percent in the name": (b"/user/alice%/x", "hub"),
    "percent u": (b"/user/alice/%u002e%u002e/bob", "alice"),
    "bad UTF-8": (b"/user/alice/%ff%fe", "alice"),
    "bad UTF-8 behind the name": (b"/user/alice%ff/x", "hub"),
    "overlong slash": (b"/user/alice/..%c0%afbob/x", "alice"),
    "overlong slash before dots": (b"/user/alice%c0%af../bob", "hub"),
    "overlong dots": (b"/user/alice/%c0%ae%c0%ae/bob/x", "alice"),
    "overlong dots of three bytes": (b"/user/alice/%e0%80%ae%e0%80%ae/bob", "alice"),
    "full-width dots": (b"/user/alice/%ef%bc%8e%ef%bc%8e/bob", "alice"),
    "full-width slash": (b"/user/alice/..%ef%bc%8fbob", "alice"),
    "surrogates": (b"/user/alice/%ed%a0%80", "alice"),
    "encoded NUL inside": (b"/user/alice/a%00b", "alice"),
    "encoded NUL behind the name": (b"/user/alice%00/x", "hub"),
    "encoded line end behind the name": (b"/user/alice%0a/x", "hub"),
    "encoded tab in dots": (b"/user/alice/.%09./bob", "alice"),
    "high byte": (b"/user/alice/\xe9", "alice"),
    "UTF-8 unencoded": ("/user/alice/é".encode(), "alice"),
    "encoded slash and dots that stay inside": (b"/user/alice/a%2f..%2fb", "alice"),
}
# No request has a fragment: it is cut off, or the request is refused.
FRAGMENTS = {
    "fragment": (b"/user/alice/x#y", "alice"),
    "fragment behind the name": (b"/user/alice#/../bob", "alice"),
    "fragment with dots": (b"/user/bob/x#/../../alice/x", "bob"),
    "fragment before the query": (b"/user/alice#?x", "alice"),
    "fragment in the query": (b"/user/alice/x?y#z", "alice"),
}
# Characters that a URL should not have: as they came, or encoded.
UNUSUAL = {
    "curly and pipe": (b"/user/alice/{a}|b", b"/user/alice/%7Ba%7D|b"),
    "quotes and angle brackets": (b"/user/alice/\"<b>'", b"/user/alice/%22%3Cb%3E'"),
}
# Slashes that some servers merge. The hub is above all users, so it may see them; a user's
# server may see them only if they lead to that user either way.
SLASHES = {
    "two in front": (b"//user/alice/x", ("hub", "alice")),
    "three in front": (b"///user/alice/x", ("hub", "alice")),
    "two in the middle": (b"/user//alice/x", ("hub",)),
    "a host in front": (b"//evil/user/alice/x", ("hub",)),
    "two in front of nothing": (b"//", ("hub",)),
    "encoded in the prefix": (b"/user%2falice/x", ("hub", "alice")),
    "encoded in front": (b"/%2fuser/alice/x", ("hub", "alice")),
    "encoded backslash before the name": (b"/user%5calice/x", ("hub",)),
    "dots behind an encoded slash, to a user": (b"/a%2f../user/alice/x", ("hub",)),
}
STRIPPED = {
    "inside": (b"/docs/x", (at("docs", b"/x"),)),
    "double slash inside": (b"/docs//x", (at("docs", b"//x"), refused(400))),
    "double slash in front": (b"//docs/x", (at("docs", b"/x"), at("hub", b"//docs/x"))),
    "encoded letter": (b"/d%6fcs/x", (at("docs", b"/x"),)),
    "encoded slash at the prefix's end": (b"/docs%2fx/y", (at("docs", b"/x/y"),)),
    "encoded slash, a host": (b"/docs%2f%2fevil/x", (at("docs", b"/%2fevil/x"),)),
    "dots that stay inside": (b"/docs/a/../x", (at("docs", b"/a/../x"), at("docs", b"/x"))),
    "dots into the prefix": (b"/a/../docs/x", (at("docs", b"/x"),)),
    "dots into the prefix, encoded": (b"/a/%2e%2e/docs/x", (at("docs", b"/x"),)),
    "a dot before the prefix": (b"/./docs/x", (at("docs", b"/x"),)),
    "out and back": (b"/docs/../docs/x", (at("docs", b"/x"),)),
    "out": (b"/docs/../x", (at("hub", b"/x"),)),
    "over the target's root": (b"/docs/a/../../docs/x", (at("docs", b"/x"),)),
    "out by an encoded slash": (b"/docs/..%2fx", ()),
    "out by an encoded backslash": (b"/docs/..%5cx", ()),
    "out by a backslash": (b"/docs/..\\x", (at("hub", b"/x"),)),
    "in by a backslash": (b"/a\\..\\docs/x", (at("docs", b"/x"),)),
    "backslash at the prefix's end": (b"/docs\\x", (at("docs", b"/x"),)),
}

ENTRIES = [
    *(Entry(name, (get(path),), (refused(400),)) for name, path in DOUBTFUL.items()),
    *(
        Entry(name, (get(path),), (refused(400), at(target, resolved)))
        for name, (path, target, resolved) in DOTTED.items()
    ),
    *(
        Entry(name, (get(path),), (at(target, path), at(target, resolved)))
        for name, (path, target, resolved) in INSIDE.items()
    ),
    *(Entry(name, (get(path),), (at(target, path),)) for name, (path, target) in RAW.items()),
    *(
        Entry(name, (get(path),), (at(target, path), refused(400)))
        for name, (path, target) in MALFORMED.items()
    ),
    *(
        Entry(name, (get(path),), (refused(400), at(target, path.partition(b"#")[0])))
        for name, (path, target) in FRAGMENTS.items()
    ),
    *(
        Entry(name, (get(path),), (at("alice", path), at("alice", encoded)))
        for name, (path, encoded) in UNUSUAL.items()
    ),
    *(
        Entry(f"slashes: {name}", (get(path),), (refused(400), *(at(each, path) for each in ats)))
        for name, (path, ats) in SLASHES.items()
    ),
    *(
        Entry(f"stripped: {name}", (get(path),), (refused(400), *outcomes), Door.NATIVE)
        for name, (path, outcomes) in STRIPPED.items()
    ),
    Entry(
        "absolute, dots to the other user",
        (get(b"http://hub/user/alice/../bob/x"),),
        (refused(400), at("bob", b"/user/bob/x")),
    ),
    Entry(
        "absolute, encoded slashes around dots",
        (get(b"http://hub/user/alice%2f..%2fbob/x"),),
        (refused(400),),
    ),
    Entry(
        "a thousand dot segments",
        (get(b"/user/alice/" + b"a/" * 1000 + b"../" * 1000 + b"x"),),
        (
            refused(400),
            at("alice", b"/user/alice/" + b"a/" * 1000 + b"../" * 1000 + b"x"),
            at("alice", b"/user/alice/x"),
        ),
    ),
    Entry(
        "a thousand and one dot segments up",
        (get(b"/user/alice/" + b"a/" * 1000 + b"../" * 1001 + b"bob/x"),),
        (refused(400), at("bob", b"/user/bob/x")),
    ),
]
