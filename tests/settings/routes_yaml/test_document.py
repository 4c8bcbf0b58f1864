"""YAML with line numbers, and what of YAML is refused."""

from pathlib import Path

import pytest

from hubgate.errors import ConfigError
from hubgate.settings.routes_yaml.document import parse_document, read_document
from hubgate.settings.setting import dotted


def test_values_come_with_the_line_they_stand_on() -> None:
    document = parse_document("listen:\n  port: 1\nroutes: {/: a,\n  /b: c}\nl: [x,\n y]\n", "f")
    assert document.data == {
        "listen": {"port": 1},
        "routes": {"/": "a", "/b": "c"},
        "l": ["x", "y"],
    }
    assert document.lines["listen",] == 1
    assert document.lines["listen", "port"] == 2
    assert document.lines["routes", "/b"] == 4
    assert document.lines["l", 1] == 6


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_nothing_is_no_settings(text: str) -> None:
    assert parse_document(text, "f").data == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("- a\n", "f: contains no settings; write keys such as listen: and routes:"),
        ("just text", "f: contains no settings; write keys such as listen: and routes:"),
        (
            "a: 1\n\tb: 2\n",
            "f, line 2: there is a tab here; indent with spaces",
        ),
        ("a: [1\n", "f, line 2: the file ends before ']'; close the bracket"),
        ("a: 1\nb: \x01\n", "f, line 2: there is a control character, '\\x01'; remove it"),
        ("access_log: -\n", "f, line 1: a list cannot begin here; put a - in quotes"),
        (
            "a: b: c\n",
            "f, line 1: a colon does not belong here; put a value that contains one in quotes",
        ),
        *(
            (text, f'f, line {line}: a value ends with a colon; put it in quotes: "memory:"')
            for line, text in (
                (1, "store: memory:"),
                (2, "a: 1\nstore:  memory:  # gone\nb: 2\n"),
                (1, "{store: memory:, a: 1}"),
                (1, "{store: memory:}\n"),
            )
        ),
        ("a: @b\n", "f, line 1: a value cannot begin with '@'; put it in quotes"),
        (
            "a: 1\n  b: 2\n c: 3",
            "f, line 2: a colon does not belong here; put a value that contains one in quotes",
        ),
        ("a: {b: 1 c: 2}\n", "f, line 1: a comma or '}' is missing before this"),
        (
            "a:\n  b: 1\n c: 2\n",
            "f, line 3: this line does not fit the ones before it; indent them alike",
        ),
        (
            "a: 1\nb\nc: 1\n",
            "f, line 3: there is no colon after a key before this; write key: value",
        ),
        ("a: 'b\n", "f, line 2: the file ends within quotes; close them"),
        ("a: !b c\n", "f, line 1: there is a tag (!); put a value with a ! in quotes"),
        ('a: "\\d"\n', "f, line 1: there is a backslash in double quotes; use single ones"),
        ("a: 1\n---\nb: 2\n", "f, line 2: a second document begins here; keep one, without ---"),
        ("? [1]\n: 2\n", "f, line 1: has a list or a mapping for a key; write text"),
        ("a: *nowhere\n", "f, line 1: nothing is called &nowhere; put a value with a * in quotes"),
        ("a:\n ? {b: 1}\n : 2\n", "f, line 2: a: has a list or a mapping for a key; write text"),
        ("? &a [*a]\n: 1\n", "f, line 1: has a list or a mapping for a key; write text"),
        ('a: "\\U00110000"\n', "f, line 1: contains a number that YAML does not have"),
        (f"%YAML 1.{'9' * 5000}\n---\n", "f, line 1: contains a number that YAML does not have"),
    ],
)
def test_what_is_not_taken_is_explained(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_document(text, "f")
    assert str(raised.value) == line


def test_every_duplicate_is_named() -> None:
    document = parse_document("a: 1\nb: 2\na: 3\nroutes: {/a: x,\n  /a: y, /a: z}\n", "f")
    assert document.mistakes == (
        "f, line 3: a: appears twice, first on line 1; keep one",
        "f, line 5: routes./a: appears twice, first on line 4; keep one",
        "f, line 5: routes./a: appears twice, first on line 4; keep one",
    )


def test_python_objects_are_not_built() -> None:
    with pytest.raises(ConfigError, match="there is a tag"):
        parse_document("a: !!python/object/apply:os.system ['true']\n", "f")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('a: "\\ud800"', "a: \\ud800"),
        ('routes: {"/\\udfff": b}', r"routes: \udfff"),
        (
            'a: [b, "c\\ud83d\\ude00"]',
            r"a[1]: \ud83d",
        ),  # as JSON writes it, PyYAML does not join them
    ],
)
def test_half_a_character_is_refused_wherever_it_is(text: str, place: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_document(text, "f")
    reason = "is half of a character; write the character itself"
    assert str(raised.value) == f"f, line 1: {place} {reason}"


@pytest.mark.parametrize("level", ["[{}]", "{{{}}}"])
def test_keys_that_multiply_are_refused_at_once(level: str) -> None:
    text = "? &l0 x\n: 1\n"
    for number in range(1, 40):
        inside = [f"k{n}: *l{number - 1}" for n in range(9)]
        text += f"? &l{number} {level.format(', '.join(inside))}\n: 1\n"
    with pytest.raises(ConfigError, match=r"^f, line 3: has a list or a mapping for a key"):
        parse_document(text, "f")


@pytest.mark.parametrize("level", ["[{0}]", "{{{{{1}}}}}", "{{{{<<: [{0}]}}}}"])
def test_aliases_that_multiply_are_refused_at_once(level: str) -> None:
    def written(above: int) -> str:
        inside = [f"*l{above}"] * 9
        return level.format(
            ", ".join(inside), ", ".join(f"k{n}: {x}" for n, x in enumerate(inside))
        )

    levels = "\n".join(f"l{n}: &l{n} {written(n - 1)}" for n in range(1, 40)).replace("{{", "{")
    text = f"l0: &l0 {{x: 1}}\n{levels}\n".replace("}}", "}")
    with pytest.raises(
        ConfigError, match=r"^f, line \d+: l\d.*: is far too large with its aliases"
    ):
        parse_document(text, "f")


def test_aliases_that_people_use_stay() -> None:
    text = "a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n"
    assert parse_document(text, "f").data == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}
    many = "a: &a {x: 1}\n" + "".join(f"b{n}: *a\n" for n in range(20_000))
    assert len(parse_document(many, "f").data) == 20_001


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: {c: *a}}\n"])
def test_a_value_that_contains_itself_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^f, line 1: a\S+: contains itself, by an alias"):
        parse_document(text, "f")


def test_deep_nesting_is_a_mistake_and_no_crash() -> None:
    with pytest.raises(ConfigError, match="f: is nested too deeply"):
        parse_document("[" * 50000, "f")


def test_unreadable_files_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: no such file; create it or give another"):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        read_document(tmp_path)
    (tmp_path / "latin").write_bytes(b"a: \xe9\n")
    with pytest.raises(ConfigError, match="is not UTF-8 text; save it as UTF-8"):
        read_document(tmp_path / "latin")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfworkers: 2\n")
    assert read_document(tmp_path / "f.yaml").data == {"workers": 2}


def test_places_read_as_they_are_written() -> None:
    assert dotted(("routes", "/user/alice", "target")) == "routes./user/alice.target"
    assert dotted(("listen", "host", 1)) == "listen.host[1]"


def test_every_key_that_is_not_text_is_named() -> None:
    text = "8000: 1\nlisten:\n  true: 2\n  port: 3\nroutes: {/a: {1.5: b, headers: {7: c}}}\n~: 4\n"
    document = parse_document(text, "f")
    assert document.mistakes == (
        "f, line 1: 8000: 8000 is not text; put the key in quotes",
        "f, line 3: listen.true: true is not text; put the key in quotes",
        "f, line 5: routes./a.1.5: 1.5 is not text; put the key in quotes",
        "f, line 6: ~: ~ is not text; put the key in quotes",
    )
    assert document.data == {"listen": {"port": 3}, "routes": {"/a": {"headers": {7: "c"}}}}
