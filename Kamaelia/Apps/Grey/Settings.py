"""
From a configuration to the parts of a server
=============================================
What greylist.conf says, in the words of each part that it is for. Nothing is started here, and
nothing is remembered: Server.py does both.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Loader import loads
>>> policy_of(loads("greylist 5m")).delay_seconds
300
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo

from Kamaelia.Apps.Grey.Certificates import backend_context
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Evaluate import RuleSet
from Kamaelia.Apps.Grey.Core.Access.Rates import Rates
from Kamaelia.Apps.Grey.Core.Access.Rule import Stage
from Kamaelia.Apps.Grey.Core.Access.Site import Site, local_fields
from Kamaelia.Apps.Grey.Core.Engine import Engine
from Kamaelia.Apps.Grey.Core.Expectations import Expectations
from Kamaelia.Apps.Grey.Core.Modes import ServerProtocol, ServerTLS
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Suspicion import zones_of
from Kamaelia.Apps.Grey.Core.Tarpits import Tarpits
from Kamaelia.Apps.Grey.Core.Types import Policy
from Kamaelia.Apps.Grey.FrontDoor.Admission import AdmissionRules
from Kamaelia.Apps.Grey.FrontDoor.Backends import BackendRule
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorSettings
from Kamaelia.Apps.Grey.FrontDoor.FrontOffice import ProxySettings
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelaySettings
from Kamaelia.Apps.Grey.Logs import RULES
from Kamaelia.Apps.Grey.Lookups.LookupService import LookupSettings
from Kamaelia.Apps.Grey.Lookups.Organisations import organisation_of
from Kamaelia.Apps.Grey.Options.Version import version
from Kamaelia.Apps.Grey.Store.DumpFile import DumpPlan
from Kamaelia.Apps.Grey.Sync.SyncSettings import SyncSettings
from Kamaelia.Protocol.SMTPClient import ServerAccess
from Kamaelia.Support.Protocol.SMTP.ClientCommands import ClientTimes
from Kamaelia.Support.Protocol.SMTP.ClientGreeting import TLSPolicy
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits


def policy_of(config: Config) -> Policy:
    """What the decision needs to know of the configuration."""
    return Policy(
        delay_seconds=config.greylist_delay,
        window_seconds=config.retry_window,
        pass_seconds=config.pass_lifetime,
        prefix4=config.network_prefix4,
        prefix6=config.network_prefix6,
        allowed_senders=config.allowed_senders,
        allowed_sender_nets=config.allowed_sender_nets,
        allowed_domains=config.allowed_domains,
        whitelisted_triples=config.whitelisted_triples,
        nonstandard_triples=config.whitelisted_nonstandard_triples,
        store_failure=config.store_failure,
        greylist_authenticated=config.noauth,
        new_per_network=config.new_per_network,
        greylist_mode=config.greylist_mode,
        worst_delay=config.worst_delay,
        key_order=config.key_order,
        normalise_senders=config.normalise_senders,
        client_passes=config.client_passes,
        client_abuse=config.client_abuse,
        never_whitelist=config.never_whitelist,
        greylist_only_for=config.greylist_only_for,
        never_greylist_for=config.never_greylist_for,
        suspicious_lists=config.suspicious_lists,
        trusted_lists=config.trusted_lists,
        nospf=config.nospf,
        noaccessdb=config.noaccessdb,
        testmode=config.testmode,
        dry_run=config.dry_run,
        quiet=config.quiet,
        greylist_code=config.greylist_code,
        greylist_ecode=config.greylist_ecode,
    )


def zone_at(now: float) -> tzinfo:
    """This machine's time zone at that time."""
    here = time.localtime(now)
    return timezone(timedelta(seconds=here.tm_gmtoff), here.tm_zone)


def site_of(config: Config) -> Site:
    """Who we are, as texts tell it."""
    return Site(version=version(), host=config.servername, zone=zone_at)


def rules_of(config: Config, rates: Rates | None = None) -> RuleSet:
    """The access rules, ready to be asked. rates: those that were counted so far."""
    return RuleSet(
        config.access_rules,
        config.definitions,
        site=site_of(config),
        on_failure=config.lookup_failure.value,
        rates=rates,
    )


def engine_of(
    config: Config,
    rules: RuleSet,
    *,
    admit: Callable[[str], bool] = lambda _: True,
    expectations: Expectations | None = None,
    big_senders: Networks | None = None,
    tarpits: Tarpits | None = None,
    trace: bool = False,
) -> Engine:
    """Who decides, in a server and for --explain. admit: whether one more stranger of a network may
    be remembered."""
    return Engine(
        policy_of(config),
        rules,
        organisation=organisation_of,
        admit=admit,
        local=lambda now: local_fields(datetime.fromtimestamp(now, zone_at(now))),
        expectations=expectations,
        big_senders=big_senders,
        tarpits=tarpits if config.access_rules else None,
        trace=trace or logging.getLogger(RULES).isEnabledFor(logging.DEBUG),  # -l
    )


def definitions_of(config: Config) -> Definitions:
    """What look-ups need to know of the file: the lists of the settings beside those of rules."""
    dnsrbls = {**config.definitions.dnsrbls, **zones_of(policy_of(config))}
    return replace(config.definitions, dnsrbls=dnsrbls)


def looks_up(config: Config) -> bool:
    """Whether any decision may need somebody who looks things up."""
    policy = policy_of(config)
    return bool(config.access_rules or config.big_senders or not Engine(policy).plain)


def lookup_settings_of(config: Config) -> LookupSettings:
    """How long look-ups may take, and whom they ask."""
    return LookupSettings(
        lookup_timeout=float(config.lookup_timeout),
        resolvers=config.resolvers,
        receiver=config.servername,
    )


def door_settings_of(config: Config) -> DoorSettings:
    """What the rules want of the front door."""
    return DoorSettings(
        config.servername,
        needs_subject=bool(config.access_rules),
        looks_up=looks_up(config),
        data_rules=any(rule.stage is Stage.DATA for rule in config.access_rules),
        delayedreject=config.delayedreject,
        report=config.report,
        product=f"kamaelia-grey-{version()}",
        local_address=config.definitions.localaddr,
        size_limit=config.message_size_limit,
    )


_MACROS = re.compile(r"%M\{?([A-Za-z0-9_]{1,64})").findall


def macros_of(config: Config) -> tuple[str, ...]:
    """The macros of a mail server that the rules look at, without braces."""
    definitions = config.definitions
    tested = [test.macro.strip("{}") for test in definitions.macros.values()]
    texts = [rule.source for rule in config.access_rules]
    # Texts with codes stand in many places there: all of them are looked through.
    said = _MACROS("\n".join((*texts, repr(definitions))))
    return tuple(dict.fromkeys((*tested, *said)))


def settings_of(config: Config) -> ProxySettings:
    """What a client's session needs to know of the configuration."""
    return ProxySettings(
        hostname=config.servername,
        greeting=f"ESMTP {config.serverid}".strip(),
        size_limit=config.message_size_limit,
        timeout=float(config.inactivity_timeout),
        greet_pause=float(config.greet_pause),
        chunking=config.chunking,
        limits=ServerLimits(
            max_recipients=config.max_recipients, message_bytes=config.message_size_limit
        ),
        proxy_protocol_from=config.proxy_protocol_from,
        xclient_from=config.xclient_from,
    )


_TLS_POLICIES = {
    ServerTLS.OFF: TLSPolicy.OFF,
    ServerTLS.MAY: TLSPolicy.MAY,
    ServerTLS.REQUIRE: TLSPolicy.REQUIRE,
    ServerTLS.VERIFY: TLSPolicy.REQUIRE,  # the context does the rest
}


def relay_settings_of(config: Config) -> RelaySettings:
    """How the real mail servers are spoken to. Raises CertificateError."""
    context = backend_context(config.backend_tls.value, config.backend_tls_ca)
    return RelaySettings(
        helo_name=config.servername,
        times=ClientTimes(
            connect=float(config.connect_timeout),
            reply=float(config.backend_reply_timeout),
            final=float(config.backend_final_timeout),
        ),
        access=ServerAccess(
            lmtp=config.backend_protocol is ServerProtocol.LMTP,
            tls=_TLS_POLICIES[config.backend_tls],
            context=None if context is None else lambda: context,
            name=config.backend_tls_name or None,
        ),
        client_info=config.client_info,
        kept=config.backend_connections_kept,
    )


def backend_rules_of(config: Config) -> list[BackendRule]:
    """Which real mail server gets what."""
    if not config.backends:
        return [BackendRule(config.smtp_ip, config.smtp_port)]
    return [
        BackendRule(host, port, priority, (domain,))
        for host, port, priority, domain in config.backends
    ]


def admission_rules_of(config: Config) -> AdmissionRules:
    """Who may come in. Those whose mail we relay, and our own fronts, bring the mail of many: the
    limits for one client are not for them."""
    many = (
        *config.reserved_networks,
        *config.allowed_senders,
        *config.allowed_sender_nets,
        *config.xclient_from,
    )
    return AdmissionRules(
        max_connections=config.max_connections,
        reserved=config.reserved_connections,
        reserved_networks=config.reserved_networks,
        per_client=config.max_client_connections,
        per_client_rate=float(config.client_rate),
        memory_limit=config.memory_limit,
        exempt=Networks(many),
    )


def sync_settings_of(config: Config) -> SyncSettings:
    """With which machines records are shared, and how."""
    host, port = config.syncaddr
    return SyncSettings(
        peers=tuple((name, float(seconds)) for name, seconds in config.peers),
        port=port,
        listen_host=host,
        listen_port=port,
        source=config.syncsrcaddr,
        queue_limit=config.syncmaxqlen,
    )


def dump_plan_of(config: Config) -> DumpPlan | None:
    """Where the records go as text; None: nowhere."""
    if config.dumpfile is None:
        return None
    policy = policy_of(config)
    return DumpPlan(
        config.dumpfile,
        mode=config.dumpfile_mode,
        translate=not config.dump_no_time_translation,
        lifetimes=policy.lifetimes,
        prefix4=policy.prefix4,
        prefix6=policy.prefix6,
        delay_seconds=policy.delay_seconds,
        version=f"kamaelia-grey-{version()}",
        always=config.workers > 1,
    )
