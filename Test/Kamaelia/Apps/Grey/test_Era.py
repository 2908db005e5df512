"""The parts of one configuration: what there is, who hears of whom, and how it ends."""

from ipaddress import ip_network

import pytest

from Axon.Component import component
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Core.Access.Evaluate import RuleSet
from Kamaelia.Apps.Grey.Core.Engine import Engine
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Era import Era
from Kamaelia.Apps.Grey.GreylistDecider import GreylistDecider
from Kamaelia.Apps.Grey.Lookups.BigSenders import BigSendersList
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Watch.Tap import DecisionTap

PLAIN = "nospf\nsmtp_ip = 192.0.2.1\n"
BIG = PLAIN + "big_senders:\n    big.example\n"
RULES = PLAIN + "racl greylist default\n"


def era_of(text: str, server: type[GreyServer] = GreyServer) -> Era:
    return server(loads(text), open_store=MemoryStore, listening=[])._era


def kinds(era: Era) -> list[str]:
    return [type(part).__name__ for part in era.parts]


def engine_in(era: Era) -> Engine:
    assert isinstance(era.decider, GreylistDecider)
    return era.decider.engine


# --- big senders ---


def test_the_networks_of_big_senders_reach_the_engine() -> None:
    era = era_of(BIG)
    assert era.senders is not None
    assert not engine_in(era).big_senders
    for text in ("192.0.2.0/24", "198.51.100.0/24"):  # each list as it comes
        networks = Networks([ip_network(text)])
        era.senders.send(BigSendersList(networks, {}, {}), "outbox")
        assert engine_in(era).big_senders is networks


def test_without_big_senders_nobody_asks_for_them() -> None:
    era = era_of(RULES)
    assert era.senders is None
    assert era.resolver is None


class OwnDecider(component):
    """Of somebody who has no engine."""


class OwnServer(GreyServer):
    def make_decider(self, *_: object) -> component:
        return OwnDecider()


def test_a_decider_of_ones_own_needs_no_engine_and_no_log() -> None:
    era = era_of(BIG, OwnServer)
    assert isinstance(era.decider, OwnDecider)
    assert era.senders is None
    assert "OwnDecider" in kinds(era)


# --- who looks things up ---


@pytest.mark.parametrize(
    ("text", "needed"), [(PLAIN, False), (RULES, True), (BIG, True), ("", True)]
)
def test_there_is_somebody_who_looks_things_up_only_if_a_decision_may_need_it(
    text: str, needed: bool
) -> None:
    era = era_of(text)
    assert (era.lookups is not None) is needed
    assert ("LookupService" in kinds(era)) is needed


def test_the_decider_gets_the_rules_and_who_looks_things_up() -> None:
    got: list[object] = []

    class Server(GreyServer):
        def make_decider(
            self, config: object, rules: RuleSet, lookups: component | None
        ) -> component:
            got.extend([len(rules), lookups])
            return OwnDecider()

    era = era_of(RULES, Server)
    assert got == [1, era.lookups]


# --- the end ---


def test_who_is_asked_ends_after_those_who_ask() -> None:
    names = kinds(era_of(BIG + "verify_recipients = always\n"))
    assert names == [
        "BackendProbe",
        "Verifier",
        "RelayPool",
        "GreylistDecider",
        "BigSenders",
        "Resolver",
        "LookupService",
    ]


def test_each_mail_server_has_a_probe() -> None:
    era = era_of("nospf\nbackends:\n    192.0.2.1 25 1 *\n    192.0.2.2 25 1 *\n")
    assert kinds(era).count("BackendProbe") == 2


def test_a_new_era_shares_nothing_that_ends_with_the_old_one() -> None:
    server = GreyServer(loads(BIG), open_store=MemoryStore, listening=[])
    again = Era(server, server.config, server.certificates)
    assert not set(map(id, again.parts)) & set(map(id, server._era.parts))
    assert again.sessions == 0


# --- the log ---


@pytest.mark.parametrize(("stat", "tapped"), [('stat ">>stat.log" "%f"\n', True), ("", False)])
def test_decisions_go_to_the_mail_log_and_to_the_statistics_if_wanted(
    stat: str, tapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    real = DecisionTap.__init__

    def noting(self: DecisionTap, mail_log: component, stat_log: component) -> None:
        made.append(self)
        real(self, mail_log, stat_log)

    monkeypatch.setattr(DecisionTap, "__init__", noting)
    era_of(PLAIN + stat)
    assert bool(made) is tapped
