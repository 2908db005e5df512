"""
The doors of a configuration, and their sockets
===============================================
One program may be a proxy, a milter, a policy service and a peer of other machines at once. Each of
these has a listening socket, a port or a file, that is opened before the program becomes its user;
what comes in there is decided by where it came in (`kind_of`), so sockets of systemd are as good.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Loader import loads
>>> [str(door) for door in doors_of(loads("socket = unix:/run/grey.sock\\nlisten = 192.0.2.1"))]
['mail on 192.0.2.1 port 25', 'milters on /run/grey.sock']

In a program::

    (sockets,) = open_doors(doors_of(config))
    files = files_of(sockets)
    try:
        server = GreyServer(config, listening=sockets)
        ...
    finally:
        remove_files(files)

Rules. Each of several workers has a port's socket of its own, and all of them share that of a file.
A file that nobody listens on any more is taken over; one that is no socket never is. What is made
as a file belongs to its owner before anybody can connect. It goes when its start fails, however far
that has come: here, by whoever has opened it (`remove_files`), and where that one may not do so any
more, by who has stayed behind (`remove_new`, see Privileges.Caretaker).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Privileges import PrivilegeError, found
from Kamaelia.Apps.Grey.SystemdSockets import close_all
from Kamaelia.Internet.TCPServer import BACKLOG, listening_socket

REUSE_ADDRESS = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
REUSE_PORT = (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
KNOCK_SECONDS = 1.0  # for somebody at a socket's file to answer
_UCRED = struct.Struct("3i")  # of unix(7): process, user, group


class DoorKind(Enum):
    """What is spoken at a door; the values stand in the log."""

    SMTP = "mail"
    SMTPS = "mail with TLS"
    MILTER = "milters"
    POLICY = "policy requests"
    SYNC = "peers"


@dataclass(frozen=True, slots=True)
class Door:
    """One of them. mode and owner ("user" or "user:group", "" for us) are of a file. setting: what
    places it, owner_setting: what says whose it is, for who has to mend them."""

    kind: DoorKind
    place: Place
    mode: int = 0o660
    owner: str = ""
    setting: str = "listen"
    owner_setting: str = "user"

    def __str__(self) -> str:
        return f"{self.kind.value} on {where(self.place)}"


def where(place: Place) -> str:
    """As it stands in the log."""
    return place.path or f"{place.host} port {place.port}"


def doors_of(config: Config) -> list[Door]:
    """Those that the configuration wants."""
    return list(_doors(config))


def _doors(config: Config) -> Iterator[Door]:
    for host in config.listens:
        yield Door(DoorKind.SMTP, Place(host=host, port=config.port))
    if config.tls_port:
        for host in config.listens:
            yield Door(DoorKind.SMTPS, Place(host=host, port=config.tls_port), setting="tls_port")
    for kind, setting, place, mode, owner in (
        (DoorKind.MILTER, "socket", config.socket, config.socket_mode, config.socket_owner),
        (
            *(DoorKind.POLICY, "policy_socket", config.policy_socket),
            *(config.policy_socket_mode, config.policy_socket_owner),
        ),
    ):
        if place is not None:
            whose = f"{setting}_owner" if owner else "user"
            yield Door(kind, place, mode, owner or config.user, setting, whose)
    if config.peers:
        host, port = config.syncaddr
        for each in _everywhere() if host == "*" else (host,):
            yield Door(DoorKind.SYNC, Place(host=each, port=port), setting="syncaddr")


def _everywhere() -> tuple[str, ...]:
    """The addresses that mean all of them, here."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as trial:
            trial.bind(("::1", 0))
    except OSError:
        return ("0.0.0.0",)  # noqa: S104 - that is what * means
    return ("0.0.0.0", "::")  # noqa: S104


def kind_of(sock: socket.socket, config: Config) -> DoorKind:
    """What is spoken on a listening socket: that of the door which is there; else, for one of
    systemd's that is on another address, of a door with its port; else mail. The port of peers is
    theirs also when there are none any more: nobody expects mail to be taken there."""
    name = sock.getsockname()
    doors = doors_of(config)
    if isinstance(name, bytes):  # of one that is in no folder (unix(7), abstract)
        return DoorKind.MILTER
    if isinstance(name, str):
        return _kinds_at_paths(doors).get(os.path.realpath(name), DoorKind.MILTER)
    host, port = name[:2]
    for door in doors:
        if (door.place.host, door.place.port) == (host, port):
            return door.kind
    for door in doors:
        if door.place.port == port:
            return door.kind
    return DoorKind.SYNC if port == config.syncaddr[1] else DoorKind.SMTP


def is_stranger(sock: socket.socket, config: Config) -> bool:
    """Whether no door has its port or path, and it is a proxy's or a milter's only for want of a
    better one. What is in no folder has no name in a configuration: it is for milters."""
    name = sock.getsockname()
    if isinstance(name, bytes):
        return False
    if isinstance(name, str):
        return os.path.realpath(name) not in _kinds_at_paths(doors_of(config))
    known = [config.syncaddr[1], *(door.place.port for door in doors_of(config))]
    return name[1] not in known


def _kinds_at_paths(doors: Iterable[Door]) -> dict[str, DoorKind]:
    """systemd has followed links, such as /var/run."""
    return {os.path.realpath(door.place.path): door.kind for door in doors if door.place.path}


def name_of(sock: socket.socket) -> str:
    """Where it listens, as it stands in the log."""
    name = sock.getsockname()
    if isinstance(name, bytes):
        return os.fsdecode(name).replace("\0", "@")
    return name if isinstance(name, str) else where(Place(host=name[0], port=name[1]))


# ---- opening them


def open_doors(doors: Iterable[Door], count: int = 1) -> list[list[socket.socket]]:
    """Listening sockets for each of count workers, one for each door.

    Raises OSError, whose text names the place and the cure, if one cannot be had; then none is
    open."""
    opened: list[list[socket.socket]] = [[] for _ in range(count)]
    try:
        for door in doors:
            try:
                found = _open(door, count)
            except OSError as error:
                if not isinstance(error, _OwnerError):
                    error.strerror = f"{error.strerror}{_cure(door, error.errno)}"
                raise
            for sockets, sock in zip(opened, found, strict=True):
                sockets.append(sock)
    except BaseException:
        remove_files(files_of(opened[0]))
        for sockets in opened:
            close_all(sockets)
        raise
    return opened


class _OwnerError(OSError):
    """Whom a file is to be given to is nobody: its text is the cure."""


def _cure(door: Door, number: int | None) -> str:
    """What to put behind the reason why it could not be opened. number: of errno; 0: we have found
    that ourselves."""
    change = f"change {door.setting}"
    is_file = bool(door.place.path)
    match number:
        case errno.EADDRINUSE:
            return f" (ss -ltnxp shows who has it): end that, or {change}"
        case errno.EADDRNOTAVAIL:
            return f" (this machine does not have it): {change}"
        case errno.EACCES if is_file:
            return f": let this user write in that folder, or {change}"
        case errno.EACCES:
            return f" (ports below 1024 are root's and systemd's): start as root, or {change}"
        case errno.EPERM if door.owner:
            who = f"{door.owner_setting} = {door.owner}"
            return f": {who} is not ours to say: start as root, or be of that group"
        case errno.ENOENT if is_file:
            return f": make the folder, or {change}"
        case 0 if is_file:
            return f": move it away, or {change}"
    return f" ({door.setting})"


def _open(door: Door, count: int) -> list[socket.socket]:
    place = door.place
    if place.path:
        sockets = [_listening_file(door)]
        try:
            sockets += [sockets[0].dup() for _ in range(count - 1)]
        except OSError as error:
            remove_files(files_of(sockets))
            close_all(sockets)
            error.strerror = f"cannot listen on {place.path}: {error.strerror}"
            raise
        return sockets
    if count == 1:
        return [listening_socket((place.host, place.port), [REUSE_ADDRESS])]
    port = free_port(place.host, place.port)
    options = [REUSE_ADDRESS, REUSE_PORT]
    return [listening_socket((place.host, port), options) for _ in range(count)]


def free_port(host: str, port: int) -> int:
    """The port, or another one for 0, if nobody has it; raises OSError as open_doors() does.

    With SO_REUSEPORT alone a second program of the same user could open it, too, and each would
    get some of the mail."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        try:
            if family == socket.AF_INET6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trial.setsockopt(*REUSE_ADDRESS)
            trial.bind((host, port))
        except OSError as error:
            error.strerror = f"cannot listen on {host} port {port}: {error.strerror}"
            raise
        number: int = trial.getsockname()[1]  # never listened: nobody can be in its queue
    return number


def check_free(door: Door) -> None:
    """Raises OSError, as open_doors() does, if somebody else is there."""
    if door.place.path:
        _check_file(door.place.path)
    else:
        free_port(door.place.host, door.place.port)


def _listening_file(door: Door) -> socket.socket:
    path = door.place.path
    owner = _owner(door)
    _check_file(path)
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - nobody listens there any more
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # until it has its owner nobody but us may connect
    files: list[MadeFile] = []
    try:
        listener.bind(path)
        files = files_of([listener])
        _hand_over(path, owner, door.mode)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        remove_files(files)
        listener.close()
        error.strerror = f"cannot listen on {path}: {error.strerror}"
        raise
    finally:
        os.umask(before)
    return listener


def _hand_over(path: str, owner: tuple[int, int] | None, mode: int) -> None:
    """Give the socket its owner and mode. Raises OSError.

    The folder may be somebody else's, who puts a link there in the meantime: what is at hand is
    looked at, and changed by its descriptor, not by its name."""
    held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(held)
        if not stat.S_ISSOCK(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
            raise OSError(0, "somebody else has put a file there")
        here = f"/proc/self/fd/{held}"
        if owner is not None:
            os.chown(here, *owner)
        os.chmod(here, mode)  # noqa: PTH101
    finally:
        os.close(held)


def _owner(door: Door) -> tuple[int, int] | None:
    """Numbers of user and group; None: ours. Raises _OwnerError."""
    if not door.owner:
        return None
    try:
        user, group = found(door.owner)
    except PrivilegeError as error:
        text = f"{door.owner_setting} = {str(error).removeprefix('user = ')}"
        raise _OwnerError(0, f"cannot listen on {door.place.path}: {text}") from error
    return user.pw_uid, group


def _check_file(path: str) -> None:
    """Whether a socket may be made there. Raises OSError."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        error.strerror = f"cannot listen on {path}: {error.strerror}"
        raise
    if not stat.S_ISSOCK(mode):
        raise OSError(0, f"cannot listen on {path}: there is a file that is no socket")
    try:
        listener = _who_listens(path)
    except OSError as error:
        error.strerror = f"cannot listen on {path}: {error.strerror}"
        raise
    if listener is not None:
        text = f"cannot listen on {path}: {os.strerror(errno.EADDRINUSE)}"
        raise OSError(errno.EADDRINUSE, text)


def _who_listens(path: str) -> int | None:
    """The number of the process that has begun to listen at a socket's file (0: it is in another
    world of numbers); None: nobody listens there. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.settimeout(KNOCK_SECONDS)
        try:
            knock.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        found = knock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    number: int = _UCRED.unpack(found)[0]
    return number


@dataclass(frozen=True, slots=True)
class MadeFile:
    """The file of a socket, and which one it is: another program may have made its own since."""

    path: str
    device: int
    inode: int
    made_ns: int  # a number of an inode is soon used again


def _made(path: str) -> MadeFile:
    found = os.lstat(path)
    return MadeFile(path, found.st_dev, found.st_ino, found.st_mtime_ns)


def files_of(sockets: Iterable[socket.socket]) -> list[MadeFile]:
    """Those that were made for listening sockets which have just been opened."""
    made = []
    for sock in sockets:
        name = sock.getsockname()
        if isinstance(name, str) and name.startswith("/"):
            made += _socket_at(name)
    return made


def _socket_at(path: str) -> list[MadeFile]:
    """None, if somebody has taken it away, or put something else there."""
    with suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            return [_made(path)]
    return []


def remove_files(made: Iterable[MadeFile]) -> None:
    """Take them away; whoever became another user may not be able to."""
    for each in made:
        with suppress(OSError):
            if _made(each.path) == each:
                os.unlink(each.path)  # noqa: PTH108


def files_there(doors: Iterable[Door]) -> dict[str, list[MadeFile]]:
    """The socket that is there now, or none, at each place of a door that is a file."""
    paths = (door.place.path for door in doors)
    return {path: _socket_at(path) for path in paths if path}


def remove_new(before: Mapping[str, list[MadeFile]], maker: int) -> None:
    """Take away the sockets that have come to these places since `files_there`, unless a process
    other than the maker listens there.

    What the maker has opened is open for as long as it lives, but nobody is served any more."""
    for path, known in before.items():
        found = _socket_at(path)
        with suppress(OSError):
            if found != known and _who_listens(path) in (None, maker):
                remove_files(found)
