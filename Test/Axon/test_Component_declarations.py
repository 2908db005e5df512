"""What a class of components declares: boxes beside the inherited ones, and how it shows itself."""

import pytest

import Axon.Component
from Axon.Component import component


def boxes(kind: type[component]) -> tuple[list[str], list[str]]:
    one = kind()
    return list(one.inboxes), list(one.outboxes)


class Extended(component):
    ExtraInboxes = {"next": "object: give one more"}
    ExtraOutboxes = {"errors": "Exception: what went wrong"}


def test_extra_boxes_add_to_the_inherited_ones() -> None:
    assert boxes(Extended) == (["inbox", "control", "next"], ["outbox", "signal", "errors"])
    assert Extended.Inboxes["next"] == "object: give one more"
    assert Extended.Inboxes["control"] == component.Inboxes["control"]


def test_the_class_above_keeps_its_own() -> None:
    assert boxes(component) == (["inbox", "control"], ["outbox", "signal"])
    assert list(component.Inboxes) == ["inbox", "control"]


def test_they_add_up_over_the_generations() -> None:
    class Silent(Extended):
        pass

    class More(Silent):
        ExtraInboxes = {"last": ""}

    assert boxes(Silent) == boxes(Extended)
    assert boxes(More) == (["inbox", "control", "next", "last"], ["outbox", "signal", "errors"])


def test_an_extra_box_may_describe_an_inherited_one_anew() -> None:
    class Precise(component):
        ExtraInboxes = {"inbox": "int: numbers"}

    assert list(Precise.Inboxes) == ["inbox", "control"]
    assert Precise.Inboxes["inbox"] == "int: numbers"


def test_a_declaration_of_all_boxes_replaces_also_the_extra_ones() -> None:
    class Bare(Extended):
        Inboxes = {"inbox": "object: all it has"}

    assert boxes(Bare) == (["inbox"], ["outbox", "signal", "errors"])


def test_both_in_one_class_add_up() -> None:
    class Both(component):
        Inboxes = {"one": ""}
        ExtraInboxes = {"two": ""}

    assert boxes(Both)[0] == ["one", "two"]


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_names_will_do(kind: type) -> None:
    class Old(component):
        Inboxes = kind(["inbox"])
        ExtraInboxes = kind(["extra"])

    assert Old.Inboxes == {"inbox": "", "extra": ""}
    assert boxes(Old)[0] == ["inbox", "extra"]


def test_the_extra_boxes_of_several_bases_add_up() -> None:
    class Other(component):
        ExtraInboxes = {"other": ""}

    class Both(Extended, Other):
        pass

    assert set(boxes(Both)[0]) == {"inbox", "control", "next", "other"}


def test_a_mix_in_may_bring_boxes() -> None:
    class Noted:
        ExtraOutboxes = {"notes": ""}

    class One(component, Noted):
        ExtraOutboxes = Noted.ExtraOutboxes

    assert boxes(One)[1] == ["outbox", "signal", "notes"]


def test_a_keyword_replaces_the_boxes_of_one_component() -> None:
    one = Extended(Inboxes=["only"])
    assert list(one.inboxes) == ["only"]
    assert "next" in Extended().inboxes


# ---- how it shows itself


def test_its_text_shows_what_waits_at_both_ends() -> None:
    one, other = component(), component()
    one.name = "one"
    one.link((one, "outbox"), (other, "inbox"))
    one.link((one, "signal"), (one, "control"))
    one.send("hello")
    one._deliver(b"\x00", "inbox")
    assert str(one) == (
        "Component one [ inboxes : {'control': [], 'inbox': [b'\\x00']} "
        "outboxes : {'outbox': ['hello'], 'signal': <>}"
    )


@pytest.mark.parametrize(
    ("flag", "lines"),
    [
        ("TraceAllSends", ["send {id} component_7 outbox 'hello'"]),
        ("TraceAllRecvs", ["recv {id} component_7 inbox 'hello'"]),
    ],
)
def test_messages_are_printed_when_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flag: str,
    lines: list[str],
) -> None:
    class Named(component):
        def __init__(self) -> None:
            super().__init__(name="Some.Module.component_7")

    monkeypatch.setattr(Axon.Component, flag, True)
    one = Named()
    monkeypatch.setattr(Axon.Component, flag, False)
    message = "hello"
    one.link((one, "outbox"), (one, "inbox"))
    one.send(message)
    assert one.recv() is message
    assert capsys.readouterr().out.splitlines() == [line.format(id=id(message)) for line in lines]
