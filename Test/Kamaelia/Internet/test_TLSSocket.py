"""A socket that encrypts, over sockets that take and give bytes in pieces of any size."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from random import Random

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Internet.TLSSocket import TLSSocket
from Test.Kamaelia.network import pattern
from Test.Kamaelia.tls import NAME, client_context, limited_to, server_context


class Wire:
    """One direction: bytes under way."""

    def __init__(self) -> None:
        self.bytes = b""
        self.seen = b""
        self.ended = False


class FakeSocket:
    """An end of two wires that gives and takes as many bytes at a time as it is told; 0: none for
    now."""

    def __init__(self, incoming: Wire, outgoing: Wire, sizes: Iterator[int]) -> None:
        self.incoming, self.outgoing, self.sizes = incoming, outgoing, sizes
        self.closed = False
        self.error: OSError | None = None

    def recv(self, size: int) -> bytes:
        size = min(size, next(self.sizes))
        if not size or (not self.incoming.bytes and not self.incoming.ended):
            raise BlockingIOError
        data, self.incoming.bytes = self.incoming.bytes[:size], self.incoming.bytes[size:]
        return data

    def send(self, data: memoryview) -> int:
        if self.error is not None:
            raise self.error
        size = min(len(data), next(self.sizes))
        if not size:
            raise BlockingIOError
        self.outgoing.bytes += bytes(data[:size])
        self.outgoing.seen += bytes(data[:size])
        return size

    def shutdown(self, how: int) -> None:
        self.outgoing.ended = True

    def close(self) -> None:
        self.closed = True


class Pair:
    """A server and a client on one pair of wires."""

    def __init__(
        self,
        sizes: Iterator[int] | None = None,
        server: ssl.SSLContext | None = None,
        client: ssl.SSLContext | None = None,
        first: bytes = b"",
        name: str = NAME,
    ) -> None:
        sizes = sizes or repeat(1 << 20)
        up, down = Wire(), Wire()
        self.plain_server = FakeSocket(up, down, sizes)
        self.plain_client = FakeSocket(down, up, sizes)
        self.server = TLSSocket(
            self.plain_server,  # type: ignore[arg-type]
            server or server_context(),
            server_side=True,
            first=first,
        )
        self.client = TLSSocket(
            self.plain_client,  # type: ignore[arg-type]
            client or client_context(),
            server_hostname=name,
        )

    def shake_hands(self) -> "Pair":
        for _ in range(100_000):
            if self.server.handshake() & self.client.handshake():
                return self
        raise AssertionError("the handshake never ends")


def sent(sender: TLSSocket, receiver: TLSSocket, data: bytes) -> bytes:
    """Send all of it, in turns with the receiver; what came."""
    came = b""
    rest = memoryview(data)
    for _ in range(1_000_000):
        if rest:
            with suppress(BlockingIOError):
                rest = rest[sender.send(rest) :]
        with suppress(BlockingIOError):
            came += receiver.recv(65_536)
        if not rest and len(came) >= len(data):
            return came
    raise AssertionError(f"{len(came)} of {len(data)} bytes came")


SIZES = st.tuples(
    st.lists(st.sampled_from([0, 1, 7, 100, 4000, 70_000]), min_size=1, max_size=6),
    st.integers(0, 1 << 32),
)


def drawn(sizes: tuple[list[int], int]) -> Iterator[int]:
    """Sizes out of the list, and some that let it go on whatever is in there."""
    chance = Random(sizes[1])
    while True:
        yield chance.choice([*sizes[0], 0, 900])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, length=st.sampled_from([1, 100, 16_385, 40_000]))
def test_all_arrives_however_the_wire_cuts_it(
    version: ssl.TLSVersion, sizes: tuple[list[int], int], length: int
) -> None:
    pair = Pair(drawn(sizes), limited_to(version, server_context())).shake_hands()
    data = pattern(length)
    assert sent(pair.client, pair.server, data) == data
    assert sent(pair.server, pair.client, data) == data
    assert b"00000001" not in pair.plain_client.outgoing.seen + pair.plain_server.outgoing.seen


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES)
def test_the_end_is_told_however_the_wire_cuts_it(sizes: tuple[list[int], int]) -> None:
    pair = Pair(drawn(sizes)).shake_hands()
    assert sent(pair.client, pair.server, b"last") == b"last"
    while not pair.client.end():
        pass
    for _ in range(10_000):
        try:
            assert pair.server.recv(65_536) == b""
            break
        except BlockingIOError:
            pass
    else:
        raise AssertionError("no end came")


def test_bytes_that_had_to_leave_first_leave_unencrypted_and_before_all_else() -> None:
    pair = Pair(repeat(1), first=b"220 go ahead\r\n")
    for _ in range(14):
        pair.plain_client.incoming.bytes = b""  # as if read
        assert not pair.server.handshake()
    assert pair.plain_server.outgoing.seen[:14] == b"220 go ahead\r\n"
    assert pair.plain_server.outgoing.seen[14:] == b""


def test_nothing_is_sent_before_the_handshake_is_done() -> None:
    pair = Pair()
    with pytest.raises(BlockingIOError):
        pair.client.send(b"secret")
    assert pair.plain_client.outgoing.seen == b""


def test_what_came_with_the_end_of_the_handshake_is_pending() -> None:
    pair = Pair(server=limited_to(ssl.TLSVersion.TLSv1_3, server_context()))
    while not pair.client.handshake():
        pair.server.handshake()
    pair.client.send(b"early")
    assert pair.server.handshake()
    assert pair.server.pending
    assert pair.server.recv(65_536) == b"early"
    assert not pair.server.pending


def test_data_and_the_end_in_one_read_are_told_one_after_the_other() -> None:
    pair = Pair().shake_hands()
    pair.client.send(b"last words")
    assert pair.client.end()
    assert pair.server.recv(65_536) == b"last words"
    assert pair.server.pending
    assert pair.server.recv(65_536) == b""
    assert pair.server.send(b"still") == 5  # the end is one of the two directions'


def test_data_and_rubbish_in_one_read_are_told_one_after_the_other() -> None:
    pair = Pair().shake_hands()
    pair.client.send(b"last words")
    pair.plain_client.outgoing.bytes += b"rubbish, and enough of it to be a record\r\n"
    assert pair.server.recv(65_536) == b"last words"
    assert pair.server.pending
    with pytest.raises(ssl.SSLError):
        pair.server.recv(65_536)
    with pytest.raises(ssl.SSLError):
        pair.server.send(b"too late")
    with pytest.raises(ssl.SSLError, match="alert"):
        pair.client.recv(65_536)  # it is told


def test_a_connection_that_is_cut_off_is_an_error_unless_it_does_not_matter() -> None:
    pair = Pair().shake_hands()
    pair.plain_client.shutdown(socket.SHUT_WR)
    with pytest.raises(ssl.SSLEOFError, match="may not be all"):
        pair.server.recv(65_536)
    pair.server.lenient = True
    assert pair.server.recv(65_536) == b""


def test_after_our_end_what_comes_is_not_looked_at() -> None:
    pair = Pair().shake_hands()
    assert pair.server.end()
    pair.plain_client.outgoing.bytes += b"rubbish"
    assert pair.server.recv(65_536) == b"rubbish"
    pair.plain_client.shutdown(socket.SHUT_WR)
    assert pair.server.recv(65_536) == b""


def test_an_empty_message_is_sent_by_doing_nothing() -> None:
    pair = Pair().shake_hands()
    before = len(pair.plain_client.outgoing.seen)
    assert pair.client.send(b"") == 0
    assert len(pair.plain_client.outgoing.seen) == before


def test_no_more_is_encrypted_than_a_little_ahead() -> None:
    sizes = iter([*repeat(1 << 20, 40)])
    pair = Pair(sizes).shake_hands()
    pair.plain_client.sizes = repeat(0)
    for _ in range(5):
        with pytest.raises(BlockingIOError):
            pair.client.send(bytes(1 << 20))
    assert pair.client.blocked
    pair.plain_client.sizes = repeat(1 << 20)
    assert pair.client.send(bytes(1 << 20)) == 65_536
    assert not pair.client.blocked
    assert len(pair.plain_client.outgoing.seen) < 100_000


def test_a_view_of_wider_items_is_sent_to_its_last_byte() -> None:
    pair = Pair().shake_hands()
    assert pair.client.send(memoryview(bytes(8)).cast("I")) == 8


# ---- handshakes that fail


def test_each_thing_that_can_be_wrong_with_a_certificate_is_told() -> None:
    for pair, text in (
        (Pair(name="other.example.org"), "mail.example.org|mismatch"),
        (Pair(client=client_context(trustme.CA())), "unable to get local issuer"),
        (Pair(server=server_context(expired=True)), "expired"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError, match=text):
            pair.shake_hands()
        with pytest.raises(ssl.SSLError):  # and the server hears why, in an alert
            pair.server.handshake()


@pytest.mark.parametrize("wire", [b"EHLO example.org\r\n", b"GET / HTTP/1.0\r\n\r\n"])
def test_a_client_that_does_not_encrypt_is_an_error(wire: bytes) -> None:
    pair = Pair()
    pair.plain_client.outgoing.bytes = wire
    with pytest.raises(ssl.SSLError):
        pair.server.handshake()


def test_a_server_that_does_not_encrypt_is_an_error() -> None:
    pair = Pair()
    pair.plain_server.outgoing.bytes = b"220 mail.example.org ESMTP\r\n"
    with pytest.raises(ssl.SSLError):
        pair.client.handshake()


def test_a_peer_that_hangs_up_in_the_handshake_is_an_error() -> None:
    pair = Pair()
    assert not pair.server.handshake()
    pair.plain_client.shutdown(socket.SHUT_WR)
    with pytest.raises(ssl.SSLEOFError, match="handshake"):
        pair.server.handshake()


@pytest.mark.parametrize("name", [None, "", ".example.org", "a" * 300])
def test_a_name_that_cannot_be_checked_is_an_error_at_once(name: str | None) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ssl.SSLError, match="TLS"):
        TLSSocket(ours, client_context(), server_hostname=name)


def test_a_context_of_the_other_side_is_an_error_at_once() -> None:
    ours, theirs = socket.socketpair()
    client = client_context()
    client.check_hostname = False  # older Pythons would warn of that first
    with ours, theirs:
        with pytest.raises(ssl.SSLError):
            TLSSocket(ours, client, server_side=True)
        with pytest.raises(ssl.SSLError):
            TLSSocket(ours, server_context(), server_hostname=NAME)


def test_what_was_agreed_on_is_known() -> None:
    server, client = server_context(), client_context()
    server.set_alpn_protocols(["smtp"])
    client.set_alpn_protocols(["http/1.1", "smtp"])
    pair = Pair(server=server, client=client).shake_hands()
    assert pair.client.info.version == "TLSv1.3"
    assert pair.client.info.protocol == "smtp"
    assert "AES" in pair.client.info.cipher or "CHACHA" in pair.client.info.cipher
    assert pair.client.info.certificate is not None
    assert pair.server.info.certificate is None


def test_a_wire_that_breaks_is_an_error_of_the_send() -> None:
    pair = Pair().shake_hands()
    pair.plain_client.error = ConnectionResetError()
    with pytest.raises(ConnectionResetError):
        pair.client.send(b"x")


def test_the_systems_default_does_not_trust_the_authority_of_these_tests() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Pair(client=ssl.create_default_context()).shake_hands()


class Renegotiating:
    """An SSLObject in the middle of a renegotiation, as TLS 1.2 knows it: it writes nothing before
    it has read."""

    def __init__(self, real: ssl.SSLObject) -> None:
        self.real = real
        self.asked_to_write = 0

    def write(self, data: memoryview) -> int:
        self.asked_to_write += 1
        raise ssl.SSLWantReadError

    def read(self, size: int) -> bytes:
        return self.real.read(size)


def test_in_a_renegotiation_sending_waits_for_what_comes() -> None:
    pair = Pair().shake_hands()
    real = pair.client._object
    pair.client._object = Renegotiating(real)  # type: ignore[assignment]
    with pytest.raises(BlockingIOError):
        pair.client.send(b"hello")
    assert pair.client.waits_for_input
    assert not pair.client.blocked
    pair.server.send(b"something")
    assert pair.client.recv(65_536) == b"something"
    assert not pair.client.waits_for_input
    pair.client._object = real
    assert sent(pair.client, pair.server, b"hello") == b"hello"
