"""The example file in the root of the repository: it works and names all there is."""

from pathlib import Path

from hubgate.settings.load import load
from hubgate.settings.routes_yaml.document import parse_document
from hubgate.settings.routes_yaml.schema import File, Section

EXAMPLE = Path(__file__).parents[3] / "routes.yaml"


def test_the_example_works() -> None:
    settings = load(EXAMPLE, {}, {})
    assert [route.key for route in settings.file_routes] == ["/"]


def test_the_example_names_every_key() -> None:
    text = EXAMPLE.read_text()
    missing = [key for key in _keys(File) if f"{key}:" not in text]
    assert missing == []


def test_what_the_example_comments_out_is_right_too() -> None:
    lines = []
    text = EXAMPLE.read_text()
    for line in text[text.index("\nlisten:") :].splitlines():
        body = line.lstrip()
        if body.startswith("# ") and ":" in body:
            line = " " * (len(line) - len(body)) + body[2:]
        # Of two ways that exclude each other, one can be tried.
        if not any(word in line for word in ("socket:", "no_ssl", "error_path")):
            lines.append(line)
    text = "\n".join(line for line in lines if ":" in line and not _is_prose(line))
    file = File.model_validate(parse_document(text, "example").data)
    assert file.listen.tls is not None
    assert len(file.routes) == 6
    assert [each.name for each in file.api.tokens] == ["hub-a", "hub-b", "admin"]


def _is_prose(line: str) -> bool:
    return line.lstrip()[:1].isupper() or "..." in line.split("#")[0]


def _keys(model: type[Section]) -> list[str]:
    keys = []
    for name, described in model.model_fields.items():
        keys.append(name)
        for kind in (described.annotation, *getattr(described.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Section):
                keys += _keys(kind)
    return keys
