"""A real Postfix asks at a PolicyDoor of this process: over TCP and over a local socket.

The whole program behind a Postfix is in test_policy_service.py; here the clock is the test's."""

import os
import secrets
import smtplib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Types import Policy
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules, DoorSettings
from Kamaelia.Apps.Grey.FrontDoor.PolicyDoor import PolicyDoor
from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import PolicyMemory
from Kamaelia.Apps.Grey.GreylistDecider import GreylistDecider
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Test.Kamaelia import tls
from Test.System.postfix_server import PostfixServer, door
from Test.System.processes import free_port, wait_until

pytestmark = pytest.mark.needs("postfix")

DELAY = 60
LETTER = b"Subject: %s\r\nFrom: a@example.net\r\n\r\nhello\r\n"


class Office:
    """What a GreyServer has for its doors."""

    def __init__(self, clock: Callable[[], float]) -> None:
        policy = Policy(delay_seconds=DELAY)
        self.clock = clock
        self.before_decider: Callable[[], component] | None = None
        self.store = StoreService(MemoryStore, policy.lifetimes, clock=clock)
        self.decider: component = GreylistDecider(policy, self.store, clock)
        self.rules: DoorRules | None = DoorRules(
            DoorSettings("mx.example.org", report=Report.ALL), clock
        )

    def new_id(self) -> str:
        return secrets.token_hex(5)


class PolicyServer:
    """An office with a port and a path, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.port, self.path = free_port(), path
        self.clock = FakeClock(1_800_000_000.0)
        self.office = Office(self.clock)
        self.memory = PolicyMemory()
        self.scheduler = scheduler()
        self.doors: list[ServerCore] = []
        self._thread = threading.Thread(target=self.scheduler.runThreads, daemon=True)

    def start(self) -> "PolicyServer":
        self.office.store.activate(self.scheduler)
        self.office.decider.activate(self.scheduler)
        self.open()
        self._thread.start()
        return self

    def stop(self) -> None:
        def stop() -> None:
            for one in self.doors:
                one.stop()
            for part in (self.office.decider, self.office.store):
                part.inboxes["control"].deliver(producerFinished())

        self.scheduler.call_from_thread(stop)
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()

    def open(self) -> None:
        """Listen."""
        local = socket.socket(socket.AF_UNIX)
        self.path.unlink(missing_ok=True)
        local.bind(str(self.path))
        self.path.chmod(0o666)
        local.listen(64)
        reuse = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.doors = [
            ServerCore(protocol=self._door, sock=local),
            ServerCore(protocol=self._door, host="127.0.0.1", port=self.port, socketOptions=reuse),
        ]
        for each in self.doors:
            each.activate(self.scheduler)

    def call(self, what: Callable[[], object]) -> None:
        """Do it in the scheduler's thread, and wait until it is done."""
        done = threading.Event()

        def do() -> None:
            what()
            done.set()

        self.scheduler.call_from_thread(do)
        assert done.wait(30)

    def drain(self) -> None:
        """As at the end of a program."""

        def tell() -> None:
            for each in self.doors:
                each.inboxes["control"].deliver(shutdownMicroprocess())

        self.call(tell)
        wait_until("the doors to close", lambda: all(each._isStopped() for each in self.doors))

    def _door(self, **peer: object) -> PolicyDoor:
        return PolicyDoor(self.office, memory=self.memory, **peer)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A place to which Postfix's users can come."""
    with tempfile.TemporaryDirectory(prefix="grey-policy-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[PolicyServer]:
    running = PolicyServer(folder / "policy").start()
    yield running
    running.stop()


class Site:
    """A Postfix with three ports: asks by TCP, asks by the local socket, lets mail in if it gets no
    answer."""

    def __init__(self, program: Path, server: PolicyServer, folder: Path) -> None:
        asks = f"check_policy_service inet:127.0.0.1:{server.port}"
        refuses = "check_recipient_access inline:{ fred@example.org=REJECT }"
        by_path = f"reject_unauth_destination, check_policy_service unix:{server.path}"
        self.local_port, self.open_port = free_port(), free_port()
        main = (
            f"smtpd_recipient_restrictions = reject_unauth_destination, {asks}, {refuses}\n"
            "smtpd_authorized_xclient_hosts = 127.0.0.1\n"
            f"smtpd_tls_cert_file = {folder}/server.pem\n"
            f"smtpd_tls_key_file = {folder}/server.pem\n"
            f"smtpd_tls_CAfile = {folder}/ca.pem\n"
            "smtpd_tls_security_level = may\n"
            "smtpd_tls_ask_ccert = yes\n"
        )
        certificate = tls.certificate().private_key_and_cert_chain_pem.bytes()
        (folder / "server.pem").write_bytes(certificate)
        tls.authority().cert_pem.write_to_path(str(folder / "ca.pem"))
        master = door(self.local_port, smtpd_recipient_restrictions=by_path)
        master += "tlsmgr unix - - n 1000? 1 tlsmgr\n"
        master += door(self.open_port, smtpd_policy_service_default_action="DUNNO")
        self.postfix = PostfixServer(program, main=main, master=master)

    def client(self, port: int = 0, xclient: dict[str, str] | None = None) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", port or self.postfix.port, timeout=30)
        if xclient:
            attributes = " ".join(f"{name}={value}" for name, value in xclient.items())
            assert client.docmd(f"XCLIENT {attributes}")[0] == 220
        client.ehlo("client.example.net")
        return client

    def try_to_send(
        self,
        sender: str,
        *recipients: str,
        port: int = 0,
        xclient: dict[str, str] | None = None,
    ) -> list[tuple[int, str]]:
        """The replies to the recipients, and, if one was taken, the one to the message."""
        with self.client(port, xclient) as client:
            assert client.mail(sender)[0] == 250
            replies = [client.rcpt(recipient) for recipient in recipients]
            if any(code == 250 for code, _ in replies):
                replies.append(client.data(LETTER % sender.encode("ascii", "replace")))
        return [(code, text.decode("ascii")) for code, text in replies]

    def delivered(self, user: str, sender: str) -> bytes:
        words = b"Subject: " + sender.encode()

        def found() -> list[bytes]:
            return [message for message in self.postfix.mailbox(user) if words in message]

        wait_until(f"mail of {sender} for {user}", found)
        (message,) = found()
        return message


@pytest.fixture(scope="module")
def site(find_program: Callable[[str], Path], server: PolicyServer, folder: Path) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("only root can start Postfix")
    made = Site(find_program("postfix"), server, folder)
    with made.postfix:
        yield made


@pytest.mark.parametrize("local", [False, True])
def test_mail_is_deferred_then_delivered_with_one_header(
    site: Site, server: PolicyServer, local: bool
) -> None:
    sender = f"retries{local:d}@example.net"
    port = site.local_port if local else 0
    both = ("anna@example.org", "bert@example.org")
    for code, text in site.try_to_send(sender, *both, port=port):
        assert code == 450
        assert text.startswith("4.7.1 <")
        assert ": Recipient address rejected: Greylisting in action, please come back in" in text
        assert text.endswith(")")
    server.clock.advance(DELAY + 5)
    assert [code for code, _ in site.try_to_send(sender, *both, port=port)] == [250, 250, 250]
    for user in ("anna", "bert"):
        message = site.delivered(user, sender)
        assert message.count(b"X-Greylist:") == 1
        assert b"X-Greylist: Delayed for 00:01:05 by kamaelia-grey (mx.example.org [127" in message


def test_a_later_refusal_wins_over_a_deferral(site: Site) -> None:
    ((code, text),) = site.try_to_send("refused@example.net", "fred@example.org")
    assert code == 554
    assert "Greylisting" not in text
    ((code, text),) = site.try_to_send("refused@example.net", "x@example.com")
    assert code == 554


def test_one_recipient_waits_and_another_does_not(site: Site, server: PolicyServer) -> None:
    sender = "known@example.net"
    site.try_to_send(sender, "anna@example.org")
    server.clock.advance(DELAY)
    replies = site.try_to_send(sender, "bert@example.org", "anna@example.org")
    assert [code for code, _ in replies] == [450, 250, 250]
    assert b"X-Greylist: Delayed for 00:01:00" in site.delivered("anna", sender)


@pytest.mark.parametrize(
    ("sender", "xclient"),
    [
        ("logged-in@example.net", {"LOGIN": "anna", "ADDR": "192.0.2.7"}),
        ("nowhere@example.net", {"ADDR": "[UNAVAILABLE]"}),
    ],
)
def test_whom_postfix_knows_does_not_wait(site: Site, sender: str, xclient: dict[str, str]) -> None:
    replies = site.try_to_send(sender, "carl@example.org", xclient=xclient)
    assert [code for code, _ in replies] == [250, 250]


@pytest.mark.parametrize(
    ("authority", "code"), [(tls.authority(), 250), (trustme.CA(), 450), (None, 450)]
)
def test_a_certificate_counts_if_postfix_has_verified_it(
    site: Site, authority: trustme.CA | None, code: int
) -> None:
    context = tls.client_context()
    if authority is not None:
        authority.issue_cert("mx.example.net", common_name="Müller").configure_cert(context)
    with site.client() as client:
        client._host = tls.NAME  # type: ignore[attr-defined]  # what the certificate is for
        client.starttls(context=context)
        client.ehlo("client.example.net")
        client.mail(f"certified{code}@example.net")
        assert client.rcpt("gina@example.org")[0] == code


def test_two_messages_of_one_connection_have_a_header_each(
    site: Site, server: PolicyServer
) -> None:
    senders = ("one@example.net", "two@example.net")
    for sender in senders:
        site.try_to_send(sender, "dora@example.org")
    server.clock.advance(DELAY)
    with site.client() as client:
        for sender in senders:
            assert client.mail(sender)[0] == client.rcpt("dora@example.org")[0] == 250
            assert client.data(LETTER % sender.encode())[0] == 250
    for sender in senders:
        assert site.delivered("dora", sender).count(b"X-Greylist:") == 1


@pytest.mark.parametrize("sender", [b'"a\x01%%s b"@example.net', b"", b'"a@b"@example.net'])
def test_odd_senders_are_as_good_as_others(site: Site, sender: bytes) -> None:
    with site.client() as client:
        client.send(b"MAIL FROM:<" + sender + b">\r\n")
        assert client.getreply()[0] == 250
        code, text = client.rcpt("emil@example.org")
    assert (code, text[:5]) == (450, b"4.7.1")


def test_without_us_mail_waits_or_not_as_postfix_is_told(site: Site, server: PolicyServer) -> None:
    before = site.client()
    assert before.mail("before@example.net")[0] == 250
    assert before.rcpt("emil@example.org")[0] == 450
    server.drain()
    ((code, text),) = site.try_to_send("down@example.net", "emil@example.org")
    assert (code, text[:5]) == (451, "4.3.5")
    replies = site.try_to_send("down@example.net", "emil@example.org", port=site.open_port)
    assert [code for code, _ in replies] == [250, 250]
    server.call(server.open)
    # A Postfix process whose connection we have closed finds the new one.
    code, text_ = before.rcpt("emil@example.org")
    assert (code, text_[:5]) == (450, b"4.7.1")
    before.quit()
