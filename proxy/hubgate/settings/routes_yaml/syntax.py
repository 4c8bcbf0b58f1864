"""What PyYAML says of a text that is not YAML, in words for whoever wrote it."""

import re

import yaml
from yaml.reader import ReaderError

# By what PyYAML's message begins with, or contains.
_WORDS: tuple[tuple[str, str], ...] = (
    (r"sequence entries are not allowed", "a list cannot begin here; put a - in quotes"),
    (r"but found another document", "a second document begins here; keep one, without ---"),
    (r"found character '\\t'", "there is a tab here; indent with spaces"),
    (r"found character ('.')", r"a value cannot begin with \1; put it in quotes"),
    (
        r"mapping values are not allowed",
        "a colon does not belong here; put a value that contains one in quotes",
    ),
    (r"expected <block end>", "this line does not fit the ones before it; indent them alike"),
    (
        r"expected ',' or ('.'), but got '<stream end>'",
        r"the file ends before \1; close the bracket",
    ),
    (r"expected ',' or ('.')", r"a comma or \1 is missing before this"),
    (r"could not find expected ':'", "there is no colon after a key before this; write key: value"),
    (r"found undefined alias '(.*)'", r"nothing is called &\1; put a value with a * in quotes"),
    (r"found (?:unhashable|unacceptable) key", "a list or a mapping cannot be a key; write text"),
    (r"found unexpected end of stream", "the file ends within quotes; close them"),
    (r"could not determine a constructor", "there is a tag (!); put a value with a ! in quotes"),
    (r"found unknown escape character", "there is a backslash in double quotes; use single ones"),
)

# The one value of ours that ends with a colon, as YAML's keys do: it needs quotes.
_MEMORY = re.compile(r"[\s{,]memory\Z")


def syntax_mistake(error: yaml.YAMLError, text: str) -> tuple[int | None, str]:
    """Return the line, counted from 1, that keeps `text` from being read, and what is wrong."""
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return line, f"there is a control character, {chr(error.character)!r}; remove it"
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "is not YAML"
    if mark and text[mark.index :][:1] == ":" and _MEMORY.search(text, 0, mark.index):
        return mark.line + 1, 'a value ends with a colon; put it in quotes: "memory:"'
    for pattern, words in _WORDS:
        if found := re.search(pattern, problem):
            problem = found.expand(words)
            break
    return mark.line + 1 if mark else None, problem
