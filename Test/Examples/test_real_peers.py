"""Each example does for real programs what its text says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from Test.children import unmeasured
from Test.Examples.running import EXAMPLES, Example, Netcat, Typed
from Test.System.processes import (
    PATIENCE_SECONDS,
    CheckingSink,
    Grey,
    free_port,
    takes_connections,
    wait_until,
)

pytestmark = pytest.mark.timeout(60)


def output_of(*command: object, given: str = "", fine: bool = True) -> str:
    """What a program says that ends by itself, its complaints too."""
    done = subprocess.run(
        [str(word) for word in command],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode == 0) is fine, done.stdout
    return done.stdout


# ---- pipelines


class Terminal:
    """What stands before a person: a program has it as its controlling terminal."""

    def __init__(self) -> None:
        self.ours, self.theirs = os.openpty()
        self.seen = b""

    def run(self, *command: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(word) for word in command],
            env=unmeasured(),
            preexec_fn=lambda: os.login_tty(self.theirs),
            close_fds=False,
        )

    def type(self, text: bytes) -> None:
        os.write(self.ours, text)

    def wait_for(self, text: bytes) -> None:
        while text not in self.seen:
            self.seen += os.read(self.ours, 1000)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    os.close(made.ours)
    os.close(made.theirs)


@pytest.mark.parametrize("key", [b"\x04", b"\x03"], ids=["ctrl-D", "ctrl-C"])
def test_console_echo_at_a_terminal(terminal: Terminal, key: bytes) -> None:
    with terminal.run(sys.executable, EXAMPLES / "Pipelines/console_echo.py") as echo:
        terminal.type(b"hello\n")
        terminal.wait_for(b"hello\r\nhello\r\n")  # the terminal's own echo, and ours
        terminal.type(key)
        assert echo.wait(PATIENCE_SECONDS) == 0
        assert b"Traceback" not in terminal.seen


@pytest.mark.parametrize(("name", "answer"), [("console_echo", "hello\n"), ("shout", "HELLO\n")])
def test_console_behind_a_pipe(tmp_path: Path, name: str, answer: str) -> None:
    with Example(f"Pipelines/{name}.py", tmp_path) as example:
        example.type("hello\n")
        example.end_input()
        assert example.wait_for_its_end() == 0
        assert example.said() == answer


@pytest.mark.parametrize(("start", "seen"), [(6, "6 3 10 5 16 8 4 2 1 \n"), (1, "1 \n")])
def test_graphline_goes_round_until_one(tmp_path: Path, start: int, seen: str) -> None:
    with Example("Pipelines/graphline.py", tmp_path, start) as example:
        assert example.wait_for_its_end() == 0
        assert example.said() == seen


def test_log_watcher_shows_what_fits_and_ends_after_so_many(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text("error: from before\n")
    with Example("Pipelines/log_watcher.py", tmp_path, log, "err(or)?:", 3) as watcher:
        watcher.wait_for("^watching")

        def is_seen() -> bool:
            with log.open("a") as file:
                file.write("all is well\nerror: \x1b[31mred\n")
            return "red" in watcher.said()

        wait_until("tail to be up", is_seen)
        with log.open("a") as file:
            file.write("err: two\nerr: three\nerr: four\n")
        assert watcher.wait_for_its_end() == 0
        assert watcher.said().count("\n") == 1 + 3
        assert "error: ?[31mred\n" in watcher.said()
        assert "well" not in watcher.said()
        assert "before" not in watcher.said()


def test_log_watcher_waits_for_its_file_and_leaves_no_tail_behind(tmp_path: Path) -> None:
    with Example("Pipelines/log_watcher.py", tmp_path) as watcher:
        watcher.wait_for("cannot open")
        children = Path(f"/proc/{watcher.pid}/task/{watcher.pid}/children")
        (tail,) = children.read_text().split()
        (tmp_path / "watched.log").write_text("an error at last\n")
        watcher.wait_for("^an error at last$")
        assert watcher.interrupt() == 0
        assert "Traceback" not in watcher.said()
        wait_until("tail to be gone", lambda: not Path("/proc", tail).exists())


def test_process_pipeline_says_what_the_shell_says(tmp_path: Path) -> None:
    shell = "seq 199999 | awk '{ print length }' | sort -n | uniq -c"
    counts = output_of("sh", "-c", shell)
    with Example("Pipelines/process_pipeline.py", tmp_path) as example:
        assert example.wait_for_its_end() == 0
        table, last_line = example.said().rsplit("\n", 2)[:2]
        assert table + "\n" == counts
    waited = re.search(r"no more than (\d+) pieces", last_line)
    assert waited
    assert 1 <= int(waited[1]) <= 4


def test_carousel_shows_slides_on_request(tmp_path: Path) -> None:
    with Example("Pipelines/carousel.py", tmp_path) as show:
        for typed, last_line in [("", "what comes in."), ("\n", "used again."), ("\n", "RETURN.")]:
            show.type(typed)
            show.wait_for(last_line)
        show.type("b\n")
        show.wait_for("used again.", times=2)
        show.end_input()
        assert show.wait_for_its_end() == 0
        assert [line[0] for line in show.said().splitlines() if line[0] != " "] == [*"1232"]


def test_carousel_leaves_a_slide_for_the_next_one(tmp_path: Path) -> None:
    with Example("Pipelines/carousel.py", tmp_path) as show:
        show.wait_for("^1")
        show.type("\n")
        show.wait_for("used again.")
        assert "what comes in." not in show.said()


# ---- TCP and UDP: nc


@contextmanager
def chatting(folder: Path, port: int, name: str) -> Iterator[Netcat]:
    with Netcat(folder, port, name=name) as nc:
        nc.type(f"{name}\n")
        nc.wait_for(f"{name} is here$")
        yield nc


@pytest.mark.needs("nc")
def test_echo_serves_many_at_once_and_ends_politely(tmp_path: Path) -> None:
    with (
        Example("Servers/echo.py", tmp_path, 0) as server,
        Netcat(tmp_path, server.port, name="one") as one,
        Netcat(tmp_path, server.port, name="two") as two,
    ):
        one.type("hello\n")
        two.type("good day\n")
        one.wait_for("^hello$")
        two.wait_for("^good day$")
        two.end_input()
        assert two.wait_for_its_end() == 0  # the server hung up when all was said
        port = server.port
        assert server.interrupt() == 0
        assert "Traceback" not in server.said()
        assert not takes_connections(port)


@pytest.mark.needs("nc")
def test_echo_returns_every_byte(tmp_path: Path) -> None:
    sent = bytes(range(256)) * 4000
    with Example("Servers/echo.py", tmp_path, 0) as server:
        done = subprocess.run(
            ["nc", "-N", "127.0.0.1", str(server.port)],
            input=sent,
            stdout=subprocess.PIPE,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
    assert done.stdout == sent


@pytest.mark.needs("nc")
def test_chat_tells_everybody_who_comes_speaks_and_leaves(tmp_path: Path) -> None:
    with (
        Example("Servers/chat.py", tmp_path, 0) as server,
        chatting(tmp_path, server.port, "anna") as anna,
        chatting(tmp_path, server.port, "bert") as bert,
    ):
        anna.wait_for(r"^\* bert is here$")
        anna.type("hello \x1b[2Jbert\n")
        bert.wait_for(r"^anna: hello \?\[2Jbert$")
        anna.wait_for("^anna: hello")
        anna.end_input()
        bert.wait_for(r"^\* anna has left$")
        assert anna.wait_for_its_end() == 0
        bert.type("all alone\n")
        bert.wait_for("^bert: all alone$")
        assert server.interrupt() == 0
        assert "Traceback" not in server.said()


@pytest.mark.needs("nc")
def test_fortune_says_something_and_hangs_up(tmp_path: Path) -> None:
    with Example("Servers/fortune.py", tmp_path, 0, 80_000) as server:
        saying = output_of("nc", "-d", "127.0.0.1", server.port)
        assert len(saying) > 10
        assert saying.endswith("\n")


@pytest.mark.needs("nc")
def test_udp_peer_answers_each_by_itself(tmp_path: Path) -> None:
    with Example("Servers/udp_peer.py", tmp_path, 0) as peer:
        port = peer.port
        with (
            Netcat(tmp_path, port, "-u", name="one") as one,
            Netcat(tmp_path, port, "-u", name="two") as two,
        ):
            one.type("hello\n")
            one.wait_for("^HELLO$")
            two.type("good day\n")
            two.wait_for("^GOOD DAY$")
            one.type("again\n")
            one.wait_for("^AGAIN$")
            assert "GOOD DAY" not in one.said()
        assert r"b'good day\n'" in peer.said()
        assert peer.interrupt() == 0
        assert "Traceback" not in peer.said()


# ---- HTTP and TLS: curl, openssl, Python's own server


@pytest.mark.needs("curl")
def test_web_gives_out_its_page_and_nothing_outside(tmp_path: Path) -> None:
    with Example("Servers/web.py", tmp_path, 0) as server:
        address = f"http://127.0.0.1:{server.port}"
        page = output_of("curl", "-sSf", "-i", f"{address}/")
        assert "\ncontent-type: text/html" in page.lower()
        assert "A page that lives" in page
        for name in set(re.findall(r'(?:src|href)="([^"]+)"', page)):
            output_of("curl", "-sSf", "-o", tmp_path / "out", f"{address}/{name}")
        outside = f"{address}/../web.py"
        assert " 404 " in output_of("curl", "-sS", "-i", "--path-as-is", outside).splitlines()[0]
        assert server.interrupt() == 0
        assert "Traceback" not in server.said()


@pytest.mark.needs("curl")
def test_web_sends_news_for_as_long_as_somebody_listens(tmp_path: Path) -> None:
    with Example("Servers/web.py", tmp_path, 0) as server:
        feed = ["curl", "-sSN", f"http://127.0.0.1:{server.port}/events"]
        with Typed("curl", tmp_path, feed) as one, Typed("curl2", tmp_path, feed) as two:
            one.wait_for(r'^data: {"clock": "\d\d:\d\d:\d\d", "visitors": 2}$')
            two.interrupt()
            one.wait_for('"visitors": 1}$', times=one.said().count('"visitors": 1') + 1)
        brief = output_of(*feed, "--max-time", 2.5, fine=False)  # it never ends by itself
        assert brief.count("\ndata: ") >= 1


def test_http_get_fetches_from_a_real_server(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("hello")
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with Typed("http.server", tmp_path, command) as server:
        server.wait_for(r"port \d+")
        found = re.search(r"port (\d+)", server.said())
        assert found
        address = f"http://127.0.0.1:{found[1]}"
        nobody = f"http://127.0.0.1:{free_port()}/"
        urls = [f"{address}/{name}" for name in ("hello.txt", "nothing")]
        with Example("Servers/http_get.py", tmp_path, *urls, nobody) as example:
            assert example.wait_for_its_end() == 0
            said = example.said()
    assert "5 bytes: b'hello'\n" in said
    assert f"{address}/nothing: the server answered 404\n" in said
    assert f"{nobody}: " in said
    assert "Traceback" not in said


@contextmanager
def secure_client(folder: Path, authority: Path, port: int) -> Iterator[Typed]:
    command = ["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", authority]
    with Typed("openssl", folder, [*command, "-connect", f"127.0.0.1:{port}"]) as client:
        yield client


@pytest.mark.needs("openssl")
def test_tls_echo_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    with Example("Servers/tls_echo.py", tmp_path, 0) as server:
        port = server.port
        found = re.search(r"-CAfile (\S+)", server.said())
        assert found
        certificate = Path(found[1])
        with secure_client(tmp_path, certificate, port) as client:
            client.type("hello\n")
            client.wait_for("^hello$")
            assert server.interrupt() == 0
            assert "Traceback" not in server.said()
        assert not certificate.exists()


@pytest.mark.needs("openssl", "curl")
def test_tls_echo_with_a_given_certificate(tmp_path: Path) -> None:
    ours, others = trustme.CA(), trustme.CA()
    issued = ours.issue_cert("127.0.0.1", "localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(chain))
    issued.private_key_pem.write_to_path(str(key))
    ours.cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    others.cert_pem.write_to_path(str(tmp_path / "others.pem"))
    with Example("Servers/tls_echo.py", tmp_path, 0, chain, key) as server:
        port = server.port
        with secure_client(tmp_path, tmp_path / "ours.pem", port) as client:
            client.type("hello\n")
            client.wait_for("^hello$")
        with secure_client(tmp_path, tmp_path / "others.pem", port) as stranger:
            assert stranger.wait_for_its_end() != 0
            assert "verify error" in stranger.said()
        # curl's request comes back to it, which is no answer in HTTP; the handshake is what counts.
        curl = ["curl", "-sS", "-v", "--http0.9", "--max-time", "2", f"https://localhost:{port}/"]
        said = output_of(*curl, "--cacert", tmp_path / "ours.pem", fine=False)
        assert "SSL certificate verify ok" in said
        assert "GET / HTTP/1.1" in said.split("SSL certificate verify ok")[1]


# ---- mail: swaks


def swaks(port: int, recipient: str) -> str:
    """Send one mail; the line with which its fate was sealed."""
    addresses = ["--server", f"127.0.0.1:{port}", "--from", "me@example.net", "--to", recipient]
    done = subprocess.run(
        ["swaks", *addresses, "--helo", "client.example.net", "--header", "X-Id: from-swaks"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    answers = re.findall(r"^<(?:- |\*\*) +(\d{3} .*)$", done.stdout, re.MULTILINE)
    assert len(answers) > 2, done.stdout
    return str(answers[-2])  # the last one is to QUIT


def swaks_until_taken(port: int, recipient: str) -> list[str]:
    answers: list[str] = []

    def is_taken() -> bool:
        answers.append(swaks(port, recipient))
        return answers[-1].startswith("250")

    wait_until("the mail to be taken", is_taken)
    return answers


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CheckingSink]:
    with CheckingSink(tmp_path) as server:
        yield server


@pytest.mark.needs("swaks")
def test_one_screen_makes_strangers_wait_and_says_what_the_real_server_says(
    tmp_path: Path, sink: CheckingSink
) -> None:
    with Example("Grey/one_screen.py", tmp_path, 0, sink.port, 2) as grey:
        port = grey.port
        assert swaks(port, "anna@example.org").startswith("451 4.7.1 Greylisting in action")
        assert sink.kept() == []
        assert swaks(port, "victim@elsewhere.example").startswith("550")
        assert swaks_until_taken(port, "anna@example.org")[-1].startswith("250")
        assert [entry["to"] for entry in sink.kept()] == [["<anna@example.org>"]]
        wait_until(
            "the real server to refuse him",
            lambda: swaks(port, "nowhere@example.org").startswith("550"),
        )
        sink.kill()
        assert swaks(port, "anna@example.org").startswith("4")
        sink.restart()
        assert len(sink.kept()) == 1
        assert swaks(port, "anna@example.org").startswith("250")
        assert len(sink.kept()) == 2
        assert grey.interrupt() == 0
        assert "Traceback" not in grey.said()


@pytest.mark.needs("swaks")
def test_one_screen_brings_a_mail_server_of_its_own(tmp_path: Path) -> None:
    with Example("Grey/one_screen.py", tmp_path, 0, 0, 0) as grey:
        assert swaks(grey.port, "anna@example.org") == "250 2.0.0 Ok: kept"


@pytest.mark.needs("swaks")
def test_untag_in_a_real_greylister_spares_the_second_tag_its_wait(
    tmp_path: Path, sink: CheckingSink
) -> None:
    with GreyWithUntag(tmp_path, sink.port) as grey:
        port = grey.address[1]
        assert swaks(port, "anna+shop@example.org").startswith("451")
        swaks_until_taken(port, "anna+news@example.org")
        assert [entry["to"] for entry in sink.kept()] == [["<anna+news@example.org>"]]
        grey.wait_for_log("reason=retried")
        assert len(grey.logged("reason=new")) == 1
        assert swaks(port, "anna+third@example.org").startswith("250")
        assert swaks(port, "bert+news@example.org").startswith("451")


class GreyWithUntag(Grey):
    """kamaelia-grey -f greylist.conf, with the example's component before the decider."""

    def __init__(self, folder: Path, smtp_port: int) -> None:
        super().__init__(folder, smtp_port)
        untag = EXAMPLES / "Grey/untag.py"
        with (folder / "greylist.conf").open("a") as config:
            config.write(f"before_decider:\n    {untag}  Untag\n")
