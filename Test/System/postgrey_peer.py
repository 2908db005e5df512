"""
A real postgrey and ours, side by side
======================================
Both are asked the same at the same moments of a time that is in the test's hand: postgrey's Perl
gets another clock before it starts, ours is a GreyServer with the configuration that
`--from-postgrey` made of the same options. So days and weeks take no time, and what an hour decides
can be asked for to the second.

Example Usage
-------------
::

    with Postgrey(program, folder, options) as theirs, Migrated(folder, options) as ours:
        for peer in (theirs, ours):
            print(peer.ask(1_800_000_000, sender="a@example.net"))
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Importers.Importing import run
from Kamaelia.Apps.Grey.Options.Postgrey import from_postgrey
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Settings import policy_of
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore

PATIENCE_SECONDS = 10.0
START = 1_800_000_000
USUAL = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_address": "203.0.113.5",
    "client_name": "unknown",
    "reverse_client_name": "unknown",
    "helo_name": "client.example.net",
    "sender": "a@example.net",
    "recipient": "b@example.org",
    "recipient_count": "0",
    "queue_id": "",
    "size": "1234",
    "sasl_username": "",
    "etrn_domain": "",
    "server_address": "192.0.2.25",
}
# Perl is told another time than that of the machine; the program itself is not touched.
_CLOCK = (
    "BEGIN { *CORE::GLOBAL::time = sub () { open(my $f, '<', $ENV{CLOCK}) or die; "
    "my $t = <$f>; close $f; return int($t) } } "
    "my $p = shift @ARGV; $0 = $p; do $p; die $@ if $@;"
)


class Asked:
    """One connection to a policy service. Answers: D deferred, P let in with a header, . let in."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._sock = socket.create_connection(address, timeout=PATIENCE_SECONDS)
        self._file = self._sock.makefile("rb")
        self._count = 0
        self.text = ""

    def ask(self, **fields: str) -> str:
        self._count += 1
        given = {**USUAL, "instance": f"i{self._count}", **fields}
        request = "".join(f"{name}={value}\n" for name, value in given.items())
        self._sock.sendall(request.encode() + b"\n")
        answer = self._file.readline().decode()
        assert self._file.readline() == b"\n", answer
        self.text = answer.removeprefix("action=").rstrip("\n")
        word = self.text.partition(" ")[0]
        return {"DEFER_IF_PERMIT": "D", "PREPEND": "P", "DUNNO": "."}[word]

    def close(self) -> None:
        self._file.close()
        self._sock.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Postgrey:
    """Postgrey(program, folder, options) -> the real one, with its database in the folder."""

    def __init__(self, program: str, folder: Path, options: Sequence[str]) -> None:
        self.folder = folder / "postgrey"
        self._clock = folder / "clock"
        self._program = program
        self._options = options
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._output = folder / "postgrey.out"

    def __enter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        self._set(START)
        perl = shutil.which("perl")
        assert perl is not None
        me = ["--user", str(os.geteuid()), "--group", str(os.getegid())]
        if os.geteuid() == 0:
            me = ["--user", "root", "--group", "root"]
        command = [perl, "-e", _CLOCK, self._program, f"--inet=127.0.0.1:{self._port}", *me]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, f"--dbdir={self.folder}", *self._options],
                env={**os.environ, "CLOCK": str(self._clock)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.asked = Asked(("127.0.0.1", self._port))
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    raise RuntimeError(self._output.read_text(errors="replace")) from None
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if hasattr(self, "asked"):
            self.asked.close()
        process.terminate()  # it has its database in order then
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def ask(self, now: int, **fields: str) -> str:
        self._set(now)
        return self.asked.ask(**fields)

    def _set(self, now: int) -> None:
        self._clock.write_text(str(now), encoding="ascii")


class Migrated:
    """Migrated(folder, options, taken_over) -> ours, in a thread, as --from-postgrey sets it up.

    taken_over: databases of postgrey's, whose latest news are not older than 30 days."""

    def __init__(
        self, folder: Path, options: Sequence[str], taken_over: Iterable[Path] = ()
    ) -> None:
        port = free_port()
        self.text = from_postgrey(
            [f"--inet=127.0.0.1:{port}", f"--dbdir={folder}", *options], hostname="mx.example.org"
        )
        config = loads(self.text)
        self._clock = FakeClock(float(START))
        self._address = ("127.0.0.1", port)
        self._scheduler = scheduler()
        self.store = MemoryStore()
        for database in taken_over:
            run("postgrey", database, self.store, START + 30 * 86_400, policy_of(config))
        self._server = GreyServer(config, clock=self._clock, open_store=lambda: self.store)
        self._thread = threading.Thread(target=self._scheduler.runThreads, daemon=True)

    def __enter__(self) -> Self:
        self._server.activate(self._scheduler)
        self._thread.start()
        self.asked = Asked(self._address)
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.close()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._thread.is_alive() and time.monotonic() < deadline:
            # Drain, and from the second time on do not.
            self._scheduler.call_from_thread(lambda: self._server.shut_down("the test"))
            self._thread.join(0.1)
        assert not self._thread.is_alive()
        self._scheduler._waiter.close()

    def ask(self, now: int, **fields: str) -> str:
        self._clock.advance(now - self._clock())
        return self.asked.ask(**fields)
