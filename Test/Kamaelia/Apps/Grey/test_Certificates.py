"""Certificates: which one a client sees, what a new or a bad file does, and when one is over."""

import datetime
import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Certificates import (
    CertificateError,
    CertificatePair,
    Certificates,
    _not_after,
    backend_context,
    certificates_of,
    server_context,
)
from Kamaelia.Apps.Grey.Config.Schema import Config
from Test.Kamaelia import tls

Make = Callable[..., CertificatePair]
DAY = 86_400.0


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a pair of files for these names, under the name of the first."""

    def write(
        *names: str, file: str = "", until: datetime.datetime | None = None
    ) -> CertificatePair:
        leaf = tls.authority().issue_cert(*names, not_after=until)
        stem = file or names[0].replace("*", "any")
        pair = CertificatePair(tmp_path / f"{stem}.pem", tmp_path / f"{stem}.key")
        pair.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        pair.key.write_bytes(leaf.private_key_pem.bytes())
        return pair

    return write


def shake_hands(
    server: ssl.SSLContext | None, client: ssl.SSLContext, name: str | None
) -> ssl.SSLObject:
    """Both ends in memory; the client's, once both agree."""
    assert server is not None
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    answering = server.wrap_bio(there, here, server_side=True)
    asking = client.wrap_bio(here, there, server_hostname=name)
    for _ in range(10):
        for end in (asking, answering):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    assert asking.version() is not None
    return asking


def names_shown(certificates: Certificates, name: str | None = None) -> set[str]:
    """For which names is the certificate that a client sees who asks for that one?"""
    context = tls.client_context()
    context.check_hostname = False
    seen: Any = shake_hands(certificates.context(), context, name).getpeercert()
    return {value for _, value in seen["subjectAltName"]}


def certificate_until(make: Make, until: datetime.datetime) -> bytes:
    text = make("mx.example.org", until=until).certificate.read_text()
    return ssl.PEM_cert_to_DER_cert(text[: text.index("-----END") + 25])


# ---- which one


def test_without_files_there_is_no_tls() -> None:
    nothing = Certificates(None)
    assert nothing.context() is None
    assert not nothing.changed()
    assert nothing.reload() == []
    assert nothing.expiring(0) == []


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (None, "mx.example.org"),
        ("elsewhere.example.com", "mx.example.org"),
        ("mail.example.net", "mail.example.net"),
        ("MAIL.Example.NET", "mail.example.net"),
        ("a.lists.example.org", "*.lists.example.org"),
        ("a.b.lists.example.org", "mx.example.org"),
        ("lists.example.org", "mx.example.org"),
    ],
)
def test_a_client_sees_the_certificate_for_the_name_that_it_asks_for(
    make: Make, asked: str | None, shown: str
) -> None:
    certificates = Certificates(
        make("mx.example.org"),
        {
            "Mail.example.net": make("mail.example.net"),
            "*.lists.example.org": make("*.lists.example.org"),
        },
    )
    assert names_shown(certificates, asked) == {shown}


def test_without_a_default_the_first_name_is_shown_to_who_names_nobody(make: Make) -> None:
    certificates = Certificates(None, {"mail.example.net": make("mail.example.net")})
    assert names_shown(certificates) == {"mail.example.net"}


def test_old_versions_of_tls_are_refused_and_nobody_must_show_a_certificate(make: Make) -> None:
    context = Certificates(make("mx.example.org")).context()
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert not [each for each in context.get_ciphers() if "NULL" in each["name"]]


def test_one_file_may_hold_both(make: Make) -> None:
    pair = make("mx.example.org")
    pair.certificate.write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())
    certificates = certificates_of(Config(tls_certificate=pair.certificate))
    assert names_shown(certificates) == {"mx.example.org"}


def test_a_configuration_names_them(make: Make) -> None:
    default, other = make("mx.example.org"), make("mail.example.net")
    config = Config(
        tls_certificate=default.certificate,
        tls_key=default.key,
        tls_names=(("mail.example.net", other.certificate, other.key),),
    )
    assert names_shown(certificates_of(config), "mail.example.net") == {"mail.example.net"}
    assert certificates_of(Config()).context() is None


# ---- bad ones


def test_a_file_that_is_missing_is_named(make: Make) -> None:
    pair = make("mx.example.org")
    pair.key.unlink()
    with pytest.raises(CertificateError, match=rf"{pair.key}: No such file"):
        Certificates(pair)


def test_a_pipe_is_not_waited_for(make: Make) -> None:
    pair = make("mx.example.org")
    pair.key.unlink()
    os.mkfifo(pair.key)
    with pytest.raises(CertificateError, match=rf"{pair.key}: is no file"):
        Certificates(pair)


def test_the_key_of_another_certificate_is_said(make: Make) -> None:
    one, other = make("mx.example.org"), make("mail.example.net")
    with pytest.raises(CertificateError, match=rf"{one.certificate}.*{other.key} belongs to"):
        Certificates(CertificatePair(one.certificate, other.key))


def test_a_file_that_holds_something_else_is_said(make: Make) -> None:
    pair = make("mx.example.org")
    pair.certificate.write_text("# nothing yet\n")
    with pytest.raises(CertificateError, match=str(pair.certificate)):
        Certificates(pair)


def test_an_encrypted_key_does_not_make_us_wait_for_a_password(make: Make) -> None:
    pair = make("mx.example.org")
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    pair.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match=rf"{pair.key} is encrypted"):
        server_context(pair)


# ---- new ones


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_files_are_looked_at_once_a_minute(make: Make) -> None:
    clock = Clock()
    certificates = Certificates(make("mx.example.org"), clock=clock)
    assert not certificates.changed()
    make("mail.example.net", file="mx.example.org")
    clock.now += 59
    assert not certificates.changed()
    clock.now += 2
    assert certificates.changed()
    assert certificates.reload() == []
    assert names_shown(certificates) == {"mail.example.net"}
    clock.now += 61
    assert not certificates.changed()


def test_names_work_after_the_default_was_replaced(make: Make) -> None:
    certificates = Certificates(
        make("mx.example.org"), {"mail.example.net": make("mail.example.net")}
    )
    make("mx2.example.org", file="mx.example.org")
    assert certificates.reload() == []
    assert names_shown(certificates, "mail.example.net") == {"mail.example.net"}
    assert names_shown(certificates) == {"mx2.example.org"}


def test_a_bad_new_pair_keeps_the_old_one_and_no_other(make: Make) -> None:
    default, other = make("mx.example.org"), make("mail.example.net")
    certificates = Certificates(default, {"mail.example.net": other})
    default.certificate.write_bytes(other.certificate.read_bytes())  # its key comes later
    make("mail.example.net", "new.example.net", file="mail.example.net")
    (problem,) = certificates.reload()
    assert str(default.key) in problem
    assert "stays in force" in problem
    assert names_shown(certificates) == {"mx.example.org"}
    assert names_shown(certificates, "mail.example.net") == {"mail.example.net", "new.example.net"}
    assert certificates.reload() == []  # said once, until the files change again
    default.key.write_bytes(other.key.read_bytes())
    default.certificate.write_bytes(other.certificate.read_bytes())
    assert certificates.reload() == []
    assert "mail.example.net" in names_shown(certificates)


def test_a_file_that_is_gone_keeps_the_old_one(make: Make) -> None:
    pair = make("mx.example.org")
    certificates = Certificates(pair)
    pair.certificate.unlink()
    assert certificates.changed()
    (problem,) = certificates.reload()
    assert f"{pair.certificate}: No such file" in problem
    assert names_shown(certificates) == {"mx.example.org"}


def test_a_connection_in_the_middle_is_not_disturbed(make: Make) -> None:
    certificates = Certificates(make("mx.example.org"))
    context = certificates.context()
    make("mail.example.net", file="mx.example.org")
    certificates.reload()
    assert certificates.context() is not context
    assert shake_hands(context, tls.client_context(), "mx.example.org").version()


# ---- their end


@pytest.mark.parametrize(
    ("days", "said"), [(13, "expires on 2026-11-01"), (15, ""), (-1, "has expired on 2026-11-01")]
)
def test_a_certificate_that_is_nearly_over_is_said(make: Make, days: float, said: str) -> None:
    until = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
    pair = make("mx.example.org", until=until)
    lines = Certificates(pair).expiring(until.timestamp() - days * DAY)
    if not said:
        assert lines == []
        return
    (line,) = lines
    assert f"{pair.certificate} {said} 12:00 UTC" in line


@pytest.mark.parametrize("year", [2026, 2049, 2050, 2199])
def test_dates_of_both_kinds_are_read(make: Make, year: int) -> None:
    until = datetime.datetime(year, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
    assert _not_after(certificate_until(make, until)) == until.timestamp()


def test_what_cannot_be_read_is_said(make: Make) -> None:
    pair = make("mx.example.org")
    certificates = Certificates(pair)
    for text in ("nothing", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"):
        pair.certificate.write_text(text)
        (line,) = certificates.expiring(0)
        assert str(pair.certificate) in line
        assert "cannot be read" in line


@settings(max_examples=50, deadline=None)
@given(cut=st.integers(0, 400), at=st.integers(0, 200), value=st.integers(0, 255))
def test_a_damaged_certificate_is_a_value_error_or_a_date(cut: int, at: int, value: int) -> None:
    leaf = tls.certificate().cert_chain_pems[0].bytes().decode()
    der = bytearray(ssl.PEM_cert_to_DER_cert(leaf))
    der[at] = value
    with suppress(ValueError):
        assert _not_after(bytes(der[: len(der) - cut])) > -1e11


# ---- to the real mail server


def test_no_encryption_is_no_context() -> None:
    assert backend_context("off") is None
    with pytest.raises(ValueError, match="no way to encrypt"):
        backend_context("perhaps")


@pytest.mark.parametrize(("mode", "trusted"), [("may", True), ("require", True), ("verify", False)])
def test_only_verify_looks_at_the_certificate(mode: str, trusted: bool, tmp_path: Path) -> None:
    other = trustme.CA()
    ca = tmp_path / "ca.pem"
    other.cert_pem.write_to_path(str(ca))
    context = backend_context(mode, ca)
    assert context is not None
    server = tls.server_context()
    if trusted:
        assert shake_hands(server, context, tls.NAME).version()
        return
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, context, tls.NAME)


def test_verify_takes_what_the_authority_has_signed_for_that_name(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    tls.authority().cert_pem.write_to_path(str(ca))
    context = backend_context("verify", ca)
    assert context is not None
    assert shake_hands(tls.server_context(), context, tls.NAME).version()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tls.server_context(), context, "other.example.org")
    system = backend_context("verify")
    assert system is not None
    assert system.verify_mode == ssl.CERT_REQUIRED
    assert system.check_hostname


def test_a_bad_file_of_authorities_is_said(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"none\.pem: No such file"):
        backend_context("verify", tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("hello\n")
    with pytest.raises(CertificateError, match=r"bad\.pem: holds no certificate"):
        backend_context("verify", tmp_path / "bad.pem")


def test_the_context_works_on_a_real_socket(make: Make) -> None:
    certificates = Certificates(make("mx.example.org"), {"*.example.net": make("*.example.net")})
    context = certificates.context()
    assert context is not None
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            sock, _ = door.accept()
            with closing(context.wrap_socket(sock, server_side=True)) as peer:
                peer.sendall(b"220 hello\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        plain = socket.create_connection(door.getsockname(), timeout=10)
        with tls.client_context().wrap_socket(plain, server_hostname="a.example.net") as client:
            assert client.recv(100) == b"220 hello\r\n"
        thread.join(10)
