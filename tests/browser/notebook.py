"""The notebook the tests work with: ipywidgets' interact on a text box."""

import json
from typing import Any

NAME = "hello.ipynb"
GREETING = "Hello World "

CODE = f"""\
from ipywidgets import interact

@interact(text={GREETING!r})
def greet(text):
    return text
"""


def document() -> str:
    """Return the notebook as the contents API takes it."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "greet",
        "metadata": {},
        "source": CODE,
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps({"type": "notebook", "format": "json", "content": content})
