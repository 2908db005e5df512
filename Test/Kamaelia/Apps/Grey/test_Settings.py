"""From a configuration to its parts: every setting arrives, and a new one cannot be forgotten."""

import doctest
import logging
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from Kamaelia.Apps.Grey import Settings
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Access.Rates import Rates
from Kamaelia.Apps.Grey.Core.Expectations import Expectations
from Kamaelia.Apps.Grey.Core.Modes import LookupFailure, Mode, Report
from Kamaelia.Apps.Grey.Core.Tarpits import Tarpits
from Kamaelia.Apps.Grey.Core.Types import Attempt, Policy
from Kamaelia.Apps.Grey.Logs import RULES
from Kamaelia.Apps.Grey.Options.Version import version
from Kamaelia.Apps.Grey.Settings import (
    definitions_of,
    door_settings_of,
    dump_plan_of,
    engine_of,
    looks_up,
    lookup_settings_of,
    policy_of,
    rules_of,
    site_of,
    zone_at,
)

# Of a Policy -> of a Config. All others have the same name in both.
OTHER_NAMES = {
    "delay_seconds": "greylist_delay",
    "window_seconds": "retry_window",
    "pass_seconds": "pass_lifetime",
    "prefix4": "network_prefix4",
    "prefix6": "network_prefix6",
    "greylist_authenticated": "noauth",
    "nonstandard_triples": "whitelisted_nonstandard_triples",
}
OF_POLICY = [field.name for field in fields(Policy)]
SUMMER, WINTER = 1_750_000_000.0, 1_737_000_000.0


def name_in_config(name: str) -> str:
    return OTHER_NAMES.get(name, name)


# --- the policy ---


@pytest.mark.parametrize("name", OF_POLICY)
def test_what_a_policy_has_comes_from_the_configuration(name: str) -> None:
    value = object()
    changed: dict[str, Any] = {name_in_config(name): value}
    config = replace(Config(), **changed)
    assert getattr(policy_of(config), name) is value
    others = [other for other in OF_POLICY if getattr(policy_of(config), other) is value]
    assert others == [name]


def test_no_other_name_is_one_that_both_have() -> None:
    of_config = {field.name for field in fields(Config)}
    assert not of_config & set(OTHER_NAMES)
    assert {name_in_config(name) for name in OF_POLICY} <= of_config


# --- where and who we are ---


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
def test_the_zone_is_that_of_the_time() -> None:
    assert [zone_at(now).utcoffset(None) for now in (SUMMER, WINTER)] == [
        timedelta(hours=2),
        timedelta(hours=1),
    ]
    assert site_of(Config()).local_time(SUMMER).tzname() == "CEST"


@pytest.mark.usefixtures("in_berlin")
def test_rules_that_name_hours_mean_ours() -> None:
    rules = 'racl blacklist time "* 17 * * *"\nracl whitelist default\n'
    config = loads("nospf\nallowed_domains:\n    example.org\n" + rules)
    engine = engine_of(config, rules_of(config), tarpits=Tarpits())
    attempt = Attempt("192.0.2.7", "mx", "a@b.example", "b@example.org", "k", "b", "example.org")
    verdicts = []
    for now in (SUMMER, SUMMER + 3600):  # 17:06 and 18:06
        deciding = engine.decide(attempt, int(now))
        try:
            while True:
                next(deciding)
        except StopIteration as done:
            verdicts.append(done.value.verdict.value)
    assert verdicts == ["reject", "pass"]


def test_the_site_says_name_and_version() -> None:
    site = site_of(loads("servername = mx.example.org"))
    assert (site.host, site.version, site.zone) == ("mx.example.org", version(), zone_at)


# --- who decides ---


def test_the_engine_gets_what_is_given() -> None:
    config = loads("racl greylist default\ngreylist_delay = 7m\nlookup_failure = defer")
    expected, tarpits, admitted = Expectations(), Tarpits(), []

    def admit(network: str) -> bool:
        admitted.append(network)
        return True

    rates = Rates()
    rules = rules_of(config, rates)
    engine = engine_of(config, rules, admit=admit, expectations=expected, tarpits=tarpits)
    assert engine.expectations is expected
    assert engine.tarpits is tarpits
    assert engine.policy.delay_seconds == 420
    assert len(rules) == 1
    assert config.lookup_failure is LookupFailure.DEFER
    assert engine._greylisting._admit is admit


def test_without_rules_nobody_has_endured_anything() -> None:
    config = Config()
    engine = engine_of(config, rules_of(config), tarpits=Tarpits())
    assert engine.tarpits is None


@pytest.mark.parametrize(("level", "traced"), [(logging.DEBUG, True), (logging.INFO, False)])
def test_rulings_are_traced_if_their_log_wants_it(
    level: int, traced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level, RULES)
    config = Config()
    assert engine_of(config, rules_of(config), tarpits=Tarpits())._trace is traced


# --- who looks things up ---


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("nospf", False),
        ("nospf\ngreylist_mode = all", False),
        ("", True),  # SPF
        ("nospf\ngreylist_mode = suspicious", True),
        ("nospf\nracl greylist default", True),
        ("nospf\nbig_senders:\n    gmail.com", True),
        ("nospf\ntrusted_lists:\n    good.example 127.0.0.0/8", True),
    ],
)
def test_somebody_looks_things_up_only_where_a_decision_may_need_it(
    text: str, needed: bool
) -> None:
    assert looks_up(loads(text)) is needed


def test_a_dry_run_is_no_reason_but_is_not_plain_either() -> None:
    assert looks_up(replace(Config(), nospf=True, dry_run=True))


def test_lists_of_the_settings_stand_beside_those_of_the_rules() -> None:
    config = loads(
        "suspicious_lists:\n    zen.example 127.0.0.2\ntrusted_lists:\n    good.example 127.0.0.3\n"
        'dnsrbl "mine" rbl.example 127.0.0.4\nracl blacklist dnsrbl "mine"\n'
    )
    lists = definitions_of(config).dnsrbls
    found = {(zone.zone, zone.answers) for zone in lists.values()}
    assert found == {
        ("zen.example", ip_network("127.0.0.2")),
        ("good.example", ip_network("127.0.0.3")),
        ("rbl.example", ip_network("127.0.0.4")),
    }
    assert lists["mine"] == config.definitions.dnsrbls["mine"]
    assert definitions_of(replace(config, suspicious_lists=())).dnsrbls.keys() < lists.keys()


def test_look_ups_have_their_limits_and_resolvers() -> None:
    config = replace(
        Config(), lookup_timeout=7, resolvers=(("192.0.2.53", 53),), servername="mx.example.org"
    )
    settings = lookup_settings_of(config)
    assert (settings.lookup_timeout, settings.resolvers, settings.receiver) == (
        7.0,
        (("192.0.2.53", 53),),
        "mx.example.org",
    )


# --- the front door ---


@pytest.mark.parametrize(
    ("text", "needs_subject", "data_rules"),
    [
        ("", False, False),
        ("racl greylist default", True, False),
        ('racl greylist default\ndacl blacklist body "pills"', True, True),
    ],
)
def test_the_door_does_what_the_rules_need_and_no_more(
    text: str, needs_subject: bool, data_rules: bool
) -> None:
    settings = door_settings_of(loads(text))
    assert (settings.needs_subject, settings.data_rules) == (needs_subject, data_rules)


def test_the_door_knows_who_we_are_and_what_to_tell() -> None:
    config = loads(
        "servername = mx.example.org\nmessage_size_limit = 1M\nreport = nodelays\ndelayedreject\n"
        "localaddr 192.0.2.25\n"
    )
    settings = door_settings_of(config)
    assert (settings.hostname, settings.local_address) == ("mx.example.org", "192.0.2.25")
    assert (settings.size_limit, settings.delayedreject) == (1 << 20, True)
    assert settings.report is Report.NODELAYS
    assert settings.product == f"kamaelia-grey-{version()}"


# --- the dump ---


def test_a_dump_is_written_only_to_where_it_is_wanted() -> None:
    assert dump_plan_of(Config()) is None
    config = replace(
        Config(),
        dumpfile=Path("/var/db/greylist.db"),
        dumpfile_mode=0o640,
        dump_no_time_translation=True,
        workers=2,
        greylist_mode=Mode.ALL,
    )
    plan = dump_plan_of(config)
    assert plan is not None
    assert (plan.path, plan.mode, plan.translate) == (Path("/var/db/greylist.db"), 0o640, False)
    assert plan.always  # others change the same file
    assert plan.lifetimes == policy_of(config).lifetimes
    alone = dump_plan_of(replace(config, workers=1))
    assert alone is not None
    assert not alone.always


def test_the_examples_are_true() -> None:
    assert doctest.testmod(Settings).failed == 0
