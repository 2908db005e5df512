"""
The SMTP parsers, and that of PROXY headers, as targets
=======================================================
See Targets.py. Sessions are judged by Smuggling.py, and by what must hold for each message that
comes to its end; a parser of streams must not care in which slices the stream comes.
"""

# ruff: noqa: S101 - a target asserts, as a test does

from __future__ import annotations

import contextlib
import re

from Readers import ABILITIES, EAGER, LIMITS, READINGS
from Smuggling import judge, judge_replies
from Target import Target, slices

from Kamaelia.Support.Protocol.ProxyHeader import ProxyHeaderError, ProxyHeaderParser
from Kamaelia.Support.Protocol.SMTP.Address import parse_path
from Kamaelia.Support.Protocol.SMTP.Body import BodyLimits, BodyScanner
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientGreeting import TLSPolicy
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Commands import parse_command, parse_parameters
from Kamaelia.Support.Protocol.SMTP.Events import (
    AuthRequested,
    AuthResponse,
    DataReceived,
    DataRequested,
    MessageComplete,
    MessageFailed,
    Ready,
    ReplyReceived,
    TLSRequested,
    TLSWanted,
)
from Kamaelia.Support.Protocol.SMTP.Replies import (
    RefusedError,
    Reply,
    ReplyParser,
    ReplySyntaxError,
)
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession
from Kamaelia.Support.Protocol.SMTP.Xclient import parse_xclient

EVERYTHING = Capabilities(
    size=100_000,
    size_offered=True,
    eightbitmime=True,
    smtputf8=True,
    dsn=True,
    pipelining=True,
    starttls=True,
    auth=(b"PLAIN", b"LOGIN"),
    chunking=True,
    deliverby=True,
    mt_priority=True,
    requiretls=True,
)
_control = re.compile(rb"[\x00-\x1f\x7f]").search
_control_text = re.compile(r"[\x00-\x1f\x7f]").search
_bare = re.compile(rb"\r(?!\n)|(?<!\r)\n").search
GREETED = b"EHLO client.example\r\n"
ENVELOPE = b"MAIL FROM:<good@b>\r\nRCPT TO:<c@d>\r\n"
MAIL = ENVELOPE + b"DATA\r\n"
EVIL = b"MAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nevil\r\n.\r\n"


def smtp_session(data: bytes) -> None:
    """A client's bytes, from the first one on."""
    _judge(data, b"")


def smtp_smuggling(data: bytes) -> None:
    """A message's bytes, with a second transaction behind them."""
    _judge(data[:1] + data[2:] + EVIL, GREETED + MAIL + b"text", data[1:2])


def _judge(data: bytes, before: bytes, choice: bytes = b"") -> None:
    pieces = ([before] if before else []) + slices(data)
    number = choice[0] if choice else len(data)
    reading = READINGS[number % len(READINGS)]
    limits = EAGER if number & 1 else LIMITS
    found = judge(before + data[1:], pieces, reading, bool(number & 2), limits)
    assert not found, f"{reading.name}: {found}"


def smtp_hostile_server(data: bytes) -> None:
    """What the real server says; 0xFE stands between what it says at one time and at the next."""
    size = data[0] if data else 1
    friendly = [b"220 mx\r\n", b"250-mx\r\n250 PIPELINING\r\n"] if size & 1 else []
    found = judge_replies([*friendly, *data[1:].split(b"\xfe")], size or 1)
    assert not found, found


def smtp_reply(data: bytes) -> None:
    whole, sliced = (_replies(pieces) for pieces in ([data[1:]], slices(data)))
    assert whole == sliced, (whole, sliced)
    for reply in whole:
        if isinstance(reply, Reply):
            assert not any(map(_control, reply.lines)), reply
            assert all(len(line) <= 512 for line in reply.to_wire().splitlines(keepends=True))
            assert Reply(reply.code, reply.lines) == reply  # it would be taken as our own, too
            assert "\n" not in reply.text


def _replies(pieces: list[bytes]) -> list[object]:
    parser, found = ReplyParser(), list[object]()
    try:
        for piece in pieces:
            parser.receive_data(piece)
            while (reply := parser.next_reply()) is not None:
                found.append(reply)
    except ReplySyntaxError as error:
        found.append(str(error))
    return found


def smtp_body(data: bytes) -> None:
    """One piece or many: the same end, the same fault, the same message unless it is faulty."""
    limits = BodyLimits(line_bytes=40, message_bytes=300)
    whole, sliced = (_body(pieces, limits) for pieces in ([data[1:]], slices(data)))
    assert whole[1:] == sliced[1:], (whole, sliced)
    body, (ended, fault, rest) = whole[0], whole[1:]
    assert b"\0" not in body
    assert not _bare(body.removesuffix(b"\r") if not ended else body), body
    if fault is None and ended:
        assert body == sliced[0]
        assert body + b".\r\n" + rest == data[1:], whole
    assert b"\r\n.\r\n" not in b"\r\n" + body


def _body(pieces: list[bytes], limits: BodyLimits) -> tuple[bytes, bool, object, bytes]:
    scanner, passed, rest = BodyScanner(limits), b"", b""
    for piece in pieces:
        if scanner.ended:
            rest += piece
        else:
            passed += scanner.receive_data(piece)
            rest += scanner.rest if scanner.ended else b""
    return passed, scanner.ended, scanner.fault, rest


def smtp_address(data: bytes) -> None:
    flags = data[0] if data else 0
    utf8, recipient = bool(flags & 1), bool(flags & 2)
    try:
        path, rest = parse_path(data[1:], smtputf8=utf8, recipient=recipient)
    except RefusedError as refused:
        _check_refusal(refused)
        return
    assert not _control(path.raw), path
    assert not _control(path.local + path.domain), path
    assert utf8 or path.raw.isascii(), path
    assert len(path.raw) <= 254, path
    assert path.raw.endswith(path.domain)
    assert "\n" not in path.text
    again, nothing = parse_path(b"<%b>" % path.raw, smtputf8=utf8, recipient=recipient)
    assert (again, nothing) == (path, b"")
    assert rest == rest.strip(b" ")


def smtp_command(data: bytes) -> None:
    """A line without its end, as ServerSession gives it: with no NUL, CR or LF in it."""
    line = data.translate(None, b"\0\r\n")
    try:
        command = parse_command(line)
        assert command.verb.isascii()
        assert command.verb.isalpha()
        for verb in ("MAIL", "RCPT"):
            with contextlib.suppress(RefusedError):
                found = parse_parameters(command.argument, for_verb=verb, capabilities=ABILITIES)
                for keyword, value in found.items():
                    assert keyword == keyword.upper()
                    assert value is None or not re.search(rb"[\x00- \x7f-\xff]", value), found
    except RefusedError as refused:
        _check_refusal(refused)


def smtp_xclient(data: bytes) -> None:
    try:
        found = parse_xclient(data.translate(None, b"\0\r\n"))
    except RefusedError as refused:
        _check_refusal(refused)
        return
    for name, value in found.items():
        assert name == name.upper()
        assert value is None or not _control_text(value), found


def _check_refusal(refused: RefusedError) -> None:
    wire = refused.reply.to_wire()
    assert refused.reply.code >= 400, wire
    assert wire.count(b"\n") == wire.count(b"\r\n") == len(refused.reply.lines), wire


def smtp_extensions(data: bytes) -> None:
    """STARTTLS, AUTH, XCLIENT and BDAT; the second byte says what is allowed and given."""
    choice = data[1] if len(data) > 1 else 0
    whole = _dialogue([data[2:]], choice)
    sliced = _dialogue(slices(data[:1] + data[2:]), choice)
    # What stands behind STARTTLS in one packet is an attack, and in a later one it need not be.
    assert b"STARTTLS" in data.upper() or whole == sliced, (whole, sliced)


def _dialogue(pieces: list[bytes], choice: int) -> tuple[bytes, list[bytes]]:
    """What the client hears, and the messages that came to their end."""
    session = ServerSession(
        "mx.example.org",
        capabilities=lambda: EVERYTHING,
        limits=LIMITS,
        tls=bool(choice & 1),
        xclient_allowed=bool(choice & 2),
    )
    session.greet()
    wire, messages, message = b"", list[bytes](), b""
    for piece in [GREETED, *pieces]:
        session.receive_data(piece)
        for event in iter(session.next_event, None):
            match event:
                case DataReceived(data=data):
                    message += data
                case MessageComplete(size=size):
                    _check_message(message, size)
                    messages.append(message)
                case MessageFailed() | DataRequested():
                    assert not _bare(message.removesuffix(b"\r")), message
                    message = b""
                case TLSRequested():
                    session.tls_started()
                case AuthRequested(initial=initial):
                    assert initial is None or repr(initial) not in repr(event)
            if session.waiting:
                session.reply(_decide(event, choice))
            if isinstance(event, MessageComplete):
                message = b""
    wire = session.data_to_send()
    for line in wire.splitlines(keepends=True):
        assert re.fullmatch(rb"[2-5]\d\d[ -][ -~]*\r\n", line), line
    return wire, messages


def _check_message(message: bytes, size: int) -> None:
    assert size == len(message), (size, message)
    assert not _bare(message), message
    assert b"\0" not in message, message
    assert b"\r\n.\r\n" not in b"\r\n" + message, message
    assert not message or message.endswith(b"\r\n"), message


def _decide(event: object, choice: int) -> Reply:
    match event:
        case DataRequested():
            return Reply.of(451, "4.3.0", "no") if choice & 4 else Reply.of(354, "", "go")
        case AuthRequested(initial=None):
            return Reply.of(334, "", "VXNlcm5hbWU6")
        case AuthRequested() | AuthResponse():
            return Reply.of(535, "5.7.8", "no") if choice & 8 else Reply.of(235, "2.7.0", "yes")
        case _:
            return Reply.of(550, "5.1.1", "no") if choice & 16 else Reply.of(250, "2.0.0", "yes")


def smtp_chunks(data: bytes) -> None:
    """A message in chunks of the size that the second byte says becomes what DATA would send."""
    size, text = (data[1] if len(data) > 1 else 0) or 1000, data[2:]
    chunks = [text[i : i + size] for i in range(0, len(text), size)] or [b""]
    commands = [b"BDAT %d\r\n%b" % (len(chunk), chunk) for chunk in chunks[:-1]]
    commands.append(b"BDAT %d LAST\r\n%b" % (len(chunks[-1]), chunks[-1]))
    pieces = slices((data[:1] or b"\0") + ENVELOPE + b"".join(commands) + b"NOOP\r\n")
    wire, messages = _dialogue(pieces, 0)
    if _bare(text) or b"\0" in text:
        assert messages == [], messages
        return
    meant = text if text.endswith(b"\r\n") or not text else text + b"\r\n"
    came = [(b"\r\n" + message).replace(b"\r\n..", b"\r\n.")[2:] for message in messages]
    assert came == [meant], (came, meant)
    assert wire.endswith(b"250 2.0.0 Ok\r\n"), wire  # the NOOP was found behind the last chunk


def smtp_client(data: bytes) -> None:
    """A server's bytes for a session with TLS, XCLIENT, AUTH, LMTP, as the second byte says."""
    choice = data[1] if len(data) > 1 else 0
    policy = list(TLSPolicy)[(choice >> 1) % len(TLSPolicy)]
    session = ClientSession(
        "proxy.example.org",
        lmtp=bool(choice & 1),
        tls=policy,
        description={"ADDR": "192.0.2.1", "NAME": None, "PORT": "25"} if choice & 8 else None,
    )
    path = parse_path(b"<a@b>", smtputf8=False, recipient=False)[0]
    out = b""
    for piece in slices(data[:1] + data[2:]):
        session.receive_data(piece)
        for event in iter(session.next_event, None):
            match event:
                case TLSWanted():
                    assert policy is not TLSPolicy.OFF
                    session.tls_started()
                case Ready() if choice & 16:
                    session.auth(b"PLAIN", b"AGEAYg==")
                case Ready():
                    session.mail(path, {})
                    session.rcpt(path, {})
                    session.data()
                case ReplyReceived(command="DATA") if session.in_data:
                    session.send_data(b"..x\r\n")
                    session.end_data()
                case ReplyReceived(command="AUTH", reply=reply) if reply.code == 334:
                    session.auth_line(b"YQ==")
        out += session.data_to_send()
    session.receive_eof()
    while session.next_event() is not None:
        pass
    assert not _bare(out), out
    assert not re.search(rb"[^ -~\r\n]", out), out
    assert all(len(line) <= 512 for line in out.split(b"\r\n")), out


def proxy_header(data: bytes) -> None:
    whole, sliced = (_headers(pieces) for pieces in ([data[1:]], slices(data)))
    assert whole == sliced, (whole, sliced)


def _headers(pieces: list[bytes]) -> object:
    parser, rest, header = ProxyHeaderParser(), b"", None
    try:
        for piece in pieces:
            if header is None:
                parser.receive_data(piece)
                header, rest = parser.header, parser.rest
            else:
                rest += piece
    except ProxyHeaderError:
        return "refused"
    return None if header is None else (header, rest)


# --- where to begin ------------------------------------------------------------------------------

_SMTP_WORDS = (b"\r\n.\r\n", b"\n.\n", b"\r\n", b"\r", b"\0", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>")
_HTTP_WORDS = (b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"\r\n\r\n", b"HTTP/1.1 ")
_CONF = b'port = 25\nservername = "mx.example.org"  # ours\nallowed_domains:\n    example.org\n'
_MX = b"\x85\x80\0\1\0\1\0\0\xc0\x0c\0\x0f\0\1\0\0\x0e\x10\0\x09\0\x0a\4mail\xc0\x0c"
_V2 = b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\1\2\0\x19"

TARGETS: dict[str, Target] = {
    "smtp_session": Target(
        smtp_session,
        (
            b"\0" + GREETED + MAIL + b"text\r\n.\r\n" + EVIL + b"QUIT\r\n",
            b"\3" + GREETED + b"MAIL FROM:<a@b> SIZE=5 BODY=8BITMIME\r\nRSET\r\nVRFY x\r\n",
        ),
        (*_SMTP_WORDS, b"EHLO ", b"RSET\r\n", b"BDAT 3 LAST\r\n", b"STARTTLS\r\n", b"AUTH PLAIN "),
    ),
    "smtp_smuggling": Target(
        smtp_smuggling,
        tuple(
            b"\0%c%b" % (number, end)
            for number, end in enumerate(
                (
                    *(b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"),
                    *(b"\r\0\n.\r\n", b"\r\n.\r\n\0", b"\r\n.\r\n", b"\r\r\n.\r\n", b"\r\n..\r\n"),
                )
            )
        ),
        _SMTP_WORDS,
    ),
    "smtp_hostile_server": Target(
        smtp_hostile_server,
        (
            b"\x07250 ok\r\n250 ok\r\n\xfe354 go\r\n\xfe250 taken\r\n\xfe250 ok\r\n",
            b"\x00220 mx\r\n\xfe250 mx\r\n\xfe250 ok\r\n\xfe250-a\r\n250 b\r\n\xfe354 x\r\n",
        ),
        (b"250 ", b"250-", b"354 ", b"421 ", b"550 5.1.1 ", b"\r\n", b"\xfe"),
    ),
    "smtp_reply": Target(
        smtp_reply,
        (b"\x01250-mx\r\n250 SIZE 5\r\n421 4.3.2 bye\r\n", b"\x00250 " + b"x y " * 400 + b"\r\n"),
        (b"250 ", b"250-", b"\r\n", b"4.7.1 "),
    ),
    "smtp_body": Target(
        smtp_body, (b"\1a\r\n..b\r\n.\r\nQUIT\r\n", b"\2" + b"x" * 50), _SMTP_WORDS
    ),
    "smtp_address": Target(
        smtp_address,
        (
            b"\0<a@example.org> SIZE=1",
            b'\1<"a@b\\" "@example.org>',
            b"\2<@a,@b:c@[192.0.2.1]>",
            "\3<grüße@bücher.example>".encode(),
            b"\3<Postmaster>",
            b"\0<>",
            b"\1<a@[IPv6:2001:db8::1]>",
        ),
    ),
    "smtp_command": Target(
        smtp_command,
        (b"MAIL SIZE=1 BODY=7BIT RET=HDRS ENVID=a+2Bb", b"RCPT NOTIFY=NEVER ORCPT=rfc822;a+40b"),
        (b"SIZE=", b"BODY=8BITMIME", b"NOTIFY=", b"ORCPT=rfc822;", b"+0A", b"SMTPUTF8", b"BY="),
    ),
    "smtp_client": Target(
        smtp_client,
        (
            b"\x00\x0a220 a\r\n250-a\r\n250 STARTTLS\r\n220 go\r\n",
            b"\x05\x02220 a\r\n250-a\r\n250 STARTTLS\r\n454 no\r\n250 ok\r\n250 ok\r\n354 x\r\n",
            b"\0\x08220 a\r\n250-a\r\n250 XCLIENT ADDR NAME PORT\r\n220 b\r\n250 b\r\n250 ok\r\n",
            b"\0\x10220 a\r\n250-a\r\n250 AUTH PLAIN\r\n334 \r\n235 yes\r\n",
            b"\0\x01220 a\r\n250 a\r\n250 ok\r\n250 ok\r\n354 x\r\n250 1\r\n",
        ),
        (b"250 ", b"250-STARTTLS\r\n", b"220 go\r\n", b"250-XCLIENT ADDR HELO\r\n", b"334 \r\n"),
    ),
    "proxy_header": Target(
        proxy_header,
        (b"\0PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO x\r\n", b"\1" + _V2 + b"EHLO x\r\n"),
        (b"PROXY TCP6 ", b"PROXY UNKNOWN\r\n", _V2[:12]),
    ),
    "smtp_xclient": Target(
        smtp_xclient,
        (b"NAME=spike.example ADDR=192.0.2.1 PORT=25", b"ADDR=IPV6:2001:db8::1 HELO=[UNAVAILABLE]"),
        (b"PROTO=ESMTP", b"LOGIN=", b"DESTADDR=", b"+0D", b"[TEMPUNAVAIL]"),
    ),
    "smtp_extensions": Target(
        smtp_extensions,
        (
            b"\1\1AUTH PLAIN AGEAYg==\r\n" + ENVELOPE + b"BDAT 4 LAST\r\n.a\r\n",
            b"\0\0STARTTLS\r\n",
            b"\7\2XCLIENT ADDR=192.0.2.1\r\nEHLO x\r\nAUTH LOGIN\r\nYQ==\r\n",
            b"\2\0" + MAIL + b"x\r\n.\r\n" + ENVELOPE + b"BDAT 1\r\naBDAT 0 LAST\r\n",
        ),
        (
            b"BDAT 3\r\n",
            b"BDAT 2 LAST\r\n",
            b"AUTH PLAIN",
            b"AUTH LOGIN\r\n",
            b"=\r\n",
            b"RSET\r\n",
        ),
    ),
    "smtp_chunks": Target(
        smtp_chunks,
        (b"\3\1a\r\n.\r\n..b", b"\0\4.\r\n.\r", b"\1\2", b"\0\x07one\r\ntwo\r\n"),
        (b"\r\n.\r\n", b"\r", b"\n", b"."),
    ),
}
