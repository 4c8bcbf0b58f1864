"""The pages of errors from --error-path DIR: DIR/CODE.html, else DIR/error.html."""

from pathlib import Path

import pytest

from tests.contract.conftest import StartProxy

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "404.html").write_text("<p>mine: ë</p>", encoding="utf-8")
    (folder / "error.html").write_text("<p>any</p>")
    return folder


def test_the_page_of_the_code_is_shown(start: StartProxy, folder: Path) -> None:
    response = start("--error-path", str(folder)).get("/nobody")
    assert response.status == 404
    assert response.body.decode() == "<p>mine: ë</p>"
    assert (response.get("content-type") or "").startswith("text/html")


def test_error_html_is_shown_for_other_codes(start: StartProxy, folder: Path) -> None:
    proxy = start("--error-path", str(folder))
    proxy.add("/x", DEAD)
    response = proxy.get("/x")
    assert (response.status, response.body) == (503, b"<p>any</p>")


def test_a_changed_page_is_shown_at_once(start: StartProxy, folder: Path) -> None:
    proxy = start("--error-path", str(folder))
    proxy.add("/x", DEAD)
    (folder / "503.html").write_text("<p>new</p>")
    try:
        assert proxy.get("/x").body == b"<p>new</p>"
    finally:
        (folder / "503.html").unlink()


def test_a_folder_without_pages_falls_back(own: StartProxy, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    response = own("--error-path", str(empty)).get("/nobody")
    assert response.status == 404
    assert b"Not Found" in response.body
