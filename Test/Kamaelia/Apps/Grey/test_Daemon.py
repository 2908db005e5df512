"""The program as an administrator meets it: a child process, its exit code, and what it says."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey import Checks
from Kamaelia.Apps.Grey.Daemon import main
from Kamaelia.Apps.Grey.FrontDoor.RelayCheck import Findings
from Test.Kamaelia.Apps.Grey.support import (
    LETTER,
    RCPT,
    STRANGER,
    Client,
    FakeServer,
    Gate,
    values_of,
)

ROOT = Path(__file__).parents[4]
DENIED = b"554 5.7.1 Relay access denied\r\n"
MailServer = Callable[..., FakeServer]


class Program:
    """kamaelia-grey as a child process; its log is read line by line."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "Kamaelia.Apps.Grey", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        self.log: list[str] = []

    def read_to(self, pattern: str) -> re.Match[str]:
        """The first line of its log from here on in which that is found."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} was not said, but: {''.join(self.log)}")

    def end(self, *numbers: int) -> int:
        """Send it the signals; its exit code, once it has ended."""
        for number in numbers:
            self.process.send_signal(number)
        assert self.process.stderr is not None
        self.log += self.process.stderr.readlines()
        return self.process.wait(15)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    made: list[Program] = []

    def launch(*arguments: object) -> Program:
        made.append(Program(*arguments))
        return made[-1]

    yield launch
    for each in made:
        each.close()


@pytest.fixture
def config(tmp_path: Path, mail_server: MailServer) -> Path:
    """A configuration for loopback, with all files in a folder of the test's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "greylist.conf"
    path.write_text(
        f"listen:\n    127.0.0.1\nport = {port}\nservername = mx.example.org\n"
        f"smtp_port = {mail_server().address[1]}\nallowed_domains:\n    example.org\n"
        "relay_check = no\n"  # the mail server of these tests takes everything
        f"database = {tmp_path / 'grey.sqlite3'}\ngreylist_log = {tmp_path / 'mail.log'}\n"
    )
    return path


def port_in(config: Path) -> tuple[str, int]:
    found = re.search(r"^port = (\d+)$", config.read_text(), re.MULTILINE)
    assert found is not None
    return "127.0.0.1", int(found[1])


# ---- options


def test_a_good_file_is_said_to_be_good(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "-f", str(config)]) == 0
    said = capsys.readouterr()
    assert said.err == f'config file "{config}" is okay\n'
    assert [re.sub(r"port \d+", "port N", line) for line in said.out.splitlines()] == [
        "mail server 127.0.0.1 port N offers PIPELINING, SIZE 50000000, 8BITMIME, SMTPUTF8, DSN,"
        " ENHANCEDSTATUSCODES"
    ]


def test_all_problems_of_a_bad_file_are_said_at_once(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text() + "prt = 25\ngreylist_delay = soon\nserverid x\n")
    assert main(["-c", "-f", str(config)]) == os.EX_DATAERR
    error = capsys.readouterr().err
    for line, word in ((11, "prt"), (12, "soon"), (13, "serverid")):
        assert re.search(rf"greylist\.conf:{line}:\d+.*", error), error
        assert word in error


def test_a_file_that_cannot_be_read_is_the_systems_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["-c"]):
        assert main([*more, "-f", str(tmp_path / "none.conf")]) == os.EX_OSERR
        assert "none.conf" in capsys.readouterr().err


def test_without_a_file_the_defaults_are_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("Kamaelia.Apps.Grey.Daemon.find", lambda: None)
    for name in ("ports", "surroundings"):
        monkeypatch.setattr(Checks, name, lambda _: [])
    monkeypatch.setattr(Checks, "real_servers", lambda _: Findings())
    assert main(["-c"]) == 0
    assert capsys.readouterr().err == "no greylist.conf found: defaults are used\n"


@pytest.mark.parametrize("setting", ["database", "greylist_log", "greylist_debuglog"])
def test_a_folder_that_is_missing_is_said_before_anything_starts(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    text = re.sub(rf"^{setting} = .*\n", "", config.read_text(), flags=re.MULTILINE)
    config.write_text(f"{text}{setting} = {tmp_path / 'missing' / 'file'}\n")
    assert main(["-c", "-f", str(config)]) == os.EX_CONFIG
    error = capsys.readouterr().err
    assert setting in error
    assert str(tmp_path / "missing") in error


def test_own_components_are_tried_before_anything_starts(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = config.with_name("mine.py")
    own.write_text("\nfrom nothing import Untag\n")
    with config.open("a") as file:
        file.write(f"before_decider:\n    {own} Untag\n")
    assert main(["-c", "-f", str(config)]) == os.EX_CONFIG
    assert f"{own} Untag: line 2: ModuleNotFoundError" in capsys.readouterr().err


def test_a_server_that_would_relay_is_a_bad_configuration(
    config: Path, capsys: pytest.CaptureFixture[str], start: Callable[..., Program]
) -> None:
    config.write_text(config.read_text().replace("relay_check = no", "relay_check = yes"))
    assert main(["-c", "-f", str(config)]) == os.EX_CONFIG
    said = capsys.readouterr()
    assert re.search(r"mail server 127\.0\.0\.1 port \d+ relays: .*relay_check = no", said.err)
    assert "is okay" not in said.err
    program = start("-D", "-f", config)
    assert program.end() == os.EX_CONFIG
    assert " relays: " in "".join(program.log)


def test_warnings_do_not_make_a_file_bad(
    config: Path, capsys: pytest.CaptureFixture[str], mail_server: MailServer
) -> None:
    down = mail_server()
    down.stop_listening()
    text = re.sub(r"smtp_port = \d+", f"smtp_port = {down.address[1]}", config.read_text())
    config.write_text(text.replace("relay_check = no", "relay_check = yes"))
    with socket.create_server(port_in(config)):
        assert main(["-c", "-f", str(config)]) == 0
    said = capsys.readouterr()
    assert said.err.endswith(f'config file "{config}" is okay\n')
    assert "Address already in use (is kamaelia-grey running already?)" in said.err
    assert "could not be asked: Connection refused" in said.err


@pytest.mark.skipif(os.geteuid() != 0, reason="root looks at the folder of another")
def test_the_folder_of_a_unit_is_no_fault_of_the_file(
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "run" / "kamaelia-grey"
    with config.open("a") as file:
        file.write(f"pid_file = {folder}/pid\n")
    assert main(["-c", "-f", str(config)]) == os.EX_CONFIG
    capsys.readouterr()
    monkeypatch.setattr(Checks, "RUN_FOLDERS", (tmp_path / "run",))
    for is_made in (False, True):
        if is_made:
            folder.mkdir(parents=True)
            os.chown(folder, 12_345, 12_345)
        assert main(["-c", "-f", str(config)]) == 0
        said = capsys.readouterr().err
        assert f"pid_file = {folder}/pid: " in said
        assert "(no fault if a unit has it as its RuntimeDirectory)" in said
        assert said.endswith("is okay\n")


@pytest.mark.parametrize("option", ["-R", "--reload"])
def test_reload_says_what_it_lacks(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    assert main([option, "-f", str(config)]) == os.EX_CONFIG
    assert "set pid_file" in capsys.readouterr().err
    with config.open("a") as file:
        file.write(f"pid_file = {tmp_path / 'pid'}\n")
    assert main([option, "-f", str(config)]) == os.EX_UNAVAILABLE
    assert "No such file" in capsys.readouterr().err
    with config.open("a") as file:
        file.write(f"greylist_debuglog = {tmp_path / 'none' / 'log'}\n")
    assert main([option, "-f", str(config)]) == os.EX_CONFIG


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("user = no-such-user", os.EX_OSERR, "there is no such user"),
        ("pid_file = /proc/nowhere/pid", os.EX_OSERR, "/proc/nowhere: No such file"),
        ("tls_certificate = /nowhere/mx.pem", os.EX_CONFIG, "/nowhere/mx.pem: No such file"),
    ],
)
def test_what_keeps_it_from_starting_is_said(
    config: Path, start: Callable[..., Program], line: str, code: int, words: str
) -> None:
    with config.open("a") as file:
        file.write(line + "\n")
    program = start("-D", "-f", config)
    assert program.end() == code
    assert words in "".join(program.log)
    assert "Traceback" not in "".join(program.log)


def test_variables_of_systemd_that_cannot_be_are_said(
    config: Path, start: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "often")
    program = start("-D", "-f", config)
    assert program.end() == os.EX_CONFIG
    assert "WATCHDOG_USEC" in "".join(program.log)


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["-f"], ["word"], ["-c", "-R"], ["-h"], ["--reloa"]]
)
def test_wrong_usage_is_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 64
    assert "usage: kamaelia-grey" in capsys.readouterr().err


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "/etc/Kamaelia" in capsys.readouterr().out


# ---- running


def test_it_serves_logs_and_ends_with_0_on_term(
    config: Path, tmp_path: Path, start: Callable[..., Program]
) -> None:
    program = start("-D", "-f", config)
    program.read_to(rf"handing it to 127\.0\.0\.1 port \d+, configuration {re.escape(str(config))}")
    program.read_to("offers .*8BITMIME")
    stranger = Client(port_in(config), STRANGER).begin()
    reply = stranger.ask(RCPT)
    assert reply.startswith("451 4.7.1 Greylist")
    friend = Client(port_in(config)).to_data()
    assert friend.deliver(LETTER).startswith("250")
    stranger.close()
    friend.send(b"QUIT\r\n")
    assert program.end(signal.SIGTERM) == 0
    friend.close()
    log = "".join(program.log)
    assert "shutting down" in log
    assert log.rstrip().endswith("kamaelia-grey: ended")
    assert "Traceback" not in log
    lines = [values_of(line) for line in (tmp_path / "mail.log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["decision", "decision", "message"]
    assert reply.endswith(f"({lines[0]['session']})")
    assert lines[2]["outcome"] == "delivered"


def test_term_lets_a_message_end_and_a_second_one_does_not(
    config: Path, start: Callable[..., Program]
) -> None:
    program = start("-D", "-f", config)
    program.read_to("handing it to")
    client = Client(port_in(config)).to_data()
    program.process.send_signal(signal.SIGTERM)
    program.read_to("shutting down: 1 clients")
    client.send(LETTER)
    assert program.end(signal.SIGTERM) == 0
    assert client.is_closed()
    client.close()
    assert any("1 sessions did not finish" in line for line in program.log)


def test_ctrl_c_is_term(config: Path, start: Callable[..., Program]) -> None:
    program = start("-D", "-f", config)
    program.read_to("handing it to")
    assert program.end(signal.SIGINT) == 0
    assert "Traceback" not in "".join(program.log)


def test_hup_reads_the_file_again_and_a_bad_one_changes_nothing(
    config: Path, start: Callable[..., Program]
) -> None:
    good, address = config.read_text(), port_in(config)
    program = start("-D", "-f", config)
    program.read_to("handing it to")
    config.write_text(good + "prt = 25\nserverid = Other\n")
    program.process.send_signal(signal.SIGHUP)
    program.read_to(r"ERROR kamaelia-grey: .*greylist\.conf:\d+:1: .*prt")
    program.read_to("ERROR kamaelia-grey: the configuration stays as it was")
    before = Client(address)
    assert "Other" not in before.banner
    config.write_text(re.sub(r"\nport = \d+", "\nport = 1", good) + "serverid = Other\n")
    program.process.send_signal(signal.SIGHUP)
    program.read_to("WARNING kamaelia-grey: port has changed: that takes a restart")
    program.read_to("new sessions have the new configuration")
    after = Client(address)
    assert "Other" in after.banner
    for client in (before, after):
        assert client.ask(b"NOOP\r\n").startswith("250")
        client.close()
    assert program.end(signal.SIGTERM) == 0
    assert "Traceback" not in "".join(program.log)


def asking(config: Path, server: FakeServer) -> str:
    """The configuration with this server behind, which is asked whether it relays."""
    text = re.sub(r"smtp_port = \d+", f"smtp_port = {server.address[1]}", config.read_text())
    return text.replace("relay_check = no", "relay_check = yes")


def test_hup_during_the_start_is_not_lost_and_ends_nothing(
    config: Path, start: Callable[..., Program], mail_server: MailServer
) -> None:
    gate = Gate(b"250 hello\r\n")
    config.write_text(asking(config, mail_server(EHLO=[gate, b"250 hello\r\n"], RCPT=DENIED)))
    program = start("-D", "-f", config)
    assert gate.reached.wait(15)
    program.process.send_signal(signal.SIGHUP)
    gate.open()
    program.read_to("handing it to")
    program.read_to("new sessions have the new configuration")
    assert program.end(signal.SIGTERM) == 0


def test_a_new_server_that_would_relay_is_not_taken(
    config: Path, start: Callable[..., Program], mail_server: MailServer
) -> None:
    config.write_text(asking(config, mail_server(RCPT=DENIED)))
    program = start("-D", "-f", config)
    program.read_to("handing it to")
    config.write_text(asking(config, mail_server()))
    program.process.send_signal(signal.SIGHUP)
    program.read_to("ERROR kamaelia-grey: mail server .* relays")
    program.read_to("ERROR kamaelia-grey: the configuration stays as it was")
    assert program.end(signal.SIGTERM) == 0


def test_a_port_that_is_taken_is_71(config: Path, start: Callable[..., Program]) -> None:
    with socket.create_server(port_in(config)):
        program = start("-D", "-f", config)
        assert program.end() == 71
    assert f"cannot listen on 127.0.0.1 port {port_in(config)[1]}" in "".join(program.log)


def test_a_bad_file_keeps_it_from_starting(config: Path, start: Callable[..., Program]) -> None:
    config.write_text("port = many\n")
    program = start("-D", "-f", config)
    assert program.end() == os.EX_DATAERR
    assert "greylist.conf:1:8" in "".join(program.log)


def test_without_domains_it_warns_and_denies(config: Path, start: Callable[..., Program]) -> None:
    text = config.read_text().replace("allowed_domains:\n    example.org\n", "")
    config.write_text(text)
    program = start("-D", "-f", config)
    program.read_to("WARNING kamaelia-grey: allowed_domains is empty")
    program.read_to("handing it to")
    client = Client(port_in(config), STRANGER).begin()
    assert client.ask(RCPT).startswith("550 5.7.1")
    client.close()
    assert program.end(signal.SIGTERM) == 0


def test_the_debug_log_gets_more_than_the_terminal(
    config: Path, tmp_path: Path, start: Callable[..., Program]
) -> None:
    path = tmp_path / "debug.log"
    config.write_text(f"{config.read_text()}greylist_debuglog = {path}\n")
    program = start("-D", "-f", config)
    program.read_to("handing it to")
    assert program.end(signal.SIGTERM) == 0
    assert "taking mail on" in path.read_text()
    assert len(path.read_text().splitlines()) >= len(program.log)


def test_a_fault_of_ours_is_70_and_is_said(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Nobody looks after the store service but the program itself: it must not limp on.
    planted = tmp_path / "planted.py"
    planted.write_text(
        "import sys\n"
        "from Kamaelia.Apps.Grey.Daemon import main\n"
        "from Kamaelia.Apps.Grey.Store.StoreService import StoreService\n"
        "def fail(self):\n"
        "    raise RuntimeError('planted')\n"
        "    yield\n"
        "StoreService.main = fail\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    ended = subprocess.run(
        [sys.executable, str(planted), "-D", "-f", str(config)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert ended.returncode == 70
    assert "CRITICAL kamaelia-grey: internal error" in ended.stderr
    assert "RuntimeError: planted" in ended.stderr


def test_nodetach_in_the_file_is_as_d(config: Path, start: Callable[..., Program]) -> None:
    with config.open("a") as file:
        file.write("nodetach\n")
    program = start("-f", config)
    program.read_to("handing it to")
    assert program.end(signal.SIGTERM) == 0
