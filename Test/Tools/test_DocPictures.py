"""Pictures and sections of the catalogue, from the components and their examples."""

import importlib
import os
import re
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Protocol.EchoProtocol import EchoProtocol
from Kamaelia.Util.Console import ConsoleEchoer, ConsoleReader

sys.path.append(str(Path(__file__).parents[2] / "Tools"))
DocPictures = importlib.import_module("DocPictures")
DocPurpose = importlib.import_module("DocPurpose")
DocScenes = importlib.import_module("DocScenes")
Purpose, purpose = DocPurpose.Purpose, DocPurpose.purpose

PAIR = """
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot

    print("said while it is put together")
    open("file", "w").close()
    Pipeline(OneShot("x"), ConsoleEchoer()).run()
"""


def module(example: str) -> ModuleType:
    head = "Thing\n=====\nExample Usage\n-------------\n"
    return ModuleType("thing", f"{head}One::\n{example}\nMore.")


def test_the_example_is_the_block_below_its_heading() -> None:
    assert DocPictures.example(module("\n    a = 1\n\n    b = 2\n")) == "a = 1\n\nb = 2\n"
    assert DocPictures.example(ModuleType("thing", "No example::\n\n    a = 1\n")) is None
    assert DocPictures.example(ModuleType("thing")) is None


def test_an_example_is_drawn_silently_and_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = sys.argv
    drawing = DocPictures.of_example(module(PAIR))
    assert drawing is not None
    assert drawing.title == "The example of thing"
    assert "OneShot outbox leads to ConsoleEchoer inbox." in drawing.description
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []
    socket.socket().close()  # they are to be had again
    assert (os.getcwd(), sys.argv) == (str(tmp_path), words)  # noqa: PTH109 - as it was


@pytest.mark.parametrize(
    "example",
    [
        "",
        "\n    1 / 0\n",
        "\n    not python at all\n",
        "\n    a = 1\n",
        '\n    from Kamaelia.Util.OneShot import OneShot\n    OneShot("x").run()\n',
        "\n    # needs a network" + PAIR,
        "\n    import socket\n    socket.socket()" + PAIR,
        "\n    import socket\n    socket.socketpair()" + PAIR,
    ],
    ids=["none", "fails", "no Python", "runs nothing", "one alone", "needs", "socket", "pair"],
)
def test_what_cannot_be_drawn_has_no_picture(example: str) -> None:
    assert DocPictures.of_example(module(example)) is None


def test_a_component_is_drawn_from_its_tables() -> None:
    drawing = DocPictures.of_component(ServerCore)
    assert drawing.title == "The boxes of ServerCore"
    assert "_socketactivity" in drawing.dot


HEAD, PROGRAM = "Intro.\n\n## Example Usage\n\nOne:\n\n", "```python\na\n```"
OUTPUT = "\n\nIt prints:\n\n```text\nb\n```"


@pytest.mark.parametrize("rest", ["", "\n\nMore.\n\n```python\nc\n```"])
@pytest.mark.parametrize("output", ["", OUTPUT])
def test_the_picture_stands_below_the_program_and_what_it_prints(output: str, rest: str) -> None:
    shown = DocPictures.with_picture(HEAD + PROGRAM + output + rest, "![i](i)")
    assert shown == HEAD + PROGRAM + output + "\n\n![i](i)" + rest


@pytest.mark.parametrize("text", ["Nothing.", "## Example Usage\n\nx", PROGRAM])
def test_without_a_program_the_picture_stands_last(text: str) -> None:
    assert DocPictures.with_picture(text, "![i](i)") == text + "\n\n![i](i)"


class Source(component):
    Inboxes = {"inbox": "object: not read", "control": "the shutdown"}


class Sink(component):
    Outboxes = {"signal": "the shutdown that came in"}


class Change(component):
    pass


class Odd(component):
    Inboxes = ["inbox"]


def maker() -> Change:
    return Change()


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (Pipeline, Purpose.CHASSIS),
        (ServerCore, Purpose.NETWORK),
        (TCPClient, Purpose.NETWORK),
        (EchoProtocol, Purpose.PROTOCOL),
        (ConsoleReader, Purpose.SOURCE),
        (ConsoleEchoer, Purpose.SINK),
        (Source, Purpose.SOURCE),
        (Sink, Purpose.SINK),
        (Change, Purpose.TRANSFORM),
        (Odd, Purpose.OTHER),
        (maker, Purpose.OTHER),
        (producerFinished, Purpose.OTHER),
    ],
)
def test_each_has_its_section(item: object, kind: object) -> None:
    assert purpose(item) is kind


def test_a_scene_is_drawn_from_the_program_itself() -> None:
    for path, draw in DocScenes.SCENES.items():
        assert re.fullmatch(r"Docs/pictures/[\w-]+\.svg", path)
        assert draw().dot == draw().dot
    assert "SESSION" in DocScenes.smtp_proxy().description
