"""A large JSON object, read member by member while it arrives: never held whole."""

import codecs
import re
from collections.abc import Iterator
from json import JSONDecodeError
from typing import Any

from hubgate.control.api.posted_route import DECODER
from hubgate.errors import RouteError

LONGEST_MEMBER = 1024 * 1024
"""Characters of one member: its name, its value and what is between them."""

_LONGEST_TOKEN = 16  # characters; of "-Infinity", or an escaped surrogate pair

_SPACE = re.compile(r"[ \t\n\r]*")
# Without anything that is escaped in it; the value has begun, so that it is all there.
_USUAL_NAME = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*(?=[^ \t\n\r])')


class ObjectReader:
    """Reads one JSON object from pieces of UTF-8."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._read = 0  # characters before `_text`
        self._next = "{"  # what comes next: one of these characters, or the end
        self._try_at = 0  # characters before which the member that is begun cannot be complete

    def __repr__(self) -> str:
        return f"<ObjectReader at character {self._read + self._at}>"

    def feed(self, data: bytes, final: bool = False) -> Iterator[tuple[str, Any]]:
        """Take a piece of the object; yield its members that are complete, name and value.

        After the `final` piece there must be nothing missing. Raises RouteError for what is not
        JSON, or not an object.
        """
        try:
            self._text += self._decoder.decode(data, final)
        except UnicodeDecodeError:
            raise RouteError("the body is not valid JSON: it is not UTF-8") from None
        if final or len(self._text) >= self._try_at:
            yield from self._members(final)
        self._text, self._at, self._read = self._text[self._at :], 0, self._read + self._at
        if final and self._next:
            raise self._wrong("it ends too early")

    def _members(self, final: bool) -> Iterator[tuple[str, Any]]:
        while self._space_before_more():
            found = self._text[self._at]
            if found not in self._next:
                wanted = " or ".join(self._next) or "nothing more"
                raise self._wrong(f"{found!r} instead of {wanted}")
            if found != '"':
                self._at += 1
                self._next = {"{": '"}', ",": '"', "}": ""}[found]
                continue
            try:
                name, value, end = self._member()
            except (ValueError, IndexError, RecursionError) as error:
                if not final and len(self._text) - self._at <= LONGEST_MEMBER:
                    # Perhaps the rest is still to come. Tried again only once there is much more:
                    # pieces may be small.
                    self._try_at = 2 * (len(self._text) - self._at)
                    return
                raise self._wrong(self._reason(error, final)) from None
            self._at, self._next, self._try_at = end, ",}", 0
            yield name, value

    def _member(self) -> tuple[str, Any, int]:
        """Return a member that is there as a whole, and where it ends; raises what parsing does."""
        text = self._text
        if (usual := _USUAL_NAME.match(text, self._at)) is not None:
            name, at = usual[1], usual.end()
        else:
            name, at = DECODER.raw_decode(text, self._at)
            at = _past_space(text, at)
            if text[at] != ":":
                raise ValueError(f"{text[at]!r} instead of : after a name")
            at = _past_space(text, at + 1)
        value, end = DECODER.raw_decode(text, at)
        if (after := text[_past_space(text, end)]) not in ",}":  # a number may go on
            raise ValueError(f"{after!r} instead of , or }} after a value")
        if end - self._at > LONGEST_MEMBER:
            raise ValueError(_too_long(name))
        return name, value, end

    def _reason(self, error: Exception, final: bool) -> str:
        if isinstance(error, RecursionError):
            return "it nests too deeply"
        if not final and self._is_unfinished(error):
            usual = _USUAL_NAME.match(self._text, self._at)
            return _too_long("" if usual is None else usual[1])
        if isinstance(error, IndexError):
            return "it ends too early"
        return str(getattr(error, "msg", error))

    def _is_unfinished(self, error: Exception) -> bool:
        """Whether the text may be right as far as it is there."""
        if isinstance(error, IndexError):
            return True
        if not isinstance(error, JSONDecodeError):
            return False
        at_end = error.pos >= len(self._text) - _LONGEST_TOKEN
        return at_end or error.msg.startswith("Unterminated string")

    def _space_before_more(self) -> bool:
        self._at = _past_space(self._text, self._at)
        return self._at < len(self._text)

    def _wrong(self, what: str) -> RouteError:
        where = self._read + self._at
        return RouteError(f"the body is not a valid JSON object: {what}, from character {where} on")


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _too_long(name: str) -> str:
    return f"{repr(name[:200]) if name else 'a member'} has more than {LONGEST_MEMBER} characters"
