"""
What the tests of look-ups share: a LookupService over a resolver over a name server of the test's
own, all in the test's world.

    asked = Asked(world, ZoneServer(world, zone))
    assert (yield from asked(HostName("192.0.2.7"))) == "mx.example.test"
"""

from collections.abc import Generator, Mapping
from random import Random

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Core.Types import Ask, Found
from Kamaelia.Apps.Grey.Lookups.LookupService import (
    Handler,
    LookupService,
    LookupSettings,
)
from Kamaelia.Internet.Resolver import Resolver
from Kamaelia.Support.Protocol.DNS.Settings import Settings
from Test.Kamaelia.network import Silent, World
from Test.Kamaelia.zone_server import ZoneServer

RESOLVING = Settings(timeout=1.0, rounds=1, patience=1.0)


class Asked:
    """Asked(world, server) -> ask it: `answer = yield from asked(question)`."""

    def __init__(
        self,
        world: World,
        server: ZoneServer | tuple[str, int],
        definitions: Definitions | None = None,
        settings: LookupSettings | None = None,
        handlers: Mapping[type, Handler] | None = None,
    ) -> None:
        self.world, self.owner = world, Silent()
        address = server.address if isinstance(server, ZoneServer) else server
        self.resolver = Resolver([address], RESOLVING, random=Random(5))
        self.service = LookupService(
            definitions or Definitions(),
            settings or LookupSettings(),
            handlers,
            resolver=self.resolver,
        )
        world.run(self.owner, self.resolver, self.service)

    def put(self, *questions: Question) -> None:
        for question in questions:
            self.service.inboxes["inbox"].deliver(Ask(question, (self.owner, "inbox")))

    def found(self, count: int = 1) -> Generator[object, None, list[Found]]:
        """So many answers, once they are there."""
        box = self.owner.inboxes["inbox"]
        yield from self.world.until(lambda: len(box) >= count)
        found = list(self.owner.Inbox("inbox"))
        assert len(found) == count
        return found

    def __call__(self, question: Question) -> Generator[object, None, object]:
        self.put(question)
        (found,) = yield from self.found()
        assert found.question == question
        return found.answer
