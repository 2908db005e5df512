"""Components of an administrator's own: loaded by name, tried at once, wired before the decider."""

from pathlib import Path

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.OnMessage import MessageComponent
from Axon.Testing import harness
from Kamaelia.Apps.Grey.OwnComponents import OwnComponentError, before, load, load_all

GOOD = """
from Axon.OnMessage import MessageComponent

class Louder(MessageComponent):
    def on_inbox(self, text):
        self.send(text + "!")
"""


class Decider(MessageComponent):
    """Says yes to all; what it decided goes to the log."""

    ExtraOutboxes = {"log": "str: each attempt"}

    def on_inbox(self, text: str) -> None:
        self.send(text, "log")
        self.send(f"yes to {text}")


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_a_component_is_found_by_file_and_name(tmp_path: Path) -> None:
    found = load(written(tmp_path, GOOD), "Louder")
    assert issubclass(found, component)
    assert found.__name__ == "Louder"


def test_each_attempt_passes_all_of_them_in_their_order_and_then_the_decider(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, GOOD + GOOD.replace("Louder", "Asking").replace('"!"', '"?"'))
    own = load_all([(path, "Louder"), (path, "Asking")])
    with harness(before(own, Decider())) as h:
        h.put_all(["one", "two"])
        h.expect_all("outbox", ["yes to one!?", "yes to two!?"])
        h.expect_all("log", ["one!?", "two!?"])
        h.finish()
        h.expect("signal", producerFinished)


def test_without_any_the_decider_stands_alone() -> None:
    decider = Decider()
    assert before([], decider) is decider


def test_two_clients_have_one_each(tmp_path: Path) -> None:
    own = load_all([(written(tmp_path, GOOD), "Louder")])
    first, second = before(own, Decider()), before(own, Decider())
    with harness(first, second) as h:
        h.put("mine")
        h.expect("outbox", "yes to mine!")
        h.expect_nothing((second, "outbox"))


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
