"""Real clients that encrypt, through the running program; its certificates by name, and renewed."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from Test.Peers import one_shot
from Test.Peers.arrivals import body_of, only_copy
from Test.Peers.exim import Exim
from Test.Peers.opensmtpd import OpenSmtpd
from Test.Peers.papers import Papers
from Test.Peers.peer import Peer
from Test.Peers.postfix import PostfixClient
from Test.Peers.sendmail import Sendmail
from Test.System.clients import Client, Mail
from Test.System.postfix_server import PostfixServer
from Test.System.processes import PATIENCE_SECONDS, Grey, free_port, wait_until

FindProgram = Callable[[str], Path]
NAME, OTHER = "mx.example.org", "mx.example.net"
FROM_A_FRIEND = "127.0.0.0/8"
# Postfix looks at the name in the certificate, too: the strictest that it has.
STRICT = """
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = {name}
smtp_tls_CAfile = {ca}
smtp_tls_loglevel = 1
"""
_handshake = {
    "postfix": r"Verified TLS connection established to .*\[127\.0\.0\.1\]:\d+: TLSv1\.3",
    "exim4-daemon-light": r"=> gina@example\.org .* X=TLS1\.3:",
    # Nobody has told it to: it encrypts wherever that is offered.
    "sendmail-bin": r">>> STARTTLS\n\d+ <<< 220 .*\n\d+ >>> EHLO ",
    "opensmtpd": r"mta tls ciphers=TLSv1\.3:",
}
pytestmark = pytest.mark.needs("postfix")


@dataclass(frozen=True, slots=True)
class Door:
    """kamaelia-grey with certificates, before a Postfix."""

    grey: Grey
    tls_port: int
    papers: Papers
    postfix: PostfixServer

    @property
    def port(self) -> int:
        return self.grey.address[1]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, postfix: PostfixServer) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    papers = Papers(folder)
    papers.issue("own", NAME)
    papers.issue("other", OTHER)
    tls_port, other = free_port(), papers.path("other")
    with Grey(
        folder,
        postfix.port,
        tls_certificate=papers.path("own"),
        tls_names=(f"{OTHER} {other} {other}",),
        tls_port=tls_port,
        allowed_sender_nets=FROM_A_FRIEND,
    ) as grey:
        yield Door(grey, tls_port, papers, postfix)


def run(command: list[object], words: bytes = b"") -> str:
    """Run a client to its end, with `words` as its input; all that it says."""
    done = subprocess.run(
        [str(word) for word in command],
        input=words,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, said
    return said


def check_delivery(door: Door, mail: Mail) -> None:
    assert body_of(only_copy(door.postfix, mail)) == body_of(mail.content())


# ---- clients without a queue: each is told to encrypt or fail, and whom to trust


def _swaks(door: Door, mail: Mail, letter: Path) -> list[object]:
    secure = ("--tls", "--tls-sni", NAME, "--tls-verify", "--tls-ca-path", door.papers.ca)
    return ["swaks", *secure, *one_shot.ONE_SHOT["swaks"](mail, letter, door.grey.address)]


def _curl(door: Door, mail: Mail, letter: Path) -> list[object]:
    return _some_curl(door, mail, letter, "smtp", door.port)


def _curls(door: Door, mail: Mail, letter: Path) -> list[object]:
    return _some_curl(door, mail, letter, "smtps", door.tls_port)


def _some_curl(door: Door, mail: Mail, letter: Path, scheme: str, port: int) -> list[object]:
    letter.write_bytes(mail.content())
    return [
        *("curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", door.papers.ca),
        *("--resolve", f"{NAME}:{port}:127.0.0.1", f"{scheme}://{NAME}:{port}/{one_shot.HELO}"),
        *("--mail-from", mail.sender, "--mail-rcpt", mail.recipient, "--upload-file", letter),
    ]


def _msmtp(door: Door, mail: Mail, letter: Path) -> list[object]:
    secure = ("--tls=on", "--tls-starttls=on", f"--tls-trust-file={door.papers.ca}")
    options = one_shot.ONE_SHOT["msmtp"](mail, letter, door.grey.address)
    return ["msmtp", *secure, f"--tls-host-override={NAME}", *options]


ONE_SHOT: dict[str, Callable[[Door, Mail, Path], list[object]]] = {
    "swaks": _swaks,
    "curl": _curl,
    "curl-smtps": _curls,
    "msmtp": _msmtp,
}


@pytest.mark.needs("swaks", "curl", "msmtp")
@pytest.mark.parametrize("name", ONE_SHOT)
def test_clients_that_must_encrypt_and_look_at_the_name_deliver(
    name: str, door: Door, find_program: FindProgram, tmp_path: Path
) -> None:
    mail = Mail(f"tls-{name}", size=100_000, recipient="fred@example.org")
    letter = tmp_path / "letter"
    program, *options = ONE_SHOT[name](door, mail, letter)
    run([find_program(str(program)), *options], letter.read_bytes())
    check_delivery(door, mail)


# ---- mail servers as clients


@contextlib.contextmanager
def encrypting(
    name: str, folder: Path, door: Door, find_program: FindProgram
) -> Iterator[Peer | PostfixServer]:
    """The mail server of that name, told to hand its mail on with TLS only, if it can be told."""
    match name:
        case "postfix":
            strict = STRICT.format(name=NAME, ca=door.papers.ca)
            made: Peer | PostfixServer = PostfixClient(find_program(name), door.port, strict)
        case "exim4-daemon-light":
            made = Exim(folder, "example.net", door.port, tls=True)
        case "sendmail-bin":
            made = Sendmail(folder, door.port)
        case _:
            made = OpenSmtpd(folder, "example.net", door.port, tls=True)
    with made as server:
        yield server


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in _handshake]
)
def test_mail_servers_that_encrypt_deliver(
    name: str, door: Door, find_program: FindProgram, tmp_path: Path
) -> None:
    mail = Mail(f"tls-{name}", size=100_000, recipient="gina@example.org")
    with encrypting(name, tmp_path, door, find_program) as client:
        with Client(("127.0.0.1", client.port)) as session:
            assert session.begin(mail.sender, [mail.recipient])[0].code == 250
            assert session.give(mail.content()).code == 250
        try:
            wait_until("its queue to be empty", lambda: client.queued() == 0)
        except TimeoutError as error:
            error.add_note(client.said())
            raise
        assert re.search(_handshake[name], client.said()), client.said()
    check_delivery(door, mail)


# ---- which certificate


def shown(port: int, name: str = "", ca: Path | None = None, starttls: bool = True) -> str:
    """The certificate that `openssl s_client` is shown; with `ca` it has to be good for `name`."""
    command: list[object] = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"]
    command += ["-starttls", "smtp"] if starttls else []
    command += ["-servername", name] if name else ["-noservername"]
    if ca is not None:
        command += ["-CAfile", ca, "-verify_return_error", "-verify_hostname", name]
    said = run([*command, "-ign_eof"], b"QUIT\r\n")
    found = re.search(r"-----BEGIN CERT.*?-----END CERTIFICATE-----", said, re.DOTALL)
    assert found, said
    return found[0]


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("starttls", [True, False])
def test_each_name_has_its_certificate(door: Door, starttls: bool) -> None:
    port = door.port if starttls else door.tls_port
    own, other = (door.papers.path(name).read_text("ascii") for name in ("own", "other"))
    assert shown(port, NAME, door.papers.ca, starttls) in own
    assert shown(port, OTHER, door.papers.ca, starttls) in other
    assert shown(port, OTHER.upper(), None, starttls) in other
    for nobody in ("", "no.such.name.example"):
        assert shown(port, nobody, None, starttls) in own


@pytest.mark.needs("openssl")
def test_a_renewed_certificate_is_shown_after_hup_and_a_broken_one_is_not(door: Door) -> None:
    before = shown(door.port, OTHER)
    renewed = door.papers.issue("other", OTHER)
    assert renewed != before
    with Client(door.grey.address) as old:
        os.kill(door.grey.pid, signal.SIGHUP)
        wait_until("the new certificate", lambda: shown(door.port, OTHER) == renewed)
        assert shown(door.tls_port, OTHER, starttls=False) == renewed
        assert old.ask("NOOP").code == 250
    door.papers.path("other").write_text("half of a fi", encoding="ascii")
    reads = len(re.findall(r"configuration stays as it was|stays in force", door.grey.said()))
    os.kill(door.grey.pid, signal.SIGHUP)
    door.grey.wait_for(r"configuration stays as it was|stays in force", reads + 1)
    assert shown(door.port, OTHER) == renewed
