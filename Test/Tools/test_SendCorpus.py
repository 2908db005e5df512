"""Tools/MailCorpus.py, CorpusSink.py and SendCorpus.py: mails are found wherever they lie, and
nothing that happens to one on its way stays unseen."""

import gzip
import io
import socket
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "Tools"))

from CorpusSink import CorpusSink, undo_dots
from MailCorpus import Mail, as_sent, looks_like_mail, mails, split_mbox
from MailCorpus import main as count_main
from SendCorpus import Manner, Report, collect, evenly, main, play, wire_of

HEAD = b"From: a@example.net\nSubject: %s\nDate: Sat, 21 Nov 2026 09:30:00 +0000\n\n"
POSTMARK = b"From a@example.net Sat Nov 21 09:30:00 2026\n"


def letter(name: bytes, text: bytes = b"text\n") -> bytes:
    return HEAD % name + text


def subjects(path: Path) -> list[bytes]:
    return [mail.content.split(b"Subject: ")[1].split(b"\r\n")[0] for mail in mails(path)]


# ---- finding them


def test_an_mbox_is_split_and_text_that_quotes_a_postmark_is_not(tmp_path: Path) -> None:
    quoting = letter(b"two", b"look:\n\n" + POSTMARK + b"that was it\n")
    (tmp_path / "old.mbox").write_bytes(POSTMARK + letter(b"one") + b"\n" + POSTMARK + quoting)
    assert subjects(tmp_path) == [b"one", b"two"]
    assert [mail.content for mail in mails(tmp_path)][1] == as_sent(quoting)


def test_a_lone_message_loses_only_its_postmark(tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(b"From somebody\n" + letter(b"one"))
    assert [mail.content for mail in mails(tmp_path)] == [as_sent(letter(b"one"))]


def test_folders_maildirs_and_archives_in_archives_are_searched(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name in ("t1", "t2"):
            member = tarfile.TarInfo(f"../{name}")
            member.size = len(letter(name.encode()))
            archive.addfile(member, io.BytesIO(letter(name.encode())))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as outer:
        outer.writestr("inner.tar.xz", packed.getvalue())
        outer.writestr("z.eml", letter(b"z"))
    (tmp_path / "c.mbox.gz").write_bytes(gzip.compress(POSTMARK + letter(b"g")))
    (tmp_path / "cur").mkdir()
    (tmp_path / "cur" / "1:2,S").write_bytes(letter(b"m"))
    assert subjects(tmp_path) == [b"t1", b"t2", b"z", b"g", b"m"]
    assert not (tmp_path.parent / "t1").exists()


def test_what_is_no_mail_or_came_already_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(letter(b"a"))
    (tmp_path / "again.eml").write_bytes(letter(b"a").replace(b"\n", b"\r\n"))
    (tmp_path / "README").write_bytes(b"Subject: matter\n\nnot a mail\n")
    (tmp_path / "code.py").write_bytes(b"import email\n")
    (tmp_path / "broken.gz").write_bytes(gzip.compress(letter(b"b"))[:30])
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4" + b"x" * 50)
    assert subjects(tmp_path) == [b"a"]
    assert len(collect([tmp_path, tmp_path / "a.eml"])) == 1


def test_a_path_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        list(mails(Path("/nowhere/at/all")))


@given(st.binary(max_size=60).map(lambda b: b.translate(bytes(range(256)))))
def test_a_client_may_send_what_as_sent_gives(raw: bytes) -> None:
    sent = as_sent(raw)
    assert sent.count(b"\r") == sent.count(b"\n") == sent.count(b"\r\n")
    assert b"\0" not in sent
    assert not sent or sent.endswith(b"\r\n")
    assert as_sent(sent) == sent


lines = st.sampled_from([b"", b".", b"..", b"...x", b"text", b"\xff\xfe", b"From x", b"y" * 1200])


@given(st.lists(lines, max_size=12))
def test_doubling_dots_and_undoing_it_changes_nothing(texts: list[bytes]) -> None:
    content = b"".join(text + b"\r\n" for text in texts)
    wire = wire_of(Mail("x", content))
    assert (b"\r\n" + wire).find(b"\r\n.\r\n") == len(wire) - 3
    assert undo_dots(wire[:-3]) == content


@given(st.binary(max_size=200))
def test_any_bytes_can_be_looked_at_and_split(raw: bytes) -> None:
    looks_like_mail(raw)
    assert sum(map(len, split_mbox(raw))) <= len(raw)


def test_counting_says_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.eml").write_bytes(letter(b"a", b".\n\xe9" + b"x" * 2000))
    assert count_main([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "1 mails, " in said
    assert "1 8-bit, 1 with long lines, 1 with dots" in said
    assert count_main([]) == 2


# ---- sending them, and what may happen on the way

MAILS = [
    Mail(f"n{n}", as_sent(letter(b"%d" % n, b".\n..\n.x\n" + b"caf\xe9\n" * n))) for n in range(12)
]
MANNERS = [
    Manner(2, 5),
    Manner(3, 4, pipelining=True),
    Manner(2, 12, pipelining=True, slices=7),
    Manner(1, 3, slices=3),
]


@contextmanager
def middleman(
    sink: CorpusSink, change: Callable[[bytes], bytes], tell: Callable[[bytes], bytes]
) -> Iterator[tuple[str, int]]:
    """A proxy that changes what it hands on: once in each direction and piece."""
    listener = socket.create_server(("127.0.0.1", 0))
    with ExitStack() as stack:

        def pump(
            source: socket.socket, goal: socket.socket, alter: Callable[[bytes], bytes]
        ) -> None:
            with suppress(OSError):
                while data := source.recv(65_536):
                    goal.sendall(alter(data))
            for sock in (source, goal):
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client = stack.enter_context(listener.accept()[0])
                    server = stack.enter_context(socket.create_connection(sink.address))
                    for pair in ((client, server, change), (server, client, tell)):
                        pumps.append(threading.Thread(target=pump, args=pair, daemon=True))
                        pumps[-1].start()

        pumps: list[threading.Thread] = []
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(10)
        listener.close()
        for thread in pumps:  # each ends with the connection of its client
            thread.join(10)


def same(data: bytes) -> bytes:
    return data


def through(
    manner: Manner,
    change: Callable[[bytes], bytes] = same,
    tell: Callable[[bytes], bytes] = same,
    keep: Path | None = None,
) -> Report:
    with (
        CorpusSink(MAILS, ("127.0.0.1", 0), keep) as sink,
        middleman(sink, change, tell) as address,
    ):
        return play(MAILS, address, sink, manner)


@pytest.mark.parametrize("manner", MANNERS, ids=repr)
def test_a_proxy_that_changes_nothing_is_found_to_be_good(manner: Manner) -> None:
    report = through(manner)
    assert report.all_is_well
    assert report.codes == {250: len(MAILS)}
    assert report.taken == set(range(len(MAILS)))
    assert any("12 came once and byte for byte" in line for line in report.lines())


def test_a_changed_byte_is_named_and_kept(tmp_path: Path) -> None:
    report = through(
        Manner(1, 1), lambda data: data.replace(b"Subject: 7", b"Subject: 8"), same, tmp_path
    )
    (finding,) = report.findings
    assert finding.startswith("n7 (m7): ")
    assert "became b'8" in finding
    assert (tmp_path / "m7.came").read_bytes() != (tmp_path / "m7.sent").read_bytes()


def test_a_dot_that_is_not_doubled_is_seen() -> None:
    report = through(Manner(1, 1), lambda data: data.replace(b"\r\n...\r\n", b"\r\n..\r\n"))
    assert len(report.findings) == len(MAILS)


def test_a_lone_dot_before_other_text_is_seen() -> None:
    report = through(Manner(1, 1), lambda data: data.replace(b"\r\n..x\r\n", b"\r\n.x\r\n"))
    assert len(report.findings) == len(MAILS)


def test_a_bare_line_end_is_seen() -> None:
    report = through(Manner(1, 1), lambda data: data.replace(b"\r\n...\r\n", b"\n...\r\n"))
    assert "a bare CR or LF in m3" in report.findings


def test_a_mail_that_was_swallowed_is_lost() -> None:
    def swallow(data: bytes) -> bytes:
        return data.replace(b"<m5@", b"<m4@")

    findings = "\n".join(through(Manner(1, 1), swallow).findings)
    assert "n5 (m5): LOST" in findings
    assert "n4 (m4): came 2 times" in findings


def test_a_refusal_is_reported_with_its_answer_and_the_rest_goes_on() -> None:
    def refuse(data: bytes) -> bytes:
        return data.replace(b"250 2.0.0 Ok: compared", b"451 4.3.0 not now")

    report = through(Manner(1, 4), tell=refuse)
    assert report.codes == {451: len(MAILS)}
    assert "n0 (m0): 451 4.3.0 not now" in report.refused
    assert len(report.findings) == len(MAILS)  # they came all the same
    assert not report.all_is_well


@pytest.mark.parametrize("pipelining", [False, True])
def test_a_recipient_that_is_refused_costs_only_its_mail(pipelining: bool) -> None:
    def refuse(data: bytes) -> bytes:
        return data.replace(b"250 2.1.5 Ok\r\n", b"550 5.1.1 nobody\r\n")

    report = through(Manner(1, 1, pipelining=pipelining), tell=refuse)
    assert report.codes == {550: len(MAILS)}
    assert "n0 (m0): 550 5.1.1 nobody" in report.refused


def test_a_connection_that_breaks_after_the_dot_is_no_second_try() -> None:
    def cut(data: bytes) -> bytes:
        if b"compared" in data:
            raise OSError
        return data

    report = through(Manner(1, 4), tell=cut)
    assert report.codes == {0: len(MAILS)}
    assert all("came, but its sender was not told so" in finding for finding in report.findings)


def test_the_sink_does_not_relay_and_says_what_was_not_expected() -> None:
    with (
        CorpusSink(MAILS, ("127.0.0.1", 0)) as sink,
        socket.create_connection(sink.address, 10) as client,
    ):
        stream = client.makefile("rwb")
        stream.write(b"RCPT TO:<x@example.net>\r\nRCPT TO:<x@example.org>\r\nETRN x\r\nQUIT\r\n")
        stream.flush()
        codes = [line[:3] for line in stream]
        stream.close()
    assert codes == [b"220", b"550", b"250", b"500", b"221"]
    assert sink.findings() == ["not expected: b'ETRN x\\r\\n'"]


def test_a_server_that_is_not_there_ends_the_run() -> None:
    with CorpusSink(MAILS, ("127.0.0.1", 0)) as sink:
        nobody = socket.create_server(("127.0.0.1", 0))
        address = nobody.getsockname()
        nobody.close()
        report = play(MAILS, address, sink, Manner(2, 5))
    assert report.codes == {0: len(MAILS)}


def test_evenly_takes_from_the_whole() -> None:
    assert [mail.name for mail in evenly(MAILS, 4)] == ["n0", "n3", "n6", "n9"]
    assert evenly(MAILS, 0) == MAILS


def test_the_command_tells_what_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.eml").write_bytes(letter(b"a"))
    nobody = socket.create_server(("127.0.0.1", 0))
    port = nobody.getsockname()[1]
    nobody.close()
    words = [f"127.0.0.1:{port}", "--sink", f"127.0.0.1:{port}", "--pipelining", str(tmp_path)]
    assert main(words) == 0  # nothing stands between: it sends to its own sink
    assert "1 came once and byte for byte" in capsys.readouterr().out
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([*words[:-1], str(empty)]) == 2
    with pytest.raises(SystemExit):
        main(["nonsense", "--sink", "x", str(empty)])
