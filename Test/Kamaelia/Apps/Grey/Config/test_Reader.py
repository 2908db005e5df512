"""Reader: values and lists from statements, mistakes at their words, nothing raised."""

from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Problem import Problem, Report
from Kamaelia.Apps.Grey.Config.Reader import configure
from Kamaelia.Apps.Grey.Config.Schema import SETTINGS, Config
from Kamaelia.Apps.Grey.Config.Setting import One
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Types import FailMode


def good(text: str) -> Config:
    report = Report("f", text)
    config = configure(report)
    assert report.problems == []
    return config


def bad(text: str) -> list[Problem]:
    report = Report("f", text)
    configure(report)
    return report.problems


def one(text: str) -> tuple[int, int, str]:
    (problem,) = bad(text)
    return problem.line, problem.column, problem.message


def test_nothing_set_gives_the_defaults() -> None:
    assert good("# nothing\n") == Config()


def test_values_of_every_kind_are_set() -> None:
    config = good(
        "port = 2525\nservername = MX.Example.org.\nserverid = Grey = dropped\n"
        "greylist_delay = 5m\nmessage_size_limit = 25M\nstore_failure = Defer\n"
        "database = grey.db\ngreylist_log = /var/log/grey.log\nsmtp_ip = 2001:DB8::1\n"
    )
    assert (config.port, config.servername, config.serverid) == (2525, "mx.example.org", "Grey")
    assert (config.greylist_delay, config.message_size_limit) == (300, 25 << 20)
    assert config.store_failure is FailMode.DEFER
    assert (config.database, config.greylist_log) == (Path("grey.db"), Path("/var/log/grey.log"))
    assert config.smtp_ip == "2001:db8::1"


def test_a_list_replaces_its_default() -> None:
    config = good("allowed_senders:\n    192.0.2.1\n")
    assert "192.0.2.1" in config.allowed_senders
    assert "127.0.0.1" not in config.allowed_senders


def test_a_list_may_be_one_row_or_none_on_its_line() -> None:
    assert good("listen = ::1").listen == ("::1",)
    assert good("allowed_senders =").allowed_senders == Networks()
    assert len(good("whitelisted_triples = 192.0.2.1 * *").whitelisted_triples) == 1


def test_repeated_rows_count_once() -> None:
    assert good("listen:\n  ::1\n  127.0.0.1\n  ::1\n").listen == ("::1", "127.0.0.1")


def test_networks_may_be_first_octets_but_are_never_texts() -> None:
    nets = good("allowed_sender_nets:\n  192.168.2\n  172.16.\n  10\n  2001:db8::/32\n")
    allowed = nets.allowed_sender_nets
    inside = ["192.168.2.9", "172.16.9.9", "10.9.9.9", "2001:db8::9", "::ffff:10.1.1.1"]
    outside = ["192.168.20.9", "192.168.200.9", "172.160.0.1", "100.0.0.1", "2001:db9::"]
    assert [client in allowed for client in inside] == [True] * 5
    assert [client in allowed for client in outside] == [False] * 5


def test_domains_are_a_set_in_lower_case() -> None:
    assert good("allowed_domains:\n  Example.org\n  .Example.net\n").allowed_domains == {
        "example.org",
        ".example.net",
    }


def test_triples_become_rules() -> None:
    config = good(
        "whitelisted_triples:\n  192.0.2.0/24 *@Example.com <Joe@example.org>\n  * <> *\n"
        "whitelisted_nonstandard_triples:\n  *.Lists.example 198.51.100 *\n"
    )
    first, second = config.whitelisted_triples
    assert "192.0.2.7" in first.networks
    assert "192.0.3.7" not in first.networks
    assert (first.sender, first.recipient) == ("*@example.com", "joe@example.org")
    assert "2001:db8::1" in second.networks
    assert (second.sender, second.recipient) == ("", "*")
    (helo,) = config.whitelisted_nonstandard_triples
    assert (helo.helo, helo.recipient) == ("*.lists.example", "*")
    assert "198.51.100.7" in helo.networks


@pytest.mark.parametrize(
    "name",
    [n for n, s in SETTINGS.items() if isinstance(s.shape, One) and not s.shape.may_be_empty],
)
def test_a_value_is_required_where_empty_means_nothing(name: str) -> None:
    assert one(f"{name} =") == (1, len(name) + 3, f'"{name}" has no value')
    assert one(f'{name} = ""') == (1, len(name) + 4, f'"{name}" has no value')


@pytest.mark.parametrize("name", ["greylist_log", "greylist_debuglog"])
def test_no_log_is_an_empty_value(name: str) -> None:
    assert getattr(good(f"{name} ="), name) is None


@pytest.mark.parametrize("name", [n for n, s in SETTINGS.items() if not isinstance(s.shape, One)])
def test_a_list_without_rows_is_a_mistake(name: str) -> None:
    (problem,) = bad(f"port = 1\n{name}:\n# nothing\n")
    assert (problem.line, problem.column) == (2, 1)
    assert problem.message == f'the list "{name}" is empty'
    assert ("for none" in problem.cure) is (name != "key_order")


@pytest.mark.parametrize(
    ("text", "listens"),
    [
        ("", ("0.0.0.0",)),  # noqa: S104 - compared
        ("listen =", ("0.0.0.0",)),  # noqa: S104
        ("socket = inet:8891@127.0.0.1", ()),
        ('socket "/run/grey.sock"', ()),
        ("policy_socket = /run/grey.sock", ()),
        ("policy_socket = /run/grey.sock\nlisten = 192.0.2.1", ("192.0.2.1",)),
    ],
)
def test_the_proxy_is_there_unless_a_mail_server_is_before_us(
    text: str, listens: tuple[str, ...]
) -> None:
    assert good(text).listens == listens


def test_one_value_is_no_list() -> None:
    assert one("port:\n  25\n") == (1, 1, '"port" takes one value, not a list')


def test_an_unknown_setting_gets_a_suggestion_once() -> None:
    (problem,) = bad("alowed_domains:\n  a\n  b\n")
    assert (problem.line, problem.message) == (1, 'unknown setting "alowed_domains"')
    assert problem.cure == 'did you mean "allowed_domains"?'


def test_a_setting_that_is_there_twice_names_both_lines() -> None:
    assert one("port = 25\n\n  port = 26\n") == (3, 3, '"port" is set on line 1 already')
    assert one("listen:\n  ::\nlisten = ::1\n") == (3, 1, '"listen" is set on line 1 already')
    assert one("port = 25\nport:\n  26\n") == (2, 1, '"port" is set on line 1 already')


def test_a_mistake_is_reported_at_its_word() -> None:
    assert one("port  =  many  # too many") == (1, 10, '"many" is not a number')
    assert one("allowed_domains:\n  a.org\n\t\tb@c.org\n")[:2] == (3, 3)
    assert one("whitelisted_triples:\n  *  joe  *\n")[:2] == (2, 6)


def test_every_mistake_of_a_row_is_reported() -> None:
    problems = bad("whitelisted_triples:\n  300.0.0.1 joe jim\n  * * *\n")
    assert [(p.line, p.column) for p in problems] == [(2, 3), (2, 13), (2, 17)]


def test_the_words_of_a_row_are_counted() -> None:
    assert one("allowed_domains:\n  a.org b.org\n") == (2, 9, "expected 1 word, found 2")
    assert one("whitelisted_triples:\n  * *\n") == (
        2,
        3,
        "expected 3 words (client, sender, recipient), found 2",
    )
    assert one("whitelisted_triples:\n  * * * *\n")[:2] == (2, 9)


def test_an_indented_setting_in_a_list_is_explained() -> None:
    (problem,) = bad("allowed_domains:\n  a.org\n  port = 25\n")
    assert "begin a setting in column 1" in problem.cure


def test_what_cannot_be_printed_is_refused_and_escaped() -> None:
    (problem,) = bad("servername = a\x1b[0m\n")
    assert problem.message == r'"a\x1b[0m" has characters that cannot be printed'


def test_contradictions_are_reported_at_a_value_of_the_file() -> None:
    assert one("log_to = file")[:2] == (1, 10)
    assert one("\nreserved_connections = 1000")[:2] == (2, 24)
    assert one("port = 8025")[:2] == (1, 8)
    assert one("smtp_port = 25")[:2] == (1, 13)
    assert one("listen:\n  127.0.0.1\nport = 8025\n")[:2] == (3, 8)


def test_a_refused_value_is_not_held_against_the_others() -> None:
    assert len(bad("reserved_connections = 1000\nmax_connections = 2 times\n")) == 1
    assert len(bad("listen:\n  nowhere\nsmtp_port = 25\n")) == 1
