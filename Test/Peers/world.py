"""
A small world for a mail server that cannot be installed
========================================================
Debian allows one mail server a machine, and these tests talk to several. `./go test` unpacks the
others beside the virtual environment (UNPACKED below); here each run of one gets a folder of its
own with its programs, the libraries they need, users and configuration, and the program runs in it
by `chroot`. So compiled-in paths and user names hold, and nothing of the machine is touched.

    world = World("exim4-daemon-light", programs=["/usr/sbin/exim4"], users=["Debian-exim"])
    world.write("/etc/exim.conf", text)
    subprocess.run(world.command("/usr/sbin/exim4", "-bV", "-C", "/etc/exim.conf"))
    world.remove()

It needs root: chroot, devices, and servers that change their user.
"""

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from Test.System.processes import PATIENCE_SECONDS, is_running, wait_until

PEERS = Path(sys.prefix) / "peers"  # where `go` unpacks them
# As in `go`: the package, a folder below PEERS, and the program that must be there.
UNPACKED = {
    "exim4-daemon-light": "usr/sbin/exim4",
    "libsasl2-modules": "usr/share/doc/libsasl2-modules/copyright",  # ways to log in, to sendmail
    "opensmtpd": "usr/sbin/smtpd",
    "sasl2-bin": "usr/sbin/saslpasswd2",
    "sendmail-bin": "usr/libexec/sendmail/sendmail",
    "slapd": "usr/sbin/slapd",
    "spamd": "usr/sbin/spamd",
}
FIRST_USER_ID = 61_001  # of nobody outside; files that are left behind belong to no one
_MERGED = ("bin", "sbin", "lib", "lib64")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "urandom": (1, 9)}
_FILES = {
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/resolv.conf": "nameserver 127.0.0.1\n",  # nobody there: names are not asked for
    "/etc/services": "smtp 25/tcp\n",
    "/etc/shells": "/bin/sh\n",
}


class World:
    """World(name, programs, users) -> a folder in which the peer's programs can run.

    programs: of the peer, as they are named inside; users: made with a group of the same name."""

    def __init__(self, name: str, programs: Iterable[str], users: Iterable[str]) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can start another mail server than Postfix, in a chroot")
        # Beside what was unpacked: /tmp may be mounted without devices or changes of user.
        self.root = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=PEERS))
        try:
            self._furnish(PEERS / name, list(programs), users)
        except BaseException:
            self.remove()
            raise

    def command(self, program: str, *arguments: object) -> list[str]:
        """What runs the program in here."""
        return ["/usr/sbin/chroot", str(self.root), program, *map(str, arguments)]

    def path(self, name: str) -> Path:
        """Where a path of in here is outside."""
        return self.root / name.lstrip("/")

    def write(self, name: str, text: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text, encoding="utf-8")

    def folder(self, name: str, owner: str = "root", mode: int = 0o755) -> Path:
        """Make a folder, for that user of in here."""
        path = self.path(name)
        path.mkdir(parents=True, exist_ok=True)
        user = self.users[owner]
        os.chown(path, user, user)
        path.chmod(mode)
        return path

    def run(self, program: str, *arguments: object) -> str:
        """Run a program in here to its end; what it says."""
        done = subprocess.run(
            self.command(program, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} {arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def remove(self) -> None:
        """End whatever still runs in here, and remove the folder."""
        for pid in self._inhabitants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(f"the last process in {self.root}", lambda: not self._inhabitants())
        shutil.rmtree(self.root)

    def _inhabitants(self) -> list[int]:
        found = []
        for link in Path("/proc").glob("[0-9]*/root"):
            with contextlib.suppress(OSError):  # it has just ended
                if link.readlink().is_relative_to(self.root):  # some lock themselves in deeper
                    found.append(int(link.parent.name))
        return [pid for pid in found if is_running(pid)]

    def _furnish(self, source: Path, programs: list[str], users: Iterable[str]) -> None:
        self.root.chmod(0o755)
        for name in _MERGED:
            (self.root / "usr" / name).mkdir(parents=True)
            (self.root / name).symlink_to(f"usr/{name}")
        unread = shutil.ignore_patterns("doc", "man", "locale")
        shutil.copytree(source, self.root, symlinks=True, ignore=unread, dirs_exist_ok=True)
        for program in ["/bin/sh", *programs]:
            self._bring_libraries(program)
        names = ["root", *users]
        self.users = dict(zip(names, [0, *range(FIRST_USER_ID, FIRST_USER_ID + 99)], strict=False))
        ids = self.users.items()
        self.write("/etc/passwd", "".join(f"{n}:x:{i}:{i}::/:/bin/sh\n" for n, i in ids))
        self.write("/etc/group", "".join(f"{n}:x:{i}:\n" for n, i in ids))
        for name, text in _FILES.items():
            self.write(name, text)
        self.folder("/tmp", mode=0o1777)  # noqa: S108 - in here
        self.folder("/dev")
        for name, (major, minor) in _DEVICES.items():
            device = self.path(f"/dev/{name}")
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            device.chmod(0o666)

    def _bring_libraries(self, program: str) -> None:
        inside = self.path(program)
        if not inside.exists():  # the system's own, as the shell
            shutil.copy2(program, inside)
        folders = [str(path) for path in self.root.glob("usr/lib/*-linux-*")]
        done = subprocess.run(
            ["ldd", inside],
            env={**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(folders)},
            capture_output=True,
            text=True,
            check=True,
        )
        if "not found" in done.stdout:
            raise RuntimeError(f"{program} lacks libraries:\n{done.stdout}")
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            target = self.path(library)
            if not library.startswith(str(self.root)) and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(library, target)
