"""Components of an administrator's own: loaded by name, tried at once, wired before the decider."""

from collections.abc import Callable
from pathlib import Path

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import harness
from Kamaelia.Apps.Grey.OwnComponents import OwnComponentError, chain, load, load_all
from Test.Kamaelia.Apps.Grey.support import RCPT, STRANGER, FakeServer, Grey

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]

GOOD = """
from Axon.OnMessage import MessageComponent

class Louder(MessageComponent):
    def on_inbox(self, text):
        self.send(text + "!")
"""
UNTAG = """
from dataclasses import replace
from Axon.OnMessage import MessageComponent

class Untag(MessageComponent):
    def on_inbox(self, attempt):
        person = attempt.recipient_local.partition("+")[0]
        key = f"{person}@{attempt.recipient_domain}"
        self.send(replace(attempt, recipient=key))
"""
FAILING = """
from Axon.OnMessage import MessageComponent

class Failing(MessageComponent):
    def on_inbox(self, attempt):
        if attempt.recipient_local == "b":
            raise RuntimeError("planted")
        self.send(attempt)
"""
AT_ONCE = """
from Axon.AtOnce import act_at_once
from Axon.Component import component

class Failing(component):
    def __init__(self):
        super().__init__()
        act_at_once(self, "inbox", self.check)

    def check(self, attempt):
        if attempt.recipient_local == "b":
            raise RuntimeError("planted")
        self.send(attempt)

    def main(self):
        while not self.told_to_stop():
            self.pause()
            yield 1
"""
NONSENSE = FAILING.replace('raise RuntimeError("planted")', 'attempt = "planted"')
AT_THE_START = """
from Axon.OnMessage import MessageComponent

class Failing(MessageComponent):
    made = []

    def __init__(self):
        super().__init__()
        self.made.append(self)
        if len(self.made) == 3:  # the first is made when it is loaded
            raise RuntimeError("planted")

    def on_inbox(self, attempt):
        self.send(attempt)
"""
OTHER = b"RCPT TO:<other@example.org>\r\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_a_component_is_found_by_file_and_name(tmp_path: Path) -> None:
    found = load(written(tmp_path, GOOD), "Louder")
    assert issubclass(found, component)
    assert found.__name__ == "Louder"


def test_each_attempt_passes_all_of_them_in_their_order(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + GOOD.replace("Louder", "Asking").replace('"!"', '"?"'))
    own = load_all([(path, "Louder"), (path, "Asking")])
    with harness(chain(own)) as h:
        h.put_all(["one", "two"])
        h.expect_all("outbox", ["one!?", "two!?"])
        h.finish()
        h.expect("signal", producerFinished)


def test_two_clients_have_one_each(tmp_path: Path) -> None:
    own = load_all([(written(tmp_path, GOOD), "Louder")])
    first, second = chain(own), chain(own)
    with harness(first, second) as h:
        h.put("mine")
        h.expect("outbox", "mine!")
        h.expect_nothing((second, "outbox"))


# ---- in the whole system


def before(tmp_path: Path, text: str, name: str = "Failing") -> tuple[tuple[Path, str], ...]:
    return ((written(tmp_path, text), name),)


def test_the_decision_is_on_what_they_made_of_an_attempt_and_the_mail_goes_where_it_was_sent(
    mail_server: MailServer, start_grey: StartGrey, tmp_path: Path
) -> None:
    backend = mail_server()
    grey = start_grey(backend, before_decider=before(tmp_path, UNTAG, "Untag"))
    tagged = b"RCPT TO:<b+%b@example.org>\r\n"
    assert grey.client(STRANGER).begin().ask(tagged % b"one").startswith("451 4.7.1")
    grey.clock.advance(61)
    assert grey.client(STRANGER).begin().ask(tagged % b"two").startswith("250")
    assert backend.visit().commands[2] == tagged.strip() % b"two"


def test_they_end_with_their_client(
    mail_server: MailServer, start_grey: StartGrey, tmp_path: Path
) -> None:
    grey = start_grey(mail_server(), before_decider=before(tmp_path, UNTAG, "Untag"))
    at_rest = len(grey.components())
    clients = [grey.client(STRANGER).begin() for _ in range(3)]
    for client in clients:
        assert client.ask(RCPT).startswith("451")
    assert len(grey.components()) > at_rest + 3
    for client in clients:
        assert client.ask(b"QUIT\r\n").startswith("221")
    grey.until(lambda: len(grey.server_tree()) == at_rest)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(FAILING, id="in its turn"),
        pytest.param(AT_ONCE, id="at once"),
        pytest.param(AT_THE_START, id="when it is made"),
        pytest.param(NONSENSE, id="what it sends"),
    ],
)
def test_an_exception_in_one_is_421_for_its_client_and_nothing_for_the_others(
    mail_server: MailServer, start_grey: StartGrey, tmp_path: Path, text: str
) -> None:
    grey = start_grey(mail_server(), before_decider=before(tmp_path, text))
    other = grey.client().begin()
    assert other.ask(OTHER).startswith("250")
    at_rest = len(grey.components())
    client = grey.client()
    client.send(b"HELO client.example\r\n")
    assert client.reply().startswith("250")
    client.send(b"MAIL FROM:<a@example.net>\r\n" + RCPT)
    replies = []
    while reply := client.reply():
        replies.append(reply)
    assert replies[-1].startswith("421 4.3.0 internal error, try again later (")
    assert all(reply.startswith("250 2.1.0") for reply in replies[:-1])
    # With its traceback, and the line in the administrator's file.
    (said,) = [each for each in grey.log.texts if "planted" in each]
    assert "mine.py" in said
    grey.until(lambda: len(grey.server_tree()) == at_rest)  # nothing of it is left
    assert other.ask(b"DATA\r\n").startswith("354")
    assert other.deliver().startswith("250")
    assert grey.client().begin().ask(OTHER).startswith("250")


def test_one_that_ends_before_its_client_is_421_and_keeps_nobody_waiting(
    mail_server: MailServer, start_grey: StartGrey, tmp_path: Path
) -> None:
    text = "from Axon.Component import component\n\nclass Short(component):\n    pass\n"
    text += "    def main(self):\n        yield 1\n"
    grey = start_grey(mail_server(), before_decider=before(tmp_path, text, "Short"))
    client = grey.client().begin()
    assert client.ask(RCPT).startswith("421 4.3.0 ")
    assert client.is_closed()


# ---- what cannot be used


@pytest.mark.parametrize(
    ("text", "name", "complaint"),
    [
        (GOOD, "Quieter", "no component of this name; there: Louder, MessageComponent"),
        ("x = 1", "x", "no component of this name; there: none"),
        ("x = = 1", "x", "line 1: invalid syntax: mend the file"),
        ("\n\n1 / 0", "x", "line 3: ZeroDivisionError: division by zero: mend the file"),
        ("import no_such_module", "x", "line 1: ModuleNotFoundError"),
        (GOOD + "\n    def __init__(self, needed):\n        pass\n", "Louder", "without arguments"),
        (GOOD + '\n    Outboxes = {"signal": "x"}\n', "Louder", "it has no box 'outbox'"),
        (GOOD + '\n    Inboxes = {"inbox": "x"}\n', "Louder", "it has no box 'control'"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(
    tmp_path: Path, text: str, name: str, complaint: str
) -> None:
    with pytest.raises(OwnComponentError, match=r"^before_decider: ") as raised:
        load(written(tmp_path, text), name)
    assert complaint in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OwnComponentError, match="No such file"):
        load(tmp_path / "none.py", "Louder")


def test_a_file_that_is_not_python_by_its_name_is_said(tmp_path: Path) -> None:
    with pytest.raises(OwnComponentError, match=r"ends in \.py"):
        load(tmp_path / "none.txt", "Louder")
