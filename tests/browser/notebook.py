"""The notebook the tests work with: ipywidgets' interact on a text box."""

import json
from collections.abc import Sequence
from typing import Any

NAME = "hello.ipynb"
GREETING = "Hello World "

CODE = f"""\
from ipywidgets import interact

@interact(text={GREETING!r})
def greet(text):
    return text
"""


def document(cells: Sequence[str] = (CODE,)) -> str:
    """Return a notebook with these cells as the contents API takes it."""
    written = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": code,
            "outputs": [],
            "execution_count": None,
        }
        for number, code in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content: dict[str, Any] = {
        "cells": written,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps({"type": "notebook", "format": "json", "content": content})
