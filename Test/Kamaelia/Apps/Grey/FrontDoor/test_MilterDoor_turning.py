"""A mail server's connection that serves many clients, one by one, while the settings change."""

import pytest

from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
from Kamaelia.Apps.Grey.FrontDoor.MilterDoor import MilterDoor
from Test.Kamaelia.Apps.Grey.FrontDoor.milters import WAIT, Asking, kinds
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import Office, ToldDecider, door_rules


class Change:
    """The settings change. who: doors that have turned to them by now."""

    def __init__(
        self, asking: Asking, rules: DoorRules | None, macros: tuple[str, ...] = ()
    ) -> None:
        self.who: list[MilterDoor] = []
        asking.door.when_turned = self.who.append
        self.decider = ToldDecider(lambda _: WAIT)
        self.decider.activate(Scheduler=asking.scheduler)
        asking.door.turn_to(Office(self.decider, rules), macros, 20.0)
        asking.run()


def test_the_next_session_has_the_settings_of_its_time() -> None:
    asking = Asking(door_rules()).connect()
    asking.mail()
    assert kinds(asking.rcpt()) == b"c"
    rules = door_rules()
    change = Change(asking, rules)
    assert kinds(asking.rcpt()) == b"c"  # this client began with those of before
    assert change.who == []
    asking.write(asking.mta.quit_new_connection())
    assert change.who == [asking.door]
    asking.connect("192.0.2.8")
    asking.mail()
    assert kinds(asking.rcpt()) == b"y"
    assert [each.client for each in change.decider.attempts] == ["192.0.2.8"]
    assert (len(asking.attempts), asking.door._rules, asking.door._patience) == (2, rules, 20.0)


def test_between_two_sessions_they_hold_at_once() -> None:
    asking = Asking().connect()
    asking.write(asking.mta.quit_new_connection())
    assert Change(asking, None).who == [asking.door]
    asking.connect()
    asking.mail()
    assert kinds(asking.rcpt()) == b"y"
    assert not asking.attempts


@pytest.mark.parametrize(
    ("rules", "macros"), [(door_rules(data_rules=True), ()), (door_rules(), ("mine",))]
)
@pytest.mark.parametrize("between", [True, False])
def test_what_was_not_agreed_on_takes_another_connection(
    rules: DoorRules, macros: tuple[str, ...], between: bool
) -> None:
    """Messages would not be sent that the rules of now look at."""
    asking = Asking(door_rules()).connect()
    if between:
        asking.write(asking.mta.quit_new_connection())
        Change(asking, rules, macros)
    else:
        Change(asking, rules, macros)
        assert kinds(asking.message()) == b"c"  # nobody's client is hung up on
        assert not asking.ended
        asking.write(asking.mta.quit_new_connection())
    assert asking.ended


def test_a_connection_whose_first_client_is_still_to_come_is_not_closed() -> None:
    asking = Asking(door_rules())
    Change(asking, door_rules(data_rules=True))
    assert kinds(asking.connect().message()) == b"c"
