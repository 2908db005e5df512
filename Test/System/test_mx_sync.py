"""Whole machines that share what they know: three programs, each in a network of its own where root
may make such, and a false milter-greylist beside them. Without that they are on loopback addresses,
where nothing can cut them apart."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Self

import pytest

from Test.System.processes import ROOT, Program, free_port, wait_until

CLIENT, RECIPIENT = "192.0.2.30", "r@example.net"
DELAY_SECONDS = 1
_senders = count()


class Networks:
    """Some networks that are joined in a switch, in a `with`; host(n) is the address in the n-th.
    Not `real`: loopback addresses."""

    def __init__(self, number: int, real: bool) -> None:
        self._count = number
        self._name = f"grey{os.getpid()}"
        self.real = real

    def __enter__(self) -> Self:
        if self.real:
            try:
                self._build()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.real:
            for name in self._names():
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def host(self, number: int) -> str:
        return f"10.77.0.{number + 1}" if self.real else f"127.77.9.{number + 1}"

    def inside(self, number: int) -> list[str]:
        """What a command begins with that is to run there."""
        return ["ip", "netns", "exec", f"{self._name}-{number}"] if self.real else []

    def cut(self, number: int, cut: bool = True) -> None:
        """Pull its cable, or put it in again."""
        _ip("-n", f"{self._name}-hub", "link", "set", f"p{number}", "down" if cut else "up")

    def _names(self) -> list[str]:
        return [f"{self._name}-hub", *(f"{self._name}-{number}" for number in range(self._count))]

    def _build(self) -> None:
        hub, *rest = self._names()
        for name in (hub, *rest):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", hub, "link", "add", "name", "br0", "type", "bridge")
        _ip("-n", hub, "link", "set", "br0", "up")
        for number, name in enumerate(rest):
            port = f"p{number}"
            _ip("-n", hub, *f"link add {port} type veth peer name eth0 netns {name}".split())
            _ip("-n", hub, "link", "set", port, "master", "br0", "up")
            _ip("-n", name, "addr", "add", f"{self.host(number)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def may_make_networks() -> bool:
    """Whether there is `ip` here, and we may make networks."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"grey{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True)
    if made.returncode == 0:
        _ip("netns", "del", name)
    return made.returncode == 0


class Machine(Program):
    """A kamaelia-grey that is asked as a policy service, through a socket file."""

    def __init__(self, folder: Path, networks: Networks, number: int, port: int) -> None:
        folder.mkdir()
        super().__init__("grey", folder)
        self._inside = networks.inside(number)
        self._config = folder / "greylist.conf"
        self._door = folder / "policy"
        self._starts = 0
        # Once as most have it, and where that is not possible or not asked for, by the address.
        everywhere = networks.real and number == 0
        listen, source = ("*", "*") if everywhere else (networks.host(number),) * 2
        peers = [f"    {networks.host(each)} 1s" for each in range(3)]  # itself, too
        self._config.write_text(
            "\n".join(
                (
                    f"policy_socket = {self._door}",
                    f"database = {folder / 'greylist.sqlite3'}",
                    f"greylist_log = {folder / 'mail.log'}",
                    f"greylist_delay = {DELAY_SECONDS}s",
                    "pass_lifetime = 36d",
                    "network_prefix4 = 24",
                    "nospf = yes",
                    "drain_timeout = 2s",
                    f"syncaddr = {listen}:{port}",
                    f"syncsrcaddr = {source}",
                    "peers:",
                    *peers,
                    "",
                )
            ),
            encoding="utf-8",
        )

    def start(self) -> None:
        program = (sys.executable, "-m", "Kamaelia.Apps.Grey", "-D", "-f", self._config)
        self.spawn([*self._inside, *program])
        self._starts += 1
        wait_until("the policy service", self._answers)

    def configure(self, change: Callable[[str], str]) -> None:
        """Rewrite its file; read at the next start, or at a HUP."""
        self._config.write_text(change(self._config.read_text("utf-8")), encoding="utf-8")

    def workers(self) -> list[int]:
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
        return [int(word) for word in text.split()]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            self.ask("nobody@example.org", client="")
            return True
        return False

    def ask(self, sender: str, client: str = CLIENT) -> str:
        """What Postfix is told to do."""
        request = (
            "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
            f"helo_name=mx\nsender={sender}\nrecipient={RECIPIENT}\nclient_address={client}\n"
            f"client_name=unknown\ninstance=1.{next(_senders)}\n\n"
        )
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(self._door))
            sock.sendall(request.encode("ascii"))
            answer = b""
            while b"\n\n" not in answer:
                more = sock.recv(4096)
                if not more:
                    raise ConnectionResetError
                answer += more
        return answer.decode("utf-8").removeprefix("action=").strip()

    def lets_in(self, sender: str) -> bool:
        return self.ask(sender).split()[0] in ("DUNNO", "PREPEND")


class RealPeer:
    """The false milter-greylist of mx_peer.py, as a program in one of the networks."""

    def __init__(self, networks: Networks, number: int, port: int) -> None:
        everybody = [f"{networks.host(each)}:{port}" for each in range(3) if each != number]
        self._process = subprocess.Popen(
            [
                *networks.inside(number),
                *(sys.executable, "-m", "Test.Kamaelia.Protocol.mx_peer"),
                f"{networks.host(number)}:{port}",
                *everybody,
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._hear()

    def say(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        return self._hear()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.terminate()
        self._process.wait(10)


class MXSite:
    """Three networks; in the first two a machine of ours each, in the third whatever."""

    def __init__(self, folder: Path, networks: Networks) -> None:
        self.networks = networks
        self.port = 5252 if networks.real else free_port(networks.host(0))
        self.one, self.two, self.three = (
            Machine(folder / str(number), networks, number, self.port) for number in range(3)
        )


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    real = may_make_networks()
    if not real:
        print("no networks can be made here: the machines are on loopback addresses")  # noqa: T201
    with Networks(3, real) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, networks: Networks) -> MXSite:
    return MXSite(tmp_path, networks)


def sender() -> str:
    return f"s{next(_senders)}@example.org"


def wait_for_news(machine: Machine, of: str) -> None:
    """Until the machine knows this sender as one that has passed."""
    wait_until(f"news of {of}", lambda: machine.lets_in(of))


def test_a_sender_may_come_back_to_any_machine(site: MXSite) -> None:
    stranger = sender()
    with site.one, site.two, site.three:
        assert not site.one.lets_in(stranger)
        wait_until("its wait", lambda: site.two.lets_in(stranger))
        site.two.wait_for(f"Connection to {site.networks.host(2)} established, protocol version 3")
        wait_for_news(site.three, stranger)
        wait_for_news(site.one, stranger)
        assert "this machine itself" in site.one.said()


def test_a_machine_that_was_away_learns_what_it_missed(site: MXSite) -> None:
    strangers = [sender() for _ in range(20)]
    with site.one:
        for stranger in strangers:
            site.one.ask(stranger)
        for stranger in strangers:
            wait_until("its wait", lambda: site.one.lets_in(stranger))  # noqa: B023 - called here
        site.one.wait_for(f"cannot sync with peer {site.networks.host(1)}: ")
        with site.two:
            site.one.wait_for(f"Connection to {site.networks.host(1)} established")
            wait_for_news(site.two, strangers[-1])
            assert all(map(site.two.lets_in, strangers))


def with_two_workers(text: str) -> str:
    return f"workers = 2\n{text}"


def without_peers(text: str) -> str:
    return text.partition("peers:")[0]


HEAR = (
    "import socket, sys; host, port, source = sys.argv[1:]; "
    "print(socket.create_connection((host, int(port)), 10, (source, 0)).recv(100).decode())"
)


def test_workers_share_with_workers_and_their_port_stays_that_of_peers(site: MXSite) -> None:
    strangers = [sender() for _ in range(10)]
    site.one.configure(with_two_workers)
    site.two.configure(with_two_workers)
    with site.one, site.two:
        assert not any(map(site.one.lets_in, strangers))
        for stranger in strangers:
            wait_until("its wait", lambda: site.two.lets_in(stranger))  # noqa: B023 - called here
        for stranger in strangers:
            wait_for_news(site.one, stranger)
        # The last peer goes; then new workers begin, with the ports that there are.
        site.one.configure(without_peers)
        os.kill(site.one.pid, signal.SIGHUP)
        site.one.wait_for("all workers have the new configuration")
        for worker in site.one.workers():
            os.kill(worker, signal.SIGKILL)
        site.one.wait_for("was ended by SIGKILL", 2)
        heard = subprocess.run(
            [
                *site.networks.inside(1),
                *(sys.executable, "-c", HEAR, site.networks.host(0), str(site.port)),
                site.networks.host(1),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert heard.startswith("106 ")  # and not 220, as a proxy would say


def test_machines_that_were_cut_apart_agree_again(site: MXSite) -> None:
    if not site.networks.real:
        pytest.skip("nothing can be cut without networks of one's own: needs root and `ip netns`")
    both, mine, yours = sender(), sender(), sender()
    with site.one, site.two:
        site.one.ask(both)
        wait_until("its wait", lambda: site.two.lets_in(both))
        wait_for_news(site.one, both)
        site.networks.cut(1)
        try:
            site.one.ask(mine)
            site.two.ask(yours)
            wait_until("its wait", lambda: site.one.lets_in(mine))
            wait_until("its wait", lambda: site.two.lets_in(yours))
            site.one.wait_for("cannot sync with peer")
            site.two.wait_for("cannot sync with peer")
        finally:
            site.networks.cut(1, cut=False)
        wait_for_news(site.one, yours)
        wait_for_news(site.two, mine)


def test_a_milter_greylist_is_one_of_them(site: MXSite) -> None:
    if not site.networks.real:
        pytest.skip("a milter-greylist calls from its own address only in a network of its own")
    ours, theirs = sender(), sender()
    with site.one, site.two:
        peer = RealPeer(site.networks, 2, site.port)
        try:
            site.one.ask(ours)
            wait_until("its wait", lambda: site.two.lets_in(ours))
            mail = f"mail {CLIENT} <{ours}> <{RECIPIENT}>"
            wait_until("the others' news", lambda: peer.say(mail) == "accept\n")
            # It makes wait for half an hour, and so does everybody who hears of it.
            assert peer.say(f"mail {CLIENT} <{theirs}> <{RECIPIENT}>") == "tempfail\n"
            site.one.wait_for(f"Incoming MX sync connection from {site.networks.host(2)}")
            wait_until("half an hour", lambda: "in 00:29:" in site.one.ask(theirs))
        finally:
            peer.close()
