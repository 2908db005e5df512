"""The server with other doors than the proxy's: reload, shutdown, and other machines."""

import gc
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Core.Modes import KeyKind
from Kamaelia.Apps.Grey.Doors import doors_of, open_doors
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Sync.SyncSettings import PeerStatus
from Kamaelia.Apps.Grey.SystemdSockets import close_all
from Kamaelia.Internet.TCPServer import listening_socket
from Kamaelia.Support.Protocol.Milter.MTASession import MTASession
from Test.Kamaelia.Apps.Grey.askers import PASS, AtMilter, AtPolicyService, Try
from Test.Kamaelia.Apps.Grey.servers import free_port
from Test.Kamaelia.Apps.Grey.support import PATIENCE, FakeServer, Grey

NewServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]
ANYWHERE = Place(host="127.0.0.1", port=0)
NOBODY = ("127.0.0.1", 9)  # as without a proxy there is no real mail server
WAIT = "4 4.7.1 Greylisting in action, please come back in "
MAIL = Try()


OPEN: list[socket.socket] = []


@pytest.fixture(autouse=True)
def closed_in_the_end() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def connected(grey: Grey, door: int) -> socket.socket:
    OPEN.append(socket.create_connection(grey.server.addresses[door], timeout=PATIENCE))
    return OPEN[-1]


class Postfix(AtPolicyService):
    """One connection that stays open."""

    def __init__(self, grey: Grey, door: int = 2) -> None:
        self.grey = grey
        self.sock = connected(grey, door)

    def asks(self, mail: Try) -> str:
        AtPolicyService.count += 1
        self.sock.sendall(self._question(mail, mail.recipients[0]))
        return self._line(self.sock)


def test_a_policy_connection_has_new_settings_from_its_next_question_on(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), socket=ANYWHERE, policy_socket=ANYWHERE)
    postfix = Postfix(grey)
    assert "00:01:00" in postfix.asks(MAIL)
    before = grey.server._era
    grey.call(lambda: grey.server.reload(replace(grey.server.config, greylist_delay=300)))
    assert grey.call(lambda: before not in grey.server._eras)
    assert "00:05:00" in postfix.asks(Try(sender="x@example.net"))
    postfix.sock.close()
    grey.until(lambda: grey.server._era.sessions == 0)


def test_who_is_asking_during_a_reload_is_answered_by_those_that_were_asked(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", 0))
        names.settimeout(PATIENCE)
        grey = start_grey(
            mail_server(),
            socket=ANYWHERE,
            policy_socket=ANYWHERE,
            nospf=False,
            resolvers=(names.getsockname(),),
        )
        postfix, idle = Postfix(grey), Postfix(grey)
        postfix.sock.sendall(postfix._question(MAIL, MAIL.recipients[0]))
        query, resolver = names.recvfrom(4096)
        before = grey.server._era
        for delay in (300, 600):
            config = replace(grey.server.config, greylist_delay=delay, nospf=True)
            grey.call(partial(grey.server.reload, config))
        assert grey.call(lambda: (len(grey.server._eras), before.sessions)) == (2, 1)
        assert not grey.call(before.decider._isStopped)
        idle.sock.close()
        names.sendto(query[:2] + b"\x81\x82" + query[4:], resolver)  # SERVFAIL
        assert "00:01:00" in postfix._line(postfix.sock)
        assert "00:10:00" in postfix.asks(Try(sender="x@example.net"))
        grey.until(lambda: len(grey.server._eras) == 1)
        assert grey.call(lambda: grey.server._era.sessions) == 1


def test_a_milter_connection_keeps_its_settings_until_it_ends(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    server = mail_server()
    grey = start_grey(server, socket=ANYWHERE, policy_socket=ANYWHERE)
    idle = connected(grey, 1)
    grey.until(lambda: grey.server._era.sessions == 1)
    before = grey.server._era
    grey.call(lambda: grey.server.reload(replace(grey.server.config, greylist_delay=300)))
    assert AtMilter(grey, server).bring(MAIL).answers == [f"{WAIT}00:05:00"]
    assert grey.call(lambda: before in grey.server._eras)
    idle.close()
    grey.until(lambda: before not in grey.server._eras)


def test_the_next_client_of_a_milter_connection_has_the_settings_of_its_time(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), socket=ANYWHERE, policy_socket=ANYWHERE)
    mta = MTASession()
    with connected(grey, 1) as sock:

        def tells(data: bytes) -> str:
            sock.sendall(data)
            while (said := mta.next_response()) is None:
                mta.receive_data(sock.recv(4096))
            return said.text

        tells(mta.negotiate())
        sock.sendall(mta.connect("mx.example.net", "192.0.2.7") + mta.helo("mx"))
        sock.sendall(mta.mail("<a@example.net>"))
        assert "00:01:00" in tells(mta.rcpt("<b@example.org>"))
        before = grey.server._era
        grey.call(lambda: grey.server.reload(replace(grey.server.config, greylist_delay=300)))
        assert "00:01:00" in tells(mta.rcpt("<c@example.org>"))
        assert grey.call(lambda: before in grey.server._eras)
        sock.sendall(mta.quit_new_connection())
        grey.until(lambda: before not in grey.server._eras)
        sock.sendall(mta.connect("mx.example.net", "192.0.2.7") + mta.helo("mx"))
        sock.sendall(mta.mail("<a@example.net>"))
        assert "00:05:00" in tells(mta.rcpt("<d@example.org>"))
        assert grey.call(lambda: grey.server._era.sessions) == 1
    grey.until(lambda: grey.server._era.sessions == 0)


def test_doors_of_mail_servers_have_no_share_in_the_proxys_limit(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), socket=ANYWHERE, policy_socket=ANYWHERE, max_connections=2)
    for number in (1, 1, 2, 2):
        connected(grey, number)
    grey.until(lambda: grey.server.connections == 4)
    assert grey.client("127.0.0.9").banner.startswith("220")


def test_at_the_end_idle_mail_servers_are_hung_up_on(start_grey: StartGrey) -> None:
    grey = start_grey(NOBODY, listen=(), socket=ANYWHERE, policy_socket=ANYWHERE)
    milter = connected(grey, 0)
    postfix = Postfix(grey, door=1)
    assert "00:01:00" in postfix.asks(MAIL)
    grey.shut_down()
    grey.wait_for_end()
    assert milter.recv(100) == b""
    assert postfix.sock.recv(100) == b""


def test_a_name_that_the_mail_server_has_is_not_looked_up(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    """Nobody would answer: resolvers are where nobody listens, and the client's name is a key."""
    server = mail_server()
    grey = start_grey(
        server,
        socket=ANYWHERE,
        policy_socket=ANYWHERE,
        key_order=(KeyKind.NAME, KeyKind.NETWORK),
        resolvers=(("127.0.0.1", 9),),
    )
    named = Try(name="out1.mail.example.net", client="192.0.2.7")
    other = Try(name="out2.mail.example.net", client="198.51.100.7")  # of the same sender
    assert AtMilter(grey, server).bring(named).answers == [f"{WAIT}00:01:00"]
    grey.clock.advance(60)
    assert AtPolicyService(grey, server).bring(other).answers == [PASS]


def machine(start_grey: StartGrey, own: str, other: str, port: int, delay: int = 60) -> Grey:
    return start_grey(
        NOBODY,
        listen=(),
        policy_socket=ANYWHERE,
        peers=((other, 3),),
        syncaddr=(own, port),
        syncsrcaddr=own,
        greylist_delay=delay,
    )


def status(grey: Grey) -> PeerStatus:
    sync = grey.server.sync
    assert sync is not None
    return sync.status()[0]


def test_what_one_machine_learns_the_other_knows(start_grey: StartGrey) -> None:
    port = free_port()
    one = machine(start_grey, "127.0.0.5", "127.0.0.6", port)
    other = machine(start_grey, "127.0.0.6", "127.0.0.5", port, delay=3600)
    first, second = Postfix(one, door=0), Postfix(other, door=0)
    assert "00:01:00" in first.asks(MAIL)
    one.until(lambda: status(one).sent == 1)
    assert "00:01:00" in second.asks(MAIL)  # not an hour: it has tried before, at the other
    for each in (one, other):
        each.clock.advance(60)
    assert second.asks(MAIL).startswith("DUNNO")
    other.until(lambda: status(other).sent == 1)
    for each in (one, other):
        each.clock.advance(3600)
    assert first.asks(MAIL).startswith("DUNNO")
    assert status(one).version == 3


def test_peers_that_come_with_a_reload_are_called_unless_they_are_the_first(
    start_grey: StartGrey,
) -> None:
    port = free_port()
    grey = machine(start_grey, "127.0.0.5", "127.0.0.6", port)
    more = replace(grey.server.config, peers=(("127.0.0.7", 3), ("127.0.0.6", 3)))
    assert grey.call(lambda: grey.server.reload(more)) == []
    assert grey.server.sync is not None
    assert [each.name for each in grey.server.sync.status()] == ["127.0.0.7", "127.0.0.6"]
    none = replace(grey.server.config, peers=())
    assert grey.call(lambda: grey.server.reload(none)) == []
    assert grey.server.sync.status() == []
    assert grey.call(lambda: grey.server.reload(more)) == []
    alone = start_grey(NOBODY, listen=(), policy_socket=ANYWHERE)
    assert alone.call(
        lambda: alone.server.reload(replace(alone.server.config, peers=more.peers))
    ) == ["peers"]
    assert alone.server.sync is None


def test_a_port_of_peers_that_are_none_any_more_takes_no_mail(tmp_path: Path) -> None:
    # A worker that begins after the reload which took them away has their port all the same.
    port = free_port()
    text = f"policy_socket = {tmp_path}/policy\nsyncaddr = 127.0.0.5:{port}\n"
    with listening_socket(("127.0.0.5", port)) as listener:
        server = GreyServer(loads(text), open_store=MemoryStore, listening=[listener])
        assert server.sync is not None
        assert [door.protocol for door in server.doors] == [server.sync.protocol]
        assert server.sync.status() == []


# ---- a start that fails


@pytest.mark.parametrize("taken", ["port", "file"])
def test_a_server_that_cannot_have_all_its_doors_leaves_no_file_behind(
    taken: str, tmp_path: Path
) -> None:
    (tmp_path / "policy").write_text("mine")
    policy = tmp_path / ("policy" if taken == "file" else "other")
    with listening_socket(("127.0.0.1", 0)) as other:
        text = f"socket = {tmp_path}/milter\npolicy_socket = {policy}\npeers:\n    192.0.2.9 3s\n"
        config = loads(f"{text}syncaddr = 127.0.0.1:{other.getsockname()[1]}\n")
        with pytest.raises(OSError, match=r"Address already in use|no socket"):
            GreyServer(config, open_store=MemoryStore).activate(scheduler())
    gc.collect()  # nothing that is open, either
    assert [each.name for each in tmp_path.iterdir()] == ["policy"]


def test_a_server_whose_sockets_were_given_to_it_removes_no_file(tmp_path: Path) -> None:
    config = loads(f"socket = {tmp_path}/milter\n")
    (sockets,) = open_doors(doors_of(config))
    server = GreyServer(config, open_store=MemoryStore, listening=sockets)

    def failing(*_: object) -> None:
        raise OSError(98, "Address already in use")

    server.doors[0].activate = failing  # type: ignore[assignment, method-assign]
    with pytest.raises(OSError, match="already in use"):
        server.activate(scheduler())
    assert (tmp_path / "milter").exists()
    close_all(sockets)
