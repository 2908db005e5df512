"""Where doors are: the spellings of Sendmail, Postfix and milter-greylist."""

from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import ConfigError, load_with_warnings, loads
from Kamaelia.Apps.Grey.Config.Sockets import Place, listening, peer, place, source
from Kamaelia.Apps.Grey.Config.Values import BadValueError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/run/grey.sock", Place("/run/grey.sock")),
        ("unix:/run/grey.sock", Place("/run/grey.sock")),
        ("local:/run/grey.sock", Place("/run/grey.sock")),
        ("inet:8891@127.0.0.1", Place(host="127.0.0.1", port=8891)),
        ("inet:8891@localhost", Place(host="127.0.0.1", port=8891)),
        ("inet:8891", Place(host="0.0.0.0", port=8891)),  # noqa: S104 - compared
        ("inet6:8891@[2001:db8::1]", Place(host="2001:db8::1", port=8891)),
        ("inet6:8891@localhost", Place(host="::1", port=8891)),
        ("inet6:8891", Place(host="::", port=8891)),
    ],
)
def test_a_socket_is_read_as_a_mail_server_writes_it(text: str, found: Place) -> None:
    assert place(text) == found
    assert place(str(found)) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("25", "is no socket"),
        ("run/grey.sock", "is no socket"),
        ("inet:port@127.0.0.1", "is no socket"),
        ("inet:127.0.0.1:8891", "is no socket"),
        ("/run/\n", "is no socket"),
        ("inet:0@127.0.0.1", "is no port"),
        ("inet:65536", "is no port"),
        ("inet:25@mail.example.org", "is not an IP address"),
        ("inet:25@::1", "is no address of inet"),
        ("inet6:25@127.0.0.1", "is no address of inet6"),
        ("/" + "x" * 107, "cannot be a socket"),
        ("/run/", "cannot be a socket"),
    ],
)
def test_what_is_no_socket_is_refused_with_a_cure(text: str, says: str) -> None:
    with pytest.raises(BadValueError, match=says) as raised:
        place(text)
    assert raised.value.cure


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("inet:127.0.0.1:8891", "inet:8891@127.0.0.1"),
        ("inet:localhost:8891", "inet:8891@localhost"),
        ("inet6:[::1]:8891", "inet6:8891@::1"),
    ],
)
def test_who_writes_it_as_postfix_does_is_asked_what_is_meant(text: str, meant: str) -> None:
    with pytest.raises(BadValueError) as raised:
        place(text)
    assert raised.value.cure == f"did you mean {meant}?"
    place(meant)


def test_the_longest_path_that_the_system_takes_is_taken() -> None:
    assert place("/" + "x" * 106).path == "/" + "x" * 106


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*", ("*", 5252)),
        ("*:7000", ("*", 7000)),
        ("192.0.2.1", ("192.0.2.1", 5252)),
        ("192.0.2.1:7000", ("192.0.2.1", 7000)),
        ("2001:DB8::1", ("2001:db8::1", 5252)),
        ("[2001:db8::1]", ("2001:db8::1", 5252)),
        ("[2001:db8::1]:7000", ("2001:db8::1", 7000)),
    ],
)
def test_where_peers_connect_to(text: str, found: tuple[str, int]) -> None:
    assert listening(text) == found


@pytest.mark.parametrize("text", ["*:0", "*:65536", "*:x", "[::1]x", "mx.example.org", "*:1:2"])
def test_where_no_peer_can_connect_to(text: str) -> None:
    with pytest.raises(BadValueError):
        listening(text)


def test_peers_have_names_or_addresses() -> None:
    assert peer("MX2.example.org") == "mx2.example.org"
    assert peer("2001:DB8::1") == "2001:db8::1"
    assert source("*") == "*"
    for wrong in ("192.0.2", "192.0.2.1:5252", "mx 2", "mx:5252"):
        with pytest.raises(BadValueError):
            peer(wrong)


def test_a_statement_of_milter_greylist_says_the_same() -> None:
    ours = loads("socket = unix:/run/g.sock\nsocket_mode = 666\npeers:\n    192.0.2.2 5s\n")
    theirs = loads('socket "/run/g.sock" 666\npeer 192.0.2.2 timeout 5s\n')
    for name in ("socket", "socket_mode", "peers", "syncaddr", "syncsrcaddr"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_two_doors_at_one_place_are_a_mistake() -> None:
    for text in (
        "socket = inet:8891@127.0.0.1\npolicy_socket = inet:8891@127.0.0.1\n",
        "listen = 127.0.0.1\nport = 2525\npolicy_socket = inet:2525@127.0.0.1\n",
    ):
        with pytest.raises(ConfigError, match=r"policy_socket"):
            loads(text)


def test_a_bad_socket_in_a_statement_is_shown_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r":2:8: .*is no socket"):
        loads('\nsocket "grey.sock"\n', "greylist.conf")


def test_a_port_that_opens_no_door_is_mentioned(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_text("port = 2525\nsocket = inet:8891@127.0.0.1\n")
    (warning,) = load_with_warnings(path).warnings
    assert (warning.line, warning.column) == (1, 8)
    assert "this opens no door" in warning.message
    path.write_text("listen = 127.0.0.1\nport = 2525\nsocket = inet:8891@127.0.0.1\n")
    assert load_with_warnings(path).warnings == ()
