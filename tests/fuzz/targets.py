"""What is fuzzed: each function takes any bytes and fails when a promise is broken."""

from tests.fuzz.frames import frames
from tests.fuzz.requests import forwarding, request
from tests.fuzz.responses import response, reuse
from tests.fuzz.texts import paths, posted, settings

TARGETS = {
    "request": request,
    "forwarding": forwarding,
    "response": response,
    "reuse": reuse,
    "paths": paths,
    "posted": posted,
    "frames": frames,
    "settings": settings,
}
