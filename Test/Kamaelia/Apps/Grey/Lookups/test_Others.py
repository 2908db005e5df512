"""All the kinds of look-ups behind one service, and what they lack."""

import logging
import sys
import threading
from collections.abc import Generator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Access.Definitions import (
    Definitions,
    LdapCheckDef,
    LdapConf,
    UrlCheckDef,
)
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Country,
    Dkim,
    LdapCheck,
    LookupFailed,
    P0f,
    Question,
    SpamAnswer,
    Spamd,
    SpfAnswer,
    SpfResult,
    UrlCheck,
)
from Kamaelia.Apps.Grey.Lookups import Others
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.DnsTexts import DnsTexts
from Kamaelia.Apps.Grey.Lookups.LookupService import LookupSettings
from Kamaelia.Apps.Grey.Lookups.Others import Blocking, handlers, missing
from Kamaelia.Apps.Grey.Lookups.UrlChecks import UrlChecks
from Test.Kamaelia.Apps.Grey.Lookups.daemons import PATIENCE, Daemon
from Test.Kamaelia.Apps.Grey.Lookups.lookups import Asked
from Test.Kamaelia.Apps.Grey.Lookups.quiet_ldap3 import ldap3
from Test.Kamaelia.Apps.Grey.Lookups.test_Dkim import KEY_NAME, key, signed
from Test.Kamaelia.Apps.Grey.Lookups.test_P0f import FOUND, reply
from Test.Kamaelia.Apps.Grey.Lookups.test_Spamd import verdict
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.zone_server import Zone, ZoneServer

NOWHERE = ("127.0.0.1", 9)
EVERYTHING: tuple[Question, ...] = (
    Country("192.0.2.7"),
    P0f("192.0.2.7"),
    UrlCheck("x", "http://127.0.0.1:1/"),
    LdapCheck("x", "ldap://127.0.0.1:1/o=x"),
    Spamd(1),
    Dkim(1),
)


def zone(*texts: bytes) -> Zone:
    """With these at the name of the key, in strings of at most 255 bytes."""
    lines = []
    for text in texts:
        strings = [text[at : at + 255].decode() for at in range(0, len(text), 255)]
        lines.append("s1._domainkey 60 TXT " + " ".join(f'"{each}"' for each in strings))
    return Zone("example.net.", "\n".join(lines))


def asked_all(
    world: World,
    server: ZoneServer | tuple[str, int],
    definitions: Definitions,
    contents: Contents,
    questions: tuple[Question, ...],
) -> dict[Question, object]:
    made = handlers(definitions, LookupSettings(), contents)
    asked = Asked(world, server, definitions, handlers=made)
    answers: dict[Question, object] = {}

    def script() -> Script:
        asked.put(*questions)
        for found in (yield from asked.found(len(questions))):
            answers[found.question] = found.answer

    world.play(script())
    return answers


def test_all_kinds_find_their_daemons(world: World, tmp_path: Path) -> None:
    assert ldap3 is not None
    server = ZoneServer(world, zone(b"nothing of ours", key()[1]))
    contents = Contents()
    contents.add(1, signed())
    with (
        Daemon(reply(FOUND, b"Linux"), tmp_path / "p0f", size=21),
        Daemon(verdict(b"Spam: True ; 7.7 / 5.0")) as spamd,
    ):
        definitions = Definitions(
            p0fsock=str(tmp_path / "p0f"), spamdsock=("inet", f"127.0.0.1:{spamd.port}")
        )
        questions = (P0f("192.0.2.7"), Spamd(1), Dkim(1), Spamd(2), Dkim(2))
        answers = asked_all(world, server, definitions, contents, questions)
    assert answers[P0f("192.0.2.7")] == "Linux"
    assert answers[Spamd(1)] == SpamAnswer(True, 77)
    assert answers[Dkim(1)] == SpfAnswer(SpfResult.PASS, "example.net", "good signature")
    assert isinstance(answers[Spamd(2)], LookupFailed)
    assert isinstance(answers[Dkim(2)], LookupFailed)


@pytest.mark.parametrize(
    "definitions",
    [
        Definitions(),
        Definitions(
            urlchecks={"x": UrlCheckDef("", 5)},
            ldapchecks={"x": LdapCheckDef("")},
            ldapconf=LdapConf(seconds=5),
            geoipdb="/nowhere/db",
            p0fsock="/nowhere/p0f",
            spamdsock=("inet", "no such: thing"),
        ),
    ],
)
def test_without_anybody_to_ask_all_are_failures(world: World, definitions: Definitions) -> None:
    answers = asked_all(world, NOWHERE, definitions, Contents(), EVERYTHING)
    assert set(answers) == set(EVERYTHING)
    for question, answer in answers.items():
        assert isinstance(answer, LookupFailed), question


def test_a_flood_is_answered_in_full(world: World, tmp_path: Path) -> None:
    questions = tuple(P0f(f"192.0.{at >> 8}.{at & 255}") for at in range(300))
    with Daemon(reply(FOUND, b"Linux"), tmp_path / "p0f", size=21):
        definitions = Definitions(p0fsock=str(tmp_path / "p0f"))
        answers = asked_all(world, NOWHERE, definitions, Contents(), questions)
    assert list(answers.values()) == ["Linux"] * 300


def test_what_waited_too_long_is_not_asked_any_more(world: World) -> None:
    clock = FakeClock()
    go_on = threading.Event()
    looked_up: list[object] = []

    def look_up(question: Question) -> tuple[object, float]:
        looked_up.append(question)
        assert go_on.wait(PATIENCE)
        return "late", 0.0

    ended: list[bool] = []
    handler = Blocking(look_up, 3.0, lambda: ended.append(True), clock)
    asked = Asked(world, NOWHERE, handlers={P0f: handler})
    found: list[object] = []

    def script() -> Script:
        asked.put(*(P0f(str(at)) for at in range(Others.THREADS + 2)))
        yield from world.until(lambda: len(looked_up) == Others.THREADS)
        clock.advance(3.0)
        go_on.set()
        found.extend(each.answer for each in (yield from asked.found(Others.THREADS + 2)))

    world.play(script())
    assert len(looked_up) == Others.THREADS
    assert found.count("late") == Others.THREADS
    assert sum(isinstance(each, LookupFailed) for each in found) == 2
    handler.close()
    assert ended


def test_a_question_may_take_what_its_definition_says() -> None:
    definitions = Definitions(
        urlchecks={"slow": UrlCheckDef("", 20), "none": UrlCheckDef("", 0)},
        ldapconf=LdapConf(seconds=9),
    )
    made = handlers(definitions, LookupSettings(lookup_timeout=2.0), Contents())
    url, ldap = made[UrlCheck], made[LdapCheck]
    assert isinstance(url, UrlChecks)
    assert url.seconds(UrlCheck("slow", "")) == 20.0
    assert url.seconds(UrlCheck("none", "")) == 5.0
    assert isinstance(ldap, Blocking)
    assert ldap.seconds(LdapCheck("x", "")) == 9.0


class TestMissing:
    def test_statements_that_are_not_there(self) -> None:
        kinds = ["geoip", "p0f", "spamd", "dkim", "urlcheck", "addr", "p0f"]
        assert missing(Definitions(), kinds) == [
            "geoip: there is no geoipdb statement",
            "p0f: there is no p0fsock statement",
            "spamd: there is no spamdsock statement",
        ]

    def test_nothing_is_missing(self) -> None:
        definitions = Definitions(
            geoipv6db="/db", p0fsock="/p0f", spamdsock=("unix", "/spamd"), ldapconf=LdapConf()
        )
        assert missing(definitions, ["geoip", "p0f", "spamd", "dkim", "ldapcheck"]) == []

    def test_packages_that_are_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def nothing(name: str) -> ModuleSpec | None:
            return ModuleSpec(name, None) if name == "sys" else None

        monkeypatch.setattr(Others, "find_spec", nothing)
        assert missing(Definitions(geoipdb="/db"), ["geoip", "ldapcheck", "dkim", "rcpt"]) == [
            "dkim: the Python package dkimpy is not installed (pip install dkimpy)",
            "geoip: the Python package maxminddb is not installed (pip install maxminddb)",
            "ldapcheck: the Python package ldap3 is not installed (pip install ldap3)",
        ]

    def test_without_the_packages_questions_are_failures(
        self,
        world: World,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for name in ("maxminddb", "ldap3", "dkim"):
            monkeypatch.setitem(sys.modules, name, None)
        database = tmp_path / "db"
        database.write_bytes(b"x")
        contents = Contents()
        contents.add(1, signed_letter())
        definitions = Definitions(geoipdb=str(database), ldapchecks={"x": LdapCheckDef("")})
        questions = (Country("192.0.2.7"), LdapCheck("x", "ldap://127.0.0.1:1/o=x"), Dkim(1))
        with caplog.at_level(logging.ERROR):
            answers = asked_all(world, NOWHERE, definitions, contents, questions)
        for answer in answers.values():
            assert isinstance(answer, LookupFailed)
            assert "is not installed" in answer.reason
        assert not caplog.records


def signed_letter() -> bytes:
    return b"DKIM-Signature: v=1\r\nFrom: a@b\r\n\r\nhello\r\n"


class TestTexts:
    def test_nobody_to_ask(self) -> None:
        with pytest.raises(OSError, match="stopped"):
            DnsTexts()("example.net", 1.0)

    @pytest.mark.parametrize("name", ["none.example.net", "two..dots", "x" * 64 + ".example"])
    def test_no_such_text_is_none_and_no_answer_an_error(self, world: World, name: str) -> None:
        found = in_thread(world, ZoneServer(world, zone(b"p=1")), name)
        assert found is None

    def test_of_several_the_one_that_may_be_a_key(self, world: World) -> None:
        server = ZoneServer(world, zone(b"other", b"v=DKIM1; p=1"))
        assert in_thread(world, server, KEY_NAME) == b"v=DKIM1; p=1"

    def test_a_server_that_is_not_there_is_an_error(self, world: World) -> None:
        assert isinstance(in_thread(world, NOWHERE, KEY_NAME), OSError)


def in_thread(world: World, server: ZoneServer | tuple[str, int], name: str) -> object:
    asked = Asked(world, server)
    texts = DnsTexts()
    found: list[object] = []

    def ask() -> None:
        try:
            found.append(texts(name, PATIENCE))
        except OSError as error:
            found.append(error)

    def script() -> Generator[object, None, None]:
        yield from world.until(lambda: asked.service._running)
        texts.open(asked.service)
        thread = threading.Thread(target=ask)
        thread.start()
        yield from world.until(lambda: found)
        thread.join()

    world.play(script())
    return found[0]
