"""Minimal: files of a folder, and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import Harness, harness
from Kamaelia.Protocol.HTTP.Handlers.Minimal import PIECE_BYTES, QUEUE, Minimal
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Support.Protocol.HTTP.Messages import Request, Response
from Test.Kamaelia.network import Script, World, pattern
from Test.Kamaelia.Protocol.HTTP.handlers import get
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    Minimal: Ends(lambda: Minimal(Request("GET", "/x"), homedirectory="/nowhere"), ends_alone=True)
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "htdocs"
    (home / "sub").mkdir(parents=True)
    (home / "index.html").write_text("<p>home", encoding="utf-8")
    (home / "big").write_bytes(pattern(PIECE_BYTES * 30 + 7))
    (home / "empty.txt").touch()
    (home / "sub" / "a b.png").write_bytes(b"picture")
    (home / ".secret").write_text("secret", encoding="utf-8")
    (tmp_path / "outside.txt").write_text("secret", encoding="utf-8")
    (home / "link.txt").symlink_to(tmp_path / "outside.txt")
    (home / "up").symlink_to(tmp_path)
    os.mkfifo(home / "pipe")
    return home


def ask(
    home: Path, target: str, *headers: tuple[str, str], **more: object
) -> tuple[Response, bytes]:
    """The head of the answer, and all of its data."""
    method = str(more.pop("method", "GET"))
    request = Request(method, "/f/" + target, headers).routed("/f/")
    with harness(Minimal(request, "index.html", home, **more)) as h:  # type: ignore[arg-type]
        h.put(producerFinished(), "control")  # the request has ended: that is nothing new
        h.expect_end(within=30)
        head, *parts = h.take("outbox")
        assert isinstance(h.expect("signal"), producerFinished)
    assert isinstance(head, Response)
    return head, head.data + b"".join(part.data for part in parts)


def test_a_file_comes_with_its_type_and_its_length(home: Path) -> None:
    head, data = ask(home, "sub/a%20b.png?v=2")
    assert (head.status, head.content_type, head.length) == (200, "image/png", 7)
    assert ("X-Content-Type-Options", "nosniff") in head.headers
    assert data == b"picture"


def test_a_large_file_comes_in_pieces(home: Path) -> None:
    _, data = ask(home, "big")
    assert data == pattern(PIECE_BYTES * 30 + 7)


def test_an_empty_file_is_a_file(home: Path) -> None:
    head, data = ask(home, "empty.txt")
    assert (head.status, head.length, data) == (200, 0, b"")


def test_a_folder_gives_its_index_and_has_no_listing(home: Path) -> None:
    head, data = ask(home, "")
    assert (head.content_type, data) == ("text/html; charset=utf-8", b"<p>home")
    assert ask(home, "sub/")[0].status == 404


def test_a_folder_without_its_slash_is_sent_there(home: Path) -> None:
    head, _ = ask(home, "sub?x=1")
    assert (head.status, dict(head.headers)["Location"]) == (301, "/f/sub/?x=1")


@pytest.mark.parametrize(
    "target",
    [
        "nothing",
        "sub/nothing",
        "index.html/x",
        "../outside.txt",
        "%2e%2e/outside.txt",
        "sub/..%2f..%2foutside.txt",
        "sub/%2e%2e/%2e%2e/outside.txt",
        "index.html%00.png",
        ".secret",
        "link.txt",
        "up/outside.txt",
        "pipe",
        "/etc/passwd",
        "a" * 300,
    ],
)
def test_everything_else_is_not_there(home: Path, target: str) -> None:
    head, data = ask(home, target)
    assert head.status == 404
    assert b"secret" not in data


def test_a_file_that_may_not_be_read_is_not_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Minimal, "_step", refuse)
    assert ask(home, "index.html")[0].status == 404


def test_a_failing_disk_is_an_error_of_ours(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(5, "disk")

    monkeypatch.setattr(Minimal, "_step", fail)
    for target in ("index.html", ""):
        with pytest.raises(OSError, match="disk"):
            ask(home, target)


def test_links_are_followed_where_that_was_asked_for(home: Path) -> None:
    assert ask(home, "link.txt", symlinks=True)[1] == b"secret"


def test_a_browser_that_has_it_is_told_so(home: Path) -> None:
    tag = dict(ask(home, "index.html")[0].headers)["ETag"]
    head, data = ask(home, "index.html", ("if-none-match", tag))
    assert (head.status, data) == (304, b"")
    assert ask(home, "index.html", ("if-none-match", '"other"'))[0].status == 200


def test_a_part_of_a_file_may_be_asked_for(home: Path) -> None:
    head, data = ask(home, "index.html", ("range", "bytes=3-5"))
    assert (head.status, data, head.length) == (206, b"hom", 3)
    assert ("Content-Range", "bytes 3-5/7") in head.headers
    refused, _ = ask(home, "index.html", ("range", "bytes=99-"))
    assert refused.status == 416
    assert ("Content-Range", "bytes */7") in refused.headers
    changed = (("range", "bytes=3-5"), ("if-range", '"old"'))
    assert ask(home, "index.html", *changed)[0].status == 200


def test_head_tells_about_a_file_and_reads_none_of_it(home: Path) -> None:
    head, data = ask(home, "index.html", method="HEAD")
    assert (head.status, head.length, data) == (200, 7, b"")


def test_files_can_only_be_read(home: Path) -> None:
    head, _ = ask(home, "index.html", method="PUT")
    assert (head.status, dict(head.headers)["Allow"]) == (405, "GET, HEAD")


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert ask(tmp_path / "nowhere", "x")[0].status == 404


@pytest.fixture
def slow(home: Path) -> Iterator[Harness]:
    """One that has more to give than its client takes."""
    with harness(Minimal(Request("GET", "/big"), homedirectory=home)) as h:
        h.limit(2)
        yield h


def test_a_slow_client_gets_all_and_no_more_is_read_ahead(slow: Harness) -> None:
    pieces = [slow.expect("outbox").data for _ in range(32)]
    assert b"".join(pieces) == pattern(PIECE_BYTES * 30 + 7)
    assert QUEUE < 30
    slow.expect_end()


def test_told_that_nobody_wants_it_it_reads_no_more(slow: Harness) -> None:
    stop = shutdownMicroprocess()
    slow.expect("outbox")
    slow.put(stop, "control")
    slow.limit(None)
    slow.expect_end()
    assert slow.expect("signal") is stop
    assert len(slow.take("outbox")) < 2 * QUEUE + 2


def test_a_file_that_becomes_shorter_is_cut_off(home: Path) -> None:
    with harness(Minimal(Request("GET", "/big"), homedirectory=home)) as h:
        h.limit(1)
        h.expect("outbox")
        os.truncate(home / "big", 10)
        h.limit(None)
        h.expect_end()
        size = sum(len(part.data) for part in h.take("outbox"))
    assert size < PIECE_BYTES * 30


def test_on_a_server_of_its_own(real_time_world: World, home: Path) -> None:
    world = real_time_world

    def script() -> Script:
        files = HTTPProtocol([["/f/", lambda request: Minimal(request, homedirectory=home)]])
        server = world.serve(files)
        client = world.connect(server)
        client.sendall(get("/f/../../outside.txt") + get("/f/index.html", "Connection: close"))
        answer = yield from world.receive_all(client)
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.endswith(b"\r\n\r\n<p>home")

    world.play(script())
