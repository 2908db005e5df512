"""
To become somebody who may do less
==================================
Port 25 takes root, or the capability to bind it; taking mail takes neither. Once the ports are open
the process becomes the user that the configuration names, and cannot come back. ``user:group``
names the group, too; else it is that of the user.

Example Usage
-------------
::

    become("kamaelia-grey")  # as root; raises PrivilegeError

Under systemd ``DynamicUser=`` or ``User=`` with a socket unit, or ``AmbientCapabilities=``, do the
same from outside, and the setting stays empty.

Rules. All three user and group ids change, the saved ones with them, and the groups become those of
the user; with the last of root's ids the kernel drops the capabilities, too. Afterwards it is tried
whether there is a way back, and the program ends if there is. It is called before any thread or
worker exists, though glibc would change all threads.

What takes root's rights to be undone, if the start fails when they have been given up, is done by a
`Caretaker`: a process that was made before, and does nothing but wait for the end of the start.
"""

from __future__ import annotations

import grp
import os
import pwd
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, Self

_OF_ALL = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class PrivilegeError(Exception):
    """The change of user did not work; the text says why. exit_code: what the program ends with."""

    def __init__(self, text: str, exit_code: int = os.EX_CONFIG) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def become(name: str) -> None:
    """Become that user (or user:group), for good. Raises PrivilegeError; then the process should
    end."""
    user, group = found(name)
    if user.pw_uid == os.geteuid() != 0:
        return  # it is who we are
    if os.geteuid() != 0:
        raise PrivilegeError(f"user = {name}: only root can become somebody else")
    if user.pw_uid == 0:
        raise PrivilegeError(f"user = {name}: that is root; leave the setting empty")
    try:
        os.setgroups(_groups(user.pw_name, group))
        os.setresgid(group, group, group)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    except OSError as error:
        raise PrivilegeError(f"user = {name}: {error.strerror}") from error
    _check_no_way_back(name)
    if (os.getresuid(), os.getresgid()) != ((user.pw_uid,) * 3, (group,) * 3):
        raise PrivilegeError(f"user = {name}: the change was not taken")
    if not os.access(os.__file__, os.R_OK):  # some module is imported only when it is needed
        folder = os.path.dirname(os.__file__)  # noqa: PTH120 - it has no Path
        raise PrivilegeError(
            f"user = {name}: may not read {folder}, where Python is: install it where everybody may"
        )


def found(name: str) -> tuple[pwd.struct_passwd, int]:
    """The entry of the user, and the number of the group. Raises PrivilegeError, with the code 71,
    for what this system does not know."""
    who, colon, group = name.partition(":")
    try:
        user = pwd.getpwnam(who)
    except KeyError as error:
        raise PrivilegeError(f"user = {name}: there is no such user", os.EX_OSERR) from error
    if not colon:
        return user, user.pw_gid
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise PrivilegeError(f"user = {name}: there is no such group", os.EX_OSERR) from error
    if number == 0:
        raise PrivilegeError(f"user = {name}: that is root's group; name another one")
    return user, number


def _groups(name: str, own: int) -> list[int]:
    """Those of the user, and not root's: the folder of a database may be a group's."""
    return sorted({own, *(entry.gr_gid for entry in grp.getgrall() if name in entry.gr_mem)} - {0})


def _check_no_way_back(name: str) -> None:
    for become_root in (os.setuid, os.seteuid):
        try:
            become_root(0)
        except PermissionError:
            continue
        raise PrivilegeError(f"user = {name}: root's rights could be had back")


class Caretaker:
    """Caretaker(undo) -> in a `with`: another process, with the rights that we have now. It calls
    undo() when the block is left or we end, however that is, unless it was dismissed before.

    It is made before there are threads. Raises OSError if there can be no other process."""

    __slots__ = ("_fd", "_pid")

    def __init__(self, undo: Callable[[], object]) -> None:
        waiting, self._fd = os.pipe()
        # A terminal or systemd sends these to all of a program: that process has its end from us.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_ALL)
        try:
            self._pid = os.fork()
            if self._pid == 0:
                os.close(self._fd)
                _wait_to_undo(waiting, undo)
        except OSError:
            os.close(self._fd)
            raise
        finally:
            os.close(waiting)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """When this returns it has been undone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with suppress(ChildProcessError):  # others of this program wait for everybody
                os.waitpid(self._pid, 0)

    def dismiss(self) -> None:
        """All has gone well: nothing is to be undone. Once more: nothing."""
        if self._fd >= 0:
            with suppress(BrokenPipeError):  # somebody has killed it
                os.write(self._fd, b".")
            self.__exit__()


def _wait_to_undo(waiting: int, undo: Callable[[], object]) -> NoReturn:
    """The life of that process. It holds no socket and no lock of the program."""
    try:
        if not os.read(waiting, 1):
            undo()
    finally:
        os._exit(os.EX_OK)  # nothing of what the program does at its own end
