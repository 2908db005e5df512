"""A site with rules as its clients see it: one program, one greylist.conf, a DNS server, a web
server and a mail server behind it, all of them real."""

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from Test.System.policy_site import Mailboxes, Names, Site, zones
from Test.System.processes import wait_until

STRANGER = "127.0.12.1"
NOW = 0.6  # seconds; what is answered at once takes less, and a tarpit longer

RULES = """
extendedregex
greylist_delay = 1s
message_size_limit = 60M
key_order:
    spf
    name
    network
dnsrbl "dyn" bl.example 127.0.0.10/31
dnsrbl "mute" slow.test 127.0.0.2
urlcheck "prefs" "http://127.0.0.1:{web}/%mr?rcpt=%r&ip=%i" 5 getprop clear
list "words" body {{ "cheap pills" /v[i1]agra/ }}
stat ">>{folder}/stat.csv" "%i,%f,%r,%S,%a,%Xc\\n"
racl "own"   whitelist addr 127.0.11.0/24 nolog
racl "helo"  blacklist helo /^[0-9.]+$/ msg "HELO %h is not a host name (rule %a)"
racl "trap"  blacklist rcpt trap@example.org code "550" ecode "5.1.1" msg "no such user"
racl "fail"  blacklist spf fail not from postmaster@bad.test msg "SPF %Qs for %sf"
racl "pass"  whitelist spf pass not spf self not from /@farm\\.test/
racl "rbl"   greylist  dnsrbl "dyn" delay 12h msg "listed in %D, come back in %R"
racl "mute"  blacklist rcpt patient@example.org dnsrbl "mute"
racl "web"   greylist  rcpt /^<?web/ urlcheck "prefs" $mode "strict" delay 1h msg "strict, %R"
racl "mx"    whitelist mx /24
racl "name"  whitelist domain nice.test
racl "slow"  whitelist tarpit 1s rcpt slow@example.org
racl "rest"  greylist  rcpt /^<?(anna|a|web|patient)@/ report "Held %E"
racl "data"  whitelist default
dacl "big"   blacklist msgsize > 25M msg "larger than 25 MB"
dacl "words" blacklist list "words" code "554" ecode "5.7.1" msg "content refused"
dacl "bill"  greylist header /^Subject: .*invoice/ delay 15m
dacl         continue rcpt lists@example.org subjtag "[ext] " addfooter "\\n-- \\nscanned\\n"
dacl "last"  whitelist default addheader "X-Rule: %a",1
"""


class Prefs(http.server.BaseHTTPRequestHandler):
    """Anna is strict; of others nothing is known."""

    def do_GET(self) -> None:
        strict = self.path.startswith("/web-strict?rcpt=web-strict%40example.org")
        text = b"milterGreylistStatus: Ok\nmode: strict\n" if strict else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def boxes() -> Iterator[Mailboxes]:
    with Mailboxes() as mailboxes:
        yield mailboxes


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prefs) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, boxes: Mailboxes, web: int) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with Names(*zones()).serving() as resolver:
        made = Site(folder, boxes.port, resolver)
        made.write(RULES.format(web=web, folder=folder))
        with made:
            yield made


def test_the_first_rule_that_matches_decides_and_says_why(site: Site) -> None:
    told = {
        "own": site.asks("127.0.11.7", "x@y.test", "anna@example.org").code,
        "pass": site.asks("127.0.1.7", "x@good.test", "anna@example.org").code,
        "mx": site.asks("127.0.40.99", "x@mxd.test", "anna@example.org").code,
        "name": site.asks("127.0.70.1", "x@y.test", "anna@example.org").code,
        "rest": site.asks(STRANGER, "x@y.test", "anna@example.org").code,
        "open": site.asks(STRANGER, "x@open.test", "anna@example.org").code,
        "postmaster": site.asks(STRANGER, "postmaster@bad.test", "anna@example.org").code,
    }
    assert told == {
        **dict.fromkeys(("own", "pass", "mx", "name"), 250),
        **dict.fromkeys(("rest", "open", "postmaster"), 451),
    }
    for rule in ("pass", "mx", "name", "rest"):
        site.wait_for_log(f"rule={rule}")
    assert site.logged("rule=own") == []  # nolog


@pytest.mark.parametrize(
    ("source", "sender", "recipient", "helo", "said"),
    [
        (STRANGER, "x@y.test", "a@example.org", "1.2.3.4", "551 5.7.1 HELO 1.2.3.4 is not a host"),
        (STRANGER, "x@bad.test", "a@example.org", "c.test", "551 5.7.1 SPF fail for bad.test ("),
        (STRANGER, "x@y.test", "trap@example.org", "c.test", "550 5.1.1 no such user ("),
        ("127.0.80.1", "x@y.test", "a@example.org", "c.test", "451 4.7.1 listed in dyn, come back"),
        ("127.0.80.2", "x@y.test", "a@example.org", "c.test", "451 4.7.1 Greylisting in action, "),
        (STRANGER, "x@y.test", "web-strict@example.org", "c.test", "451 4.7.1 strict, 01:00:00 ("),
        (STRANGER, "x@y.test", "web@example.org", "c.test", "451 4.7.1 Greylisting in action, ple"),
        (STRANGER, "x@y.test", "nobody@example.org", "c.test", "550 5.1.1 no such user"),
        (STRANGER, "x@y.test", "a@example.com", "c.test", "550 5.7.1 relaying denied ("),
    ],
)
def test_a_refusal_is_in_the_words_of_its_rule(
    site: Site, source: str, sender: str, recipient: str, helo: str, said: str
) -> None:
    answer = site.asks(source, sender, recipient, helo)
    assert f"{answer.code} {answer.text}".startswith(said)


def test_a_retry_from_the_other_end_of_a_farm_gets_in(site: Site, boxes: Mailboxes) -> None:
    by_spf = "127.0.20.1", "127.0.30.1", "news@farm.test"
    by_name = "127.0.50.1", "127.0.60.1", "news@y.test"
    for first, _, sender in (by_spf, by_name):
        assert site.asks(first, sender, "anna@example.org").code == 451

    def gets_in(source: str, sender: str) -> bool:
        return site.asks(source, sender, "anna@example.org").code == 250

    for _, other, sender in (by_spf, by_name):
        wait_until("a retry to be late enough", partial(gets_in, other, sender))
    for key in ("key=spf", "key=name"):
        site.wait_for_log("reason=retried", key)
    assert site.asks("127.0.13.1", "news@y.test", "anna@example.org").code == 451
    with site.visitor("127.0.60.1", "news@y.test") as client:
        assert client.to("anna@example.org").code == 250
        assert client.send().code == 250
    assert boxes.last().startswith(b"X-Greylist: ")


def test_a_tarpit_is_for_its_client_alone(site: Site) -> None:
    def slow() -> float:
        with site.visitor(STRANGER) as client:
            began = site.clock()
            assert client.to("slow@example.org").code == 250
            return site.clock() - began

    waits: list[float] = []
    threads = [threading.Thread(target=lambda: waits.append(slow())) for _ in range(4)]
    for thread in threads:
        thread.start()
    began = site.clock()
    assert site.asks("127.0.11.7", "x@y.test", "anna@example.org").code == 250
    assert site.clock() - began < NOW
    for thread in threads:
        thread.join()
    assert all(0.9 < wait < 2.5 for wait in waits), waits


def test_a_look_up_without_an_answer_holds_up_nobody_else(site: Site) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(site.asks("127.0.14.1", "x@y.test", "patient@example.org").code)

    thread = threading.Thread(target=ask)
    began = site.clock()
    thread.start()
    assert site.asks("127.0.11.7", "x@y.test", "anna@example.org").code == 250
    assert site.clock() - began < NOW
    thread.join()
    assert answers == [451]
    assert site.clock() - began < 3.0  # lookup_timeout is 1 s, decision_timeout 2 s
    site.wait_for(r"WARNING .*a look-up failed: Dnsrbl\(list_name='mute'")


def send(site: Site, content: bytes, *recipients: str) -> str:
    with site.visitor(STRANGER, "writer@y.test") as client:
        for recipient in recipients:
            assert client.to(recipient).code == 250
        answer = client.send(content)
        return f"{answer.code} {answer.text}"


def test_rules_of_the_message_refuse_and_defer_it(site: Site, boxes: Mailboxes) -> None:
    before = len(boxes.taken)
    pills = b"Subject: x\r\n\r\nbuy cheap pills\r\n"
    assert send(site, pills, "data@example.org").startswith("554 5.7.1 content refused (")
    bill = b"Subject: your\r\n invoice\r\n\r\nx\r\n"
    folded = send(site, bill, "data@example.org")
    one_line = send(site, bill.replace(b"\r\n invoice", b" invoice"), "data2@example.org")
    assert one_line.startswith("451 4.7.1 Greylisting in action, please come back in 00:15:00 (")
    assert folded.startswith("250")  # `.` is not the end of a line, as with milter-greylist
    assert len(boxes.taken) == before + 1


def test_large_messages_are_judged_and_arrive_whole(site: Site, boxes: Mailboxes) -> None:
    line = b"x" * 76 + b"\r\n"
    large = b"Subject: large\r\n\r\n" + line * (21 * 1024 * 1024 // len(line))
    before = len(boxes.taken)
    assert send(site, large, "data@example.org").startswith("250")
    assert boxes.last().endswith(large[-10_000:])
    assert len(boxes.last()) - len(large) < 500
    too_large = large + line * (6 * 1024 * 1024 // len(line))
    assert send(site, too_large, "data@example.org").startswith("551 5.7.1 larger than 25 MB (")
    assert len(boxes.taken) == before + 1


def test_what_rules_add_is_in_the_message(site: Site, boxes: Mailboxes) -> None:
    content = b"Subject: hello\r\n\r\nhello\r\n"
    assert send(site, content, "lists@example.org").startswith("250")
    head, _, body = boxes.last().partition(b"\r\n\r\n")
    assert b"\r\nX-Rule: last\r\n" in head
    assert b"\r\nSubject: [ext] hello" in head
    assert body == b"hello\r\n\r\n-- \r\nscanned\r\n"


def test_the_lines_of_stat_are_lines(site: Site) -> None:
    assert site.asks(STRANGER, "count@y.test", "trap@example.org").code == 550
    path: Path = site.folder / "stat.csv"
    line = f"{STRANGER},count@y.test,trap@example.org,reject,trap,550"
    wait_until("the line", lambda: line in path.read_text(encoding="utf-8").splitlines())
