"""Questions to directories: to ldap3's own imitation of one, and to what is none at all. (A real
one answers in Test/System/test_interop_lookups.py.)"""

import logging
from collections.abc import Callable

import pytest

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions, LdapCheckDef, LdapConf
from Kamaelia.Apps.Grey.Core.Access.Questions import LdapCheck, LookupFailed, LookupText
from Kamaelia.Apps.Grey.Lookups.LdapChecks import MOST_ENTRIES, LdapLookup
from Kamaelia.Apps.Grey.Lookups.LdapUrl import LdapUrl
from Test.Kamaelia.Apps.Grey.Lookups.daemons import SHORT, Daemon
from Test.Kamaelia.Apps.Grey.Lookups.quiet_ldap3 import ldap3

BASE = "dc=example,dc=net"
ENTRIES: dict[str, dict[str, object]] = {
    f"uid=anna,{BASE}": {
        "uid": "anna",
        "mail": "anna@example.net",
        "milterGreylistStatus": "TRUE",
        "milterGreylistAction": "greylist",
    },
    f"uid=bob,{BASE}": {"uid": "bob", "mail": "bob@example.net"},
    f"uid=carl,{BASE}": {"uid": "carl", "milterGreylistStatus": "FALSE"},
    f"cn=star,{BASE}": {"uid": "a*b", "description": "line\r\nbreak"},
}


def imitation(url: LdapUrl) -> ldap3.Connection:
    connection = ldap3.Connection(
        ldap3.Server(url.host, get_info=ldap3.NONE),
        client_strategy=ldap3.MOCK_SYNC,
        check_names=False,
    )
    for name, attributes in ENTRIES.items():
        connection.strategy.add_entry(name, {"objectClass": "person", **attributes})
    connection.bind()
    return connection


def lookup(
    check: LdapCheckDef | None = None,
    conf: LdapConf | None = None,
    flags: frozenset[str] = frozenset(),
    connect: Callable[[LdapUrl], ldap3.Connection] | None = imitation,
) -> LdapLookup:
    definitions = Definitions(
        ldapchecks={"prefs": check or LdapCheckDef("")}, ldapconf=conf or LdapConf(), flags=flags
    )
    return LdapLookup(definitions, connect)


def ask(look: LdapLookup, search: str, attributes: str = "", scope: str = "sub") -> object:
    question = LdapCheck("prefs", f"ldap://h/{BASE}?{attributes}?{scope}?{search}")
    answer, keep = look(question)
    assert keep == 0.0
    return answer


def test_attributes_are_the_lines() -> None:
    answer = ask(lookup(), "(mail=anna@example.net)", "milterGreylistAction,milterGreylistStatus")
    assert isinstance(answer, LookupText)
    assert answer.matched
    assert dict(answer.lines) == {
        "miltergreylistaction": "greylist",
        "miltergreyliststatus": "TRUE",
    }


@pytest.mark.parametrize(
    ("search", "plain", "any_entry"),
    [
        ("(uid=anna)", True, True),
        ("(uid=bob)", False, True),
        ("(uid=carl)", False, False),
        ("(uid=dora)", False, False),
    ],
)
def test_what_counts_as_a_match(search: str, plain: bool, any_entry: bool) -> None:
    def matched(look: LdapLookup) -> bool:
        answer = ask(look, search)
        assert isinstance(answer, LookupText)
        return answer.matched

    assert matched(lookup()) is plain
    assert matched(lookup(LdapCheckDef("", domatch=True))) is any_entry
    assert matched(lookup(flags=frozenset({"fixldapcheck"}))) is any_entry


def test_an_entry_that_shows_no_attribute_is_found_all_the_same() -> None:
    answer = ask(lookup(LdapCheckDef("", domatch=True)), "(uid=bob)", "telephoneNumber")
    assert answer == LookupText(True)


def test_escaped_characters_of_a_stranger_are_only_text() -> None:
    found = ask(lookup(LdapCheckDef("", domatch=True)), "(uid=a%5C2ab)", "uid,description")
    assert isinstance(found, LookupText)
    assert dict(found.lines) == {"uid": "a*b", "description": "line break"}


def test_nothing_below_a_base_that_is_not_there() -> None:
    look = lookup(LdapCheckDef("", domatch=True))
    answer, _ = look(LdapCheck("prefs", "ldap://h/dc=nowhere??sub?(uid=anna)"))
    assert answer == LookupText(False)


@pytest.mark.parametrize(
    "url",
    ["http://h/", f"ldap://h/{BASE}??sub?(uid=", f"ldap://h/{BASE}??sub?(a)(b", "ldap:///o=x"],
)
def test_what_cannot_be_asked_is_a_failure(url: str) -> None:
    answer, _ = lookup()(LdapCheck("prefs", url))
    assert isinstance(answer, LookupFailed)


def test_a_check_that_there_is_not_is_a_failure() -> None:
    answer, _ = lookup()(LdapCheck("other", "ldap://h/"))
    assert isinstance(answer, LookupFailed)


def test_servers_are_those_of_ldapconf_until_one_answers() -> None:
    asked: list[str] = []

    def connect(url: LdapUrl) -> ldap3.Connection:
        asked.append(url.server)
        if url.host == "down":
            raise OSError("down")
        return imitation(url)

    conf = LdapConf("ldap://down ldaps://up:1636 ldap://never")
    look = lookup(conf=conf, connect=connect)
    assert isinstance(ask(look, "(uid=anna)"), LookupText)
    assert asked == ["ldap://down:389", "ldaps://up:1636"]
    ask(look, "(uid=anna)")
    assert asked[2:] == ["ldap://down:389"]  # the connection to the other one was kept


def test_a_connection_that_broke_meanwhile_is_made_again_once() -> None:
    made: list[ldap3.Connection] = []

    def connect(url: LdapUrl) -> ldap3.Connection:
        made.append(imitation(url))
        return made[-1]

    look = lookup(connect=connect)
    ask(look, "(uid=anna)")

    def broken(*_: object, **__: object) -> None:
        raise ldap3.core.exceptions.LDAPSessionTerminatedByServerError("gone")

    made[0].search = broken
    assert isinstance(ask(look, "(uid=anna)"), LookupText)
    assert len(made) == 2
    made[1].search = broken
    assert len(made) == 2
    look.close()
    assert not look._idle


def test_a_large_answer_is_cut() -> None:
    class Many:
        result = {"result": 0, "description": "success"}
        response = [
            {"type": "searchResEntry", "raw_attributes": {"key": [b"v" * 100] * 1_000}}
            for _ in range(1_000)
        ]

        def search(self, *_: object, **options: object) -> None:
            assert options["size_limit"] == MOST_ENTRIES

        def unbind(self) -> None:
            pass

    answer = ask(lookup(connect=lambda _: Many()), "(uid=anna)")
    assert isinstance(answer, LookupText)
    assert len(answer.lines) < 100


def test_a_refusal_of_the_server_is_a_failure() -> None:
    class Refuses:
        result = {"result": 50, "description": "insufficientAccessRights"}
        response = None

        def search(self, *_: object, **__: object) -> None:
            pass

        def unbind(self) -> None:
            pass

    answer = ask(lookup(connect=lambda _: Refuses()), "(uid=anna)")
    assert isinstance(answer, LookupFailed)
    assert "insufficientAccessRights" in answer.reason


class TestRealSockets:
    def reason(self, port: int, conf: LdapConf, scheme: str = "ldap") -> str:
        look = lookup(conf=conf, connect=None)
        answer, _ = look(LdapCheck("prefs", f"{scheme}://127.0.0.1:{port}/{BASE}"))
        assert isinstance(answer, LookupFailed)
        assert "\n" not in answer.reason
        return answer.reason

    def test_nobody_there(self) -> None:
        assert "refused" in self.reason(1, LdapConf())

    @pytest.mark.parametrize(
        "garbage", [b"", b"HTTP/1.1 400 Bad\r\n\r\n", b"0\x84\xff\xff\xff\xff"]
    )
    def test_no_directory(self, garbage: bytes) -> None:
        with Daemon(garbage, size=1) as daemon:
            assert self.reason(daemon.port, LdapConf(seconds=1))

    def test_no_tls(self) -> None:
        with Daemon(b"220 hello\r\n", size=1) as daemon:
            assert self.reason(daemon.port, LdapConf(seconds=1), "ldaps")

    def test_nothing_is_ever_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = "Kamaelia.Apps.Grey.Lookups.LdapChecks.ceil"
        monkeypatch.setattr(module, lambda _: 1)  # the least that ldap3 can wait
        with Daemon(None) as daemon:
            assert self.reason(daemon.port, LdapConf(seconds=1))
        assert SHORT < 1

    def test_a_bind_that_is_refused_says_nothing_of_the_password(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refusal(request: bytes) -> bytes:  # invalidCredentials, to the same message number
            number = request[2 : 4 + request[3]]
            return bytes([0x30, len(number) + 9]) + number + bytes.fromhex("61070a013104000400")

        with Daemon(refusal, size=1) as daemon, caplog.at_level(logging.DEBUG):
            conf = LdapConf(bind_dn="cn=grey", bind_password="hush", seconds=1)  # noqa: S106
            reason = self.reason(daemon.port, conf)
        assert "invalidCredentials" in reason
        assert "hush" not in reason + caplog.text
