"""
The parts of one configuration
==============================
When greylist.conf is read again, sessions that run go on with what they began with. So all that
depends on the file stands together in an `Era`: the pool of relays, who verifies, who decides and
who looks things up, and the office that sessions share. The server begins a new one at each reload,
and ends an old one with its last session.

Example Usage
-------------
By GreyServer alone::

    era = Era(server, config, certificates)
    for part in era.parts:
        part.activate()
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Kamaelia.Apps.Grey import OwnComponents
from Kamaelia.Apps.Grey.Certificates import Certificates
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Access.Evaluate import peek_bytes
from Kamaelia.Apps.Grey.Core.Engine import Engine
from Kamaelia.Apps.Grey.Core.Modes import Verify
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.BackendProbe import BackendProbe
from Kamaelia.Apps.Grey.FrontDoor.Backends import Backends
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
from Kamaelia.Apps.Grey.FrontDoor.FrontOffice import FrontOffice
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelayPool
from Kamaelia.Apps.Grey.FrontDoor.Verifier import Verifier
from Kamaelia.Apps.Grey.FrontDoor.VerifyCache import VerifyCache
from Kamaelia.Apps.Grey.Lookups.BigSenders import BigSenders, BigSendersList
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.DnsLookups import resolver_for
from Kamaelia.Apps.Grey.Lookups.LookupService import LookupService
from Kamaelia.Apps.Grey.Lookups.Others import handlers
from Kamaelia.Apps.Grey.Settings import (
    backend_rules_of,
    definitions_of,
    door_settings_of,
    looks_up,
    lookup_settings_of,
    macros_of,
    policy_of,
    relay_settings_of,
    rules_of,
    settings_of,
)
from Kamaelia.Apps.Grey.Watch.Tap import DecisionTap

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.Server import GreyServer


class _Listening(component):
    """Tells an engine which networks are those of big senders. It takes each list as it comes, and
    has no turn."""

    def __init__(self, senders: BigSenders, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        act_at_once(self, "inbox", self._take)
        self.link((senders, "outbox"), (self, "inbox"))

    def _take(self, found: BigSendersList) -> None:
        self._engine.big_senders = found.networks


class Era:
    """The parts that belong to one configuration, and how many sessions still have them."""

    resolver: component | None = None  # of the big senders

    def __init__(self, server: GreyServer, config: Config, certificates: Certificates) -> None:
        own = OwnComponents.load_all(config.before_decider)
        backends = Backends(
            backend_rules_of(config), lambda rule: Backend(rule.host, rule.port), random.random
        )
        self.pool = RelayPool(backends, relay_settings_of(config))
        self.verifier = Verifier(
            self.pool,
            config.verify_recipients,
            VerifyCache(float(config.verify_found_lifetime), float(config.verify_unknown_lifetime)),
        )
        self.lookups: LookupService | None = None
        contents = Contents()
        if looks_up(config):
            found = lookup_settings_of(config)
            definitions = definitions_of(config)
            self.lookups = LookupService(definitions, found, handlers(definitions, found, contents))
        rules = rules_of(config, server.rates)
        self.decider = server.make_decider(config, rules, self.lookups)
        self.senders = self._senders(server, config)
        self.rules = Rules(policy_of(config))
        self.macros = macros_of(config)
        # Without a proxy there may be no real mail server at all.
        asked = backends.all if config.listens else []
        self.probes = [BackendProbe(backend, self.pool) for backend in asked]
        self.office = FrontOffice(
            settings_of(config),
            self.pool,
            self.decider,
            server.mail_log,
            server.clock,
            self.verifier if config.verify_recipients is not Verify.NEVER else None,
            server.admission,
            certificates.context,
            partial(OwnComponents.chain, own) if own else None,
            DoorRules(
                door_settings_of(config),
                server.clock,
                peek_bytes=partial(peek_bytes, rules),
                register=contents,
                tarpit_left=server.tarpit_left,
            ),
        )
        self.sessions = 0
        if "log" in self.decider.outboxes:
            log: component = server.mail_log
            for other in (server.stat, server.sync):
                if other is not None:
                    log = DecisionTap(log, other)
            self.decider.link((self.decider, "log"), (log, "inbox"))

    def _senders(self, server: GreyServer, config: Config) -> BigSenders | None:
        """Who finds out the networks of big senders, and tells the engine."""
        engine = getattr(self.decider, "engine", None)
        if not config.big_senders or not isinstance(engine, Engine):
            return None
        self.resolver = resolver_for(config.resolvers, float(config.lookup_timeout))
        senders = BigSenders(
            config.big_senders,
            self.resolver,
            refresh=float(config.big_senders_refresh),
            file=config.big_senders_file,
            clock=server.clock,
        )
        _Listening(senders, engine)
        return senders

    @property
    def parts(self) -> list[component]:
        """In the order in which they are told to end."""
        looking = [one for one in (self.senders, self.resolver, self.lookups) if one is not None]
        return [*self.probes, self.verifier, self.pool, self.decider, *looking]
