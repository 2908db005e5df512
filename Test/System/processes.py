"""
Real programs as the system tests run them: started on loopback, in folders of their own, ended by
their process id. Each is a context manager::

    with CheckingSink(folder) as sink, Grey(folder, sink.port) as grey:
        assert deliver(grey.address, mail).code == 451
"""

import contextlib
import errno
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30.0
FRIEND = "127.0.0.9"  # on the list of allowed senders

_never = Event()


def wait_until(what: str, condition: Callable[[], object], seconds: float | None = None) -> None:
    """Look again and again whether another program has done something; give up with `what`."""
    until = monotonic() + (PATIENCE_SECONDS if seconds is None else seconds)
    while not condition():
        if monotonic() > until:
            raise TimeoutError(f"still waiting for: {what}")
        _never.wait(0.02)


def free_port(host: str = "127.0.0.1") -> int:
    """Find a port that nobody uses.

    Below those that the system gives to outgoing connections: one of them could take the port while
    its owner is dead, to be started again."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket(family) as sock:
            try:
                sock.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port


def takes_connections(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that nobody has taken note of is over all the same."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return not status.rpartition(")")[2].lstrip().startswith(("Z", "X"))
    return False


class Program:
    """A child process whose output goes to a file; ended at the end of its `with`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.output = folder / f"{name}.out"
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            if self._process is not None:  # a supervisor would try for ever
                self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.end()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        raise NotImplementedError

    def spawn(self, command: Iterable[object]) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait; returns the exit code."""
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            return process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """As a power cut would: kill -9."""
        self.end(signal.SIGKILL)

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8") if self.output.exists() else ""

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Wait until its output has so many lines that fit the pattern."""
        fits = re.compile(pattern, re.MULTILINE)

        def heard() -> bool:
            if self._process is not None and (code := self._process.poll()) is not None:
                raise RuntimeError(f"{self._name} ended with {code}:\n{self.said()}")
            return len(fits.findall(self.said())) >= times

        wait_until(f"{self._name} to say {pattern!r}", heard)


class Grey(Program):
    """Grey(folder, smtp_port, host="127.0.0.1", **settings) -> kamaelia-grey before a server.

    settings: of greylist.conf; a tuple is the rows of a list."""

    def __init__(
        self, folder: Path, smtp_port: int, host: str = "127.0.0.1", **settings: object
    ) -> None:
        super().__init__("grey", folder)
        self.address = (host, free_port(host))
        self.database = folder / "greylist.sqlite3"
        self.mail_log = folder / "mail.log"
        self._config = folder / "greylist.conf"
        values = {
            "port": self.address[1],
            "servername": "mx.example.org",
            "smtp_port": smtp_port,
            "greylist_delay": "1s",
            "pass_lifetime": "36d",
            "network_prefix4": 24,
            "network_prefix6": 64,
            "nospf": "yes",  # there is no DNS
            "report": "none",  # what arrives is compared byte for byte
            "database": self.database,
            "greylist_log": self.mail_log,
            "drain_timeout": "10s",
            # The servers of the tests take mail for everybody, or trust all of this machine.
            "relay_check": "no",
            "listen": host,
            "allowed_domains": "example.org",
            "allowed_senders": FRIEND,
            **settings,
        }
        lines = [_setting(key, value) for key, value in values.items()]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._starts = 0

    def start(self) -> None:
        """Start it, for the first time or again; returns when it takes mail and knows what the
        server behind it offers, or that there is none."""
        self.spawn([sys.executable, "-m", "Kamaelia.Apps.Grey", "-D", "-f", self._config])
        self._starts += 1
        self.wait_for(" taking mail on ", self._starts)
        self.wait_for(r" mail server .*(?: offers | cannot be used)", self._starts)

    def most_memory(self) -> int:
        """Bytes that it had in memory at its largest."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        (kilobytes,) = re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
        return int(kilobytes) * 1024

    def open_files(self) -> int:
        """Number of its files and sockets, among them those of its connections."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def logged(self, *words: str) -> list[str]:
        """The lines of the mail log in which all these words stand."""
        text = self.mail_log.read_text(encoding="ascii") if self.mail_log.exists() else ""
        return [line for line in text.splitlines() if all(word in line for word in words)]

    def wait_for_log(self, *words: str, times: int = 1) -> None:
        wait_until(f"{words} in the mail log", lambda: len(self.logged(*words)) >= times)


def _setting(key: str, value: object) -> str:
    if isinstance(value, tuple):
        return "\n    ".join([f"{key}:", *map(str, value)])
    return f"{key} = {value}"


class SmtpSink(Program):
    """SmtpSink(program, folder, *options) -> Postfix's smtp-sink, with a file for each message."""

    def __init__(self, program: Path, folder: Path, *options: str) -> None:
        super().__init__("smtp-sink", folder)
        self._program = program
        self._options = options
        self.port = free_port()
        # pytest's own folder is for root alone, who has to run smtp-sink as somebody else.
        self._dumps = Path(tempfile.mkdtemp(prefix="grey-smtp-sink-"))

    def start(self) -> None:
        user = []
        if os.geteuid() == 0:
            os.chown(self._dumps, *nobody())
            user = ["-u", "nobody"]
        listen = f"inet:127.0.0.1:{self.port}"
        self.spawn([self._program, *user, *self._options, "-d", f"{self._dumps}/m.", listen, "200"])
        wait_until("smtp-sink", lambda: takes_connections(self.port))

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self._dumps)

    def messages(self) -> list[bytes]:
        """What it has taken, each with smtp-sink's own header lines before it."""
        contents = [content_of(path) for path in sorted(self._dumps.iterdir())]
        return [content for content in contents if content]


def content_of(dump: Path) -> bytes:
    """What is in a dump; nothing if smtp-sink has just removed it, as it does when a session ends
    without a message."""
    try:
        return dump.read_bytes()
    except FileNotFoundError:
        return b""


def nobody() -> tuple[int, int]:
    """User and group that own no file."""
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


class CheckingSink(Program):
    """CheckingSink(folder) -> checking_sink.py, which see; `hang_at` is one of its places."""

    def __init__(self, folder: Path) -> None:
        super().__init__("sink", folder)
        self.port = free_port()
        self.hang_at = ""
        self._journal = folder / "journal"
        self._starts = 0

    def start(self) -> None:
        script = Path(__file__).with_name("checking_sink.py")
        self.spawn([sys.executable, script, self.port, self._journal, self.hang_at])
        self._starts += 1
        self.wait_for("^listening", self._starts)

    def restart(self, hang_at: str = "") -> None:
        """Kill it, if it was not killed yet, and start it again, to hang at that place."""
        if self._process is not None:
            self.kill()
        self.hang_at = hang_at
        self.start()

    def kept(self) -> list[dict[str, Any]]:
        """The entries of its journal, from before and after a kill."""
        if not self._journal.exists():
            return []
        return [json.loads(line) for line in self._journal.read_bytes().splitlines()]
