"""
Two mail exchangers that tell each other what they have seen, in one program.

    python Examples/Mail/two_peers.py

Each has a server, for what the other one tells, and a client, to tell it. They speak the lines of
milter-greylist's MX sync: on port 5252, and with news that come from somewhere, either could be in
one list of peers with a real one.

    NEWS --Command--> CLIENT <--bytes--> TCP ~~~~ SERVER --Command--> STORE
                                                  SERVER <---bool---- STORE    (there and back)

A command is answered when the STORE has said that it has been applied, and the next one goes out
then. So whoever has an answer knows that it holds, and whoever has none tells it again.
"""

from collections.abc import Callable

from Axon.Scheduler import scheduler
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.IPC import serverShutdown
from Kamaelia.Protocol.MXSync import MXSyncClient, MXSyncServer
from Kamaelia.Support.Protocol.MXSync.Commands import Add, Command, Delete, Flush
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.PureTransformer import PureTransformer

MAIL = ("192.0.2.7", "<bob@example.net>", "<anna@example.org>")


def peer_that_listens(name: str) -> ServerCore:
    def apply(command: Command) -> bool:
        print(name, "hears", command)
        return True

    def protocol(**_: object) -> Graphline:
        return Graphline(
            SERVER=MXSyncServer(),
            STORE=PureTransformer(apply),
            linkages={
                ("self", "inbox"): ("SERVER", "inbox"),
                ("self", "control"): ("SERVER", "control"),
                ("SERVER", "outbox"): ("self", "outbox"),
                ("SERVER", "commands"): ("STORE", "inbox"),
                ("STORE", "outbox"): ("SERVER", "applied"),
                ("SERVER", "signal"): ("STORE", "control"),
                ("STORE", "signal"): ("self", "signal"),
            },
        )

    return ServerCore(protocol=protocol, host="127.0.0.1", port=0).activate()


def tell(server: ServerCore, news: list[Command], then: Callable[[], object]) -> None:
    """Say so to that peer; at the end, this."""
    Graphline(
        NEWS=DataSource(news),
        CLIENT=MXSyncClient(),
        TCP=TCPClient(*server.address),
        linkages={
            ("NEWS", "outbox"): ("CLIENT", "commands"),
            ("NEWS", "signal"): ("CLIENT", "control"),
            ("CLIENT", "outbox"): ("TCP", "inbox"),
            ("TCP", "outbox"): ("CLIENT", "inbox"),
            ("CLIENT", "signal"): ("TCP", "control"),
            ("TCP", "signal"): ("CLIENT", "closed"),
        },
    ).activate().call_on_close(then)


mx1, mx2 = peer_that_listens("mx1"), peer_that_listens("mx2")


def stop() -> None:
    for server in (mx1, mx2):
        server.inboxes["control"].deliver(serverShutdown())


def answer() -> None:  # bob's second try came to mx2, who knew from when on he may pass
    passed: list[Command] = [Delete(*MAIL, 1_795_290_020, 1_798_000_000), Flush("198.51.100.9")]
    tell(mx1, passed, stop)


first: list[Command] = [Add(*MAIL, 1_795_290_020)]  # bob's first try came to mx1
tell(mx2, first, answer)
scheduler.run.runThreads()
