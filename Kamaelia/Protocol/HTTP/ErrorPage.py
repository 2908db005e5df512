"""
An answer that says what is wrong
=================================
The request handler for a request that has no other.

Example Usage
-------------
What goes to a client that asks for what is not there::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.HTTP.ErrorPage import ErrorPage
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.PureTransformer import PureTransformer

    status = PureTransformer(lambda response: f"{response.status}\\n")
    Pipeline(ErrorPage(404, "There is nothing here."), status, ConsoleEchoer()).run()

It prints::

    404

The text is escaped, so it may quote what the client has sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Support.Protocol.HTTP.Messages import Headers, error_page


class ErrorPage(component):
    """ErrorPage(status, text="", headers=()) -> sends one page."""

    Inboxes = {
        "inbox": "bytes: of the request's body, not read",
        "control": "shutdownMicroprocess (send nothing); a producerFinished changes nothing",
    }
    Outboxes = {
        "outbox": "Response: the page, complete",
        "signal": "the shutdown that came in, or producerFinished",
    }

    wants_body = False  # a client that asks first whether to send one need not

    def __init__(
        self, status: int, text: str = "", headers: Headers = (), **attributes: object
    ) -> None:
        super().__init__(**attributes)
        self._page = error_page(status, text, headers)

    def main(self) -> Iterator[object]:
        if not isinstance(self.told_to_stop(), shutdownMicroprocess):
            yield from self.put(self._page, "outbox")
        yield 1


__kamaelia_components__ = (ErrorPage,)
