"""Postgrey's white lists as rules: who is on them, what is wrong with them, and what they cost."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Loader import load_with_warnings, loads
from Kamaelia.Apps.Grey.Config.Postgrey import rules_from
from Kamaelia.Apps.Grey.Config.Problem import OS_ERROR, ConfigError, Problem
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Evaluate import RuleSet, evaluate
from Kamaelia.Apps.Grey.Core.Access.Questions import HostName, LookupFailed
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Rule, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject


def ruled(
    rules: tuple[Rule, ...],
    client: str = "203.0.113.5",
    name: str | None = "",
    recipient: str = "b@example.org",
    known: object = None,
) -> Ruling:
    session = Session(client, name=name)
    subject = Subject(session, Mail("<a@x.example>"), f"<{recipient}>", now=0.0)
    if known is not None:
        subject.answers[HostName(client)] = known
    asking = evaluate(RuleSet(rules, Definitions()), Stage.RCPT, subject)
    try:
        question = next(asking)
    except StopIteration as done:
        ruling: Ruling = done.value
        return ruling
    raise AssertionError(question)


class Lists:
    """Files of both kinds."""

    def __init__(self, folder: Path) -> None:
        self.clients = folder / "whitelist_clients"
        self.recipients = folder / "whitelist_recipients"
        self.warnings: list[Problem] = []

    def __call__(self, clients: str = "", recipients: str = "") -> tuple[Rule, ...]:
        self.clients.write_text(clients, encoding="utf-8")
        self.recipients.write_text(recipients, encoding="utf-8")
        return rules_from([self.clients], [self.recipients], self.warnings)


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path)


def lets_name_in(rules: tuple[Rule, ...], name: str) -> bool:
    return ruled(rules, name=name).action is Action.WHITELIST


def lets_address_in(rules: tuple[Rule, ...], client: str) -> bool:
    return ruled(rules, client=client).action is Action.WHITELIST


def lets_recipient_in(rules: tuple[Rule, ...], recipient: str) -> bool:
    return ruled(rules, recipient=recipient).action is Action.WHITELIST


# --- clients ---


@pytest.mark.parametrize(
    ("line", "good", "bad"),
    [
        ("example.net", ["example.net", "MX.Example.net"], ["badexample.net", "net", ""]),
        ("  Example.NET   # text", ["example.net"], ["text"]),
        ("example.net#text", ["example.net"], ["example.net.org"]),
        ("net", ["a.net"], ["anet", "net.a"]),
        ("3com.example", ["mx.3com.example"], ["com.example"]),
        ("under_score.example", ["under_score.example"], ["underscore.example"]),
        (r"/^mx\d+\.x\.net$/", ["mx1.x.net", "MX22.X.net"], ["xmx1.x.net", "mx.x.net"]),
        (r"/^a[0-9]/   # text", ["a1.x", "A1"], ["ba1", ""]),
        (r"/\.x$/", ["a.x"], ["ax", "x"]),
        (r"/mail\.x\.net$/", ["webmail.x.net", "Mail.x.net"], ["mail.y.net", "mail.x.net.y"]),
        ("/known$/", ["", "known"], ["mx.example"]),
        ("unknown", ["", "unknown", "mx.unknown"], ["anunknown", "mx.example"]),
        ("UNKNOWN", [""], ["mx.example"]),
        ("/^un/", ["", "unseen.example"], ["run"]),
    ],
)
def test_a_client_is_known_by_its_name(
    lists: Lists, line: str, good: list[str], bad: list[str]
) -> None:
    rules = lists(line)
    assert [name for name in good if not lets_name_in(rules, name)] == []
    assert [name for name in bad if lets_name_in(rules, name)] == []
    assert lists.warnings == []


@pytest.mark.parametrize(
    ("line", "good", "bad"),
    [
        ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.77", "192.0.2.1"]),
        ("192.0.2.07", ["192.0.2.7"], ["192.0.2.1"]),
        ("192.168.1", ["192.168.1.0", "192.168.1.255"], ["192.168.10.1", "192.168.2.1"]),
        ("10.9.0.0/16", ["10.9.255.1"], ["10.10.0.1"]),
        ("172.30.1.77/16", ["172.30.200.1"], ["172.31.1.77"]),
        ("0.0.0.0/0", ["8.8.8.8"], ["2001:db8::1"]),
        ("2001:db8:1::5", ["2001:DB8:1:0::5"], ["2001:db8:1::6"]),
        ("2001:DB8:2::/48", ["2001:db8:2:9::1"], ["2001:db8:3::1"]),
    ],
)
def test_a_client_is_known_by_its_address(
    lists: Lists, line: str, good: list[str], bad: list[str]
) -> None:
    rules = lists(line)
    assert [client for client in good if not lets_address_in(rules, client)] == []
    assert [client for client in bad if lets_address_in(rules, client)] == []
    assert lists.warnings == []


def test_a_name_that_nobody_has_said_is_looked_up(lists: Lists) -> None:
    for line in ("example.net", r"/\.example\.net$/", "/^mx/"):
        rules = lists(line)
        with pytest.raises(AssertionError, match="HostName"):
            ruled(rules, name=None)
        assert ruled(rules, name=None, known="mx.example.net").action is Action.WHITELIST
        assert ruled(rules, name=None, known="").action is Action.GREYLIST
        failed = LookupFailed("no answer")
        assert ruled(rules, name=None, known=failed).action is Action.GREYLIST


def test_the_rule_says_which_line_it_is(lists: Lists) -> None:
    text = "# first\nexample.net\n\n/^mx/\n192.0.2.7\n" + r"/\.end$/" + "\n/^a/\n"
    rules = lists(text, "# none\n\na@\nb@\n")
    assert [(rule.name, rule.line) for rule in rules] == [
        ("whitelist_clients:2", 2),
        ("whitelist_clients:5", 5),
        ("whitelist_clients:6", 6),
        ("whitelist_clients:4-7", 4),
        ("whitelist_recipients:3-4", 3),
    ]
    assert rules[1].path == str(lists.clients)
    assert rules[1].source == "192.0.2.7"
    found = ruled(rules, client="192.0.2.7")
    assert found.rule is rules[1]
    assert found.kinds == ("addr",)
    (only,) = lists("/^mx/")
    assert only.name == "whitelist_clients:1"


# --- recipients ---


@pytest.mark.parametrize(
    ("line", "good", "bad"),
    [
        (
            "Postmaster@",
            ["postmaster@a", "POSTMASTER@b.c", "postmaster+x@a"],
            ["postmaster", "a@b"],
        ),
        ("anna@", ["anna@x", "anna+a+b@x"], ["hanna@x", "anna-b@x", "anna+@x", "b+anna@x"]),
        ("plus+tag@", ["plus+tag@x", "plus+tag+y@x"], ["plus+other@x", "plus@x", "plus+tag2@x"]),
        ("Anna@Example.org", ["anna@example.org", "anna+1@EXAMPLE.org"], ["anna@x.example.org"]),
        (
            "open.example",
            ["a@open.example", "a@b.OPEN.example"],
            ["a@xopen.example", "open.example"],
        ),
        ("[192.0.2.1]", ["a@[192.0.2.1]"], ["a@192.0.2.1"]),
        ("anna@[192.0.2.1]", ["anna@[192.0.2.1]"], ["b@[192.0.2.1]"]),
        ("/^list-.*@x$/", ["list-7@x", "LIST-7@X"], ["xlist-7@x"]),
        ("/^joe$/", ["joe"], ["joe@x"]),
        ("open.example # text", ["a@open.example"], ["a@text"]),
    ],
)
def test_a_recipient_is_known(lists: Lists, line: str, good: list[str], bad: list[str]) -> None:
    rules = lists("", line)
    assert [one for one in good if not lets_recipient_in(rules, one)] == []
    assert [one for one in bad if lets_recipient_in(rules, one)] == []
    assert lists.warnings == []


@pytest.fixture(scope="module")
def some_recipients(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rule, ...]:
    return Lists(tmp_path_factory.mktemp("lists"))("", "a@\na.a\n")


@settings(max_examples=50)
@given(recipient=st.text("a+@.", max_size=12))
def test_any_recipient_has_an_answer(some_recipients: tuple[Rule, ...], recipient: str) -> None:
    local, at, domain = recipient.rpartition("@")
    tagged = local == "a" or (local.startswith("a+") and len(local) > 2)
    below = domain == "a.a" or domain.endswith(".a.a")
    assert lets_recipient_in(some_recipients, recipient) == bool(at and (tagged or below))


def test_a_file_without_lines_has_no_rules(lists: Lists) -> None:
    assert lists("# nothing\n\n", " \n") == ()


# --- what is wrong ---


@pytest.mark.parametrize(
    ("line", "cure"),
    [
        ("two words", "one name"),
        (".example.net", "write example.net"),
        ("*.example.net", "write example.net"),
        ("/case/i", "without options"),
        ("/has space/", "one name"),
        ("10", "first three numbers"),
        ("172.16", "first three numbers"),
        ("192.168.1.", "first three numbers"),
        ("192.168.1/24", "first three numbers"),
        ("198.51.100.0/33", "first three numbers"),
        ("192.0.2.0/255.255.255.0", "first three numbers"),
        ("300.1.1.1", "first three numbers"),
        ("2001:db8:7", "host name"),
        ("a@example.net", "host name"),
    ],
)
def test_a_line_that_fits_no_client_is_a_warning(lists: Lists, line: str, cure: str) -> None:
    assert lists(f"# first\n{line}\n") == ()
    (warning,) = lists.warnings
    assert (warning.path, warning.line) == (str(lists.clients), 2)
    assert "fits no client" in warning.message
    assert cure in warning.cure


@pytest.mark.parametrize(
    ("line", "cure"),
    [
        ("two@a two@b", "one address"),
        (".example.net", "write example.net"),
        ("@example.net", "write example.net"),
        ("*@example.net", "write example.net"),
        ("/x/i", "without options"),
        ("<a@b.example>", "write a domain"),
        ("m\u00fcller@", "with dots"),
    ],
)
def test_a_line_that_fits_no_recipient_is_a_warning(lists: Lists, line: str, cure: str) -> None:
    assert lists("", f"\n{line}\n") == ()
    (warning,) = lists.warnings
    assert (warning.path, warning.line) == (str(lists.recipients), 2)
    assert "fits no recipient" in warning.message
    assert cure in warning.cure


def test_an_expression_that_cannot_be_had_is_a_problem_with_its_place(lists: Lists) -> None:
    with pytest.raises(ConfigError) as caught:
        lists("ok.example\n/a(?!b)/\n/(/\n", "/(a)\\1/\n")
    shown = str(caught.value)
    assert f"{lists.clients}:2:2: " in shown
    assert f"{lists.clients}:3:2: " in shown
    assert f"{lists.recipients}:1:2: " in shown
    assert "without look-around" in shown


def test_a_file_of_nothing_but_mistakes_comes_to_an_end(lists: Lists) -> None:
    with pytest.raises(ConfigError, match="stopped after 100 problems"):
        lists("/(/\n" * 1000)


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        rules_from([tmp_path / "away"], [tmp_path])
    assert caught.value.exit_code == OS_ERROR
    assert [problem.path for problem in caught.value.problems] == [
        str(tmp_path / "away"),
        str(tmp_path),
    ]
    cures = [problem.cure.partition(":")[0] for problem in caught.value.problems]
    assert cures == [
        "postgrey_whitelist_clients names it",
        "postgrey_whitelist_recipients names it",
    ]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="it is no file"):
        rules_from([tmp_path / "pipe"], [])


def test_a_file_that_is_too_large_is_a_problem(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("Kamaelia.Apps.Grey.Config.Postgrey.MOST_BYTES", 10)
    with pytest.raises(ConfigError, match="larger than"):
        lists("example.net\n" * 3)


@settings(max_examples=50)
@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "list")
        path.write_bytes(data)
        try:
            rules = rules_from([path], [path])
        except ConfigError:
            return
        ruled(rules, name="mx.example", recipient="b@example.org")


# --- in a greylist.conf ---


def test_they_stand_before_all_other_rules(lists: Lists) -> None:
    lists("example.net\r\n192.0.2.7\r\n", "anna@\n")
    config = loads(
        f"postgrey_whitelist_clients = {lists.clients}\n"
        f"postgrey_whitelist_recipients = {lists.recipients}\n"
        "racl blacklist default\n"
    )
    assert [rule.action.value for rule in config.access_rules] == ["whitelist"] * 3 + ["blacklist"]
    assert lets_name_in(config.access_rules, "example.net")


def test_one_file_named_twice_is_read_once(lists: Lists) -> None:
    lists("example.net\n")
    assert len(rules_from([lists.clients, lists.clients], [])) == 1


def test_a_file_that_has_changed_is_read_at_the_next_load(lists: Lists, tmp_path: Path) -> None:
    lists("example.net\n")
    config = tmp_path / "greylist.conf"
    config.write_text(f"postgrey_whitelist_clients = {lists.clients}\n", encoding="utf-8")
    assert not lets_name_in(load_with_warnings(config).config.access_rules, "example.org")
    lists.clients.write_text("example.org\n", encoding="utf-8")
    assert lets_name_in(load_with_warnings(config).config.access_rules, "example.org")


def test_of_ten_thousand_lines_only_those_that_fit_are_looked_at(lists: Lists) -> None:
    text = "".join(f"mx{n}.host{n}.example\n10.{n // 200}.{n % 200}.1\n" for n in range(4500))
    text += "".join(rf"/^mail\d+\.pool{n}\.example$/" + "\n" for n in range(1000))
    rules = lists(text)
    assert len(rules) == 10_000
    index = RuleSet(rules, Definitions()).stage(Stage.RCPT).index
    session = Session("10.0.7.1", name="mail7.pool7.example")
    subject = Subject(session, Mail("<>"), "<b@example.org>", now=0.0)
    assert [rules[place].source for place in index.candidates(subject)] == [
        "10.0.7.1",
        r"/^mail\d+\.pool7\.example$/",
    ]
