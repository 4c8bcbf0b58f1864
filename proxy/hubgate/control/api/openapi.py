"""The API's description of itself (OpenAPI 3.1)."""

import json
from importlib.resources import files

import yaml


def description() -> bytes:
    """Return the description as JSON."""
    text = files("hubgate.control.api").joinpath("openapi.yaml").read_text("utf-8")
    return json.dumps(yaml.safe_load(text)).encode()
