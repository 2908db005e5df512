"""The servers of the doors: each can be told from the others by who looks from outside."""

import re

from Axon.Component import component
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Doors import DoorKind
from Kamaelia.Apps.Grey.DoorServers import servers_of


def nothing(**_: object) -> component:
    return component()


def test_servers_are_called_as_what_is_spoken_there() -> None:
    config = Config(
        listen=("127.0.0.1",),
        port=0,
        tls_port=1,
        socket=Place(host="127.0.0.1", port=8891),
        policy_socket=Place(host="127.0.0.1", port=8892),
        peers=(("192.0.2.2", 3),),
        syncaddr=("127.0.0.1", 5252),
    )
    servers = servers_of(config, None, dict.fromkeys(DoorKind, nothing))
    names = [re.sub(r"_\d+$", "", server.name) for server in servers]
    assert names == ["Mail", "MailWithTls", "Milters", "PolicyRequests", "Peers"]
    assert len({server.name for server in servers}) == len(servers)
