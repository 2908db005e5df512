"""
What a configuration needs of this machine
==========================================
A file can be right and still not work here: a folder is missing, a certificate has expired, the
real mail server relays. Better said before the first client comes than found out by it.

Example Usage
-------------
::

    for problem in surroundings(config):  # folders, files, components: quick, and without network
        print(problem)
    findings = real_servers(config)  # asks the real mail servers; takes seconds at the most

Rules. Problems keep the program from starting, and a changed file from being taken; each names the
setting and the cure. Warnings are for what may get better by itself, such as a server that is down,
and for what costs no mail.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from Kamaelia.Apps.Grey import OwnComponents
from Kamaelia.Apps.Grey.Certificates import CertificateError, backend_context, certificates_of
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Doors import check_free, doors_of
from Kamaelia.Apps.Grey.FrontDoor import RelayCheck
from Kamaelia.Apps.Grey.FrontDoor.RelayCheck import Findings
from Kamaelia.Apps.Grey.Lookups.Others import missing
from Kamaelia.Apps.Grey.PidFile import PidFileError, check_folder, running_pid
from Kamaelia.Apps.Grey.Privileges import PrivilegeError, found
from Kamaelia.Apps.Grey.Watch.StatLog import Target

RUN_FOLDERS = (Path("/run"), Path("/var/run"))
ASK_SECONDS = 5.0  # for each real mail server
# A change of these makes it another question whether the real mail server relays.
_ABOUT_SERVERS = (
    "smtp_ip",
    "smtp_port",
    "backends",
    "backend_protocol",
    "backend_tls",
    "backend_tls_ca",
    "client_info",
    "relay_check",
)


def surroundings(config: Config) -> list[str]:
    """What the configuration names and this machine does not have, or cannot be used."""
    named = (
        ("database", config.database),
        ("greylist_log", config.greylist_log),
        ("greylist_debuglog", config.greylist_debuglog),
        ("dumpfile", config.dumpfile),
        ("expect_file", config.expect_file),
        ("big_senders_file", config.big_senders_file),
    )
    problems = [text for setting, path in named if path for text in _folder(setting, path)]
    problems += _database_file(config.database)
    tries: tuple[Callable[[], object], ...] = (
        lambda: certificates_of(config),
        lambda: backend_context(config.backend_tls.value, config.backend_tls_ca),
        lambda: OwnComponents.load_all(config.before_decider),
    )
    for attempt in tries:
        try:
            attempt()
        except (CertificateError, OwnComponents.OwnComponentError) as error:
            problems.append(str(error))
    for name in ("socket", "policy_socket"):
        place = getattr(config, name)
        if place is not None and place.path:
            problems += _socket_file(name, Path(place.path), getattr(config, f"{name}_owner"))
    kinds = {clause.kind for rule in config.access_rules for clause in rule.clauses}
    problems += missing(config.definitions, sorted(kinds))
    for statement in ("geoipdb", "geoipv6db"):
        name = getattr(config.definitions, statement)
        if name and not os.access(name, os.R_OK):
            problems.append(f"{statement} {name}: cannot be read")
    return problems


def _socket_file(setting: str, path: Path, owner: str) -> list[str]:
    """What keeps a door from being a file there."""
    if _is_missing(path.parent):
        return [f"{setting} = {path}: the folder {path.parent} does not exist: make it"]
    problems = []
    with suppress(OSError):  # there is none yet, or we may not look
        if not stat.S_ISSOCK(path.lstat().st_mode):
            problems.append(f"{setting} = {path}: there is a file that is no socket: move it away")
    if owner:
        try:
            found(owner)
        except PrivilegeError as error:
            problems.append(f"{setting}_owner = {str(error).removeprefix('user = ')}")
    return problems


def _is_missing(folder: Path) -> bool:
    """One that we may not look at is none of ours: root has opened the door there, and a mail
    server uses it."""
    try:
        return not folder.is_dir()
    except PermissionError:
        return False


def pid_folder(config: Config) -> list[str]:
    """What is wrong with the place of the pid file; only root may be able to tell or to use it."""
    if config.pid_file is not None:
        try:
            check_folder(config.pid_file)
        except PidFileError as error:
            return [str(error)]
    return []


def is_service_managers(config: Config) -> bool:
    """Whether the folder of the pid file is none of root, who looks at it: systemd makes those of
    a unit (RuntimeDirectory), and gives them to the user as whom it starts the program."""
    if config.pid_file is None or config.user or os.geteuid() != 0:
        return False
    folder = config.pid_file.absolute().parent
    if not any(run in folder.parents for run in RUN_FOLDERS):
        return False
    try:
        status = folder.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    is_ours_alone = not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid != 0 and is_ours_alone


def _folder(setting: str, path: Path) -> list[str]:
    folder = path.absolute().parent
    try:
        is_there = folder.is_dir()
    except OSError as error:  # one above it is closed to this user
        return [f"{setting} = {path}: the folder {folder} cannot be looked at: {error.strerror}"]
    if not is_there:
        return [f"{setting} = {path}: the folder {folder} does not exist: make it"]
    if not os.access(folder, os.W_OK | os.X_OK):
        return [f"{setting} = {path}: this user may not write in {folder}"]
    return []


def _database_file(path: Path) -> list[str]:
    """What keeps this user from one that is there: root has tried it out before, for instance."""
    return [
        f"database = {path}: user {_us()} may not write {file}: chown {_us()} {file}"
        for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm"))
        if os.access(file, os.F_OK) and not os.access(file, os.R_OK | os.W_OK)
    ]


def _us() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def rereadable(config: Config, path: Path | None) -> list[str]:
    """The files that root alone may read: the start is well, and each reload fails."""
    lists = (*config.postgrey_whitelist_clients, *config.postgrey_whitelist_recipients)
    return [
        f"{file}: user {_us()} may not read it, so no reload will work: chmod or chown it"
        for file in (path, *lists)
        if file is not None and not os.access(file, os.R_OK)
    ]


def logs(config: Config) -> list[str]:
    """The logs that this user cannot write. They cost lines, and no mail: the program starts, and
    says by itself what is wrong."""
    named = [
        ("greylist_log =", config.greylist_log),
        ("greylist_debuglog =", config.greylist_debuglog),
    ]
    odd = []
    if config.definitions.stat is not None:
        target = Target.parse(config.definitions.stat[0])
        path = Path(target.where)
        if target.kind != "program":
            named.append(("stat", path))
            if not os.access(path, os.F_OK):
                odd += [text.replace(" =", "", 1) for text in _folder("stat", path)]
    return odd + [
        f"{setting} {path}: user {_us()} may not write it: chown {_us()} {path}"
        for setting, path in named
        if path is not None and os.access(path, os.F_OK) and not os.access(path, os.W_OK)
    ]


def real_servers(config: Config, *, relaying: bool = True) -> Findings:
    """What the real mail servers offer and, if relay_check is set, whether they relay for us."""
    tls = backend_context(config.backend_tls.value, config.backend_tls_ca)
    if not config.listens:
        return Findings()
    relaying = relaying and config.relay_check
    return RelayCheck.examine(config, tls, relaying=relaying, time_limit=ASK_SECONDS)


def may_relay_now(old: Config, new: Config) -> list[str]:
    """The problems of real mail servers that another configuration brings."""
    if not (new.listens and new.relay_check):
        return []
    if all(getattr(old, key) == getattr(new, key) for key in _ABOUT_SERVERS):
        return []
    return real_servers(new).problems


def bounces_all(old: Config, new: Config) -> list[str]:
    """The problem of a file that was cut to nothing, by a full disk for instance: read in the
    place of one that works it would refuse everybody's mail for good."""
    if old.listens and old.allowed_domains and not new.allowed_domains:
        return ["allowed_domains is empty now: if all mail is to be refused, restart the program"]
    return []


def expiring(config: Config) -> list[str]:
    """The certificates whose time is over, or nearly so."""
    try:
        return certificates_of(config).expiring(time.time())
    except CertificateError:
        return []  # a problem of the surroundings, and said there


def exposed(config: Config) -> list[str]:
    """The doors of mail servers that anybody can reach: who asks there is believed."""
    return [
        f"{name} = {place}: whoever reaches that port is believed what he says of a client; "
        "write @127.0.0.1 behind it if the mail server is on this machine"
        for name, place in (("socket", config.socket), ("policy_socket", config.policy_socket))
        if place is not None and place.host in ("0.0.0.0", "::")  # noqa: S104 - compared
    ]


def ports(config: Config) -> list[str]:
    """The addresses that could not be had now; none if we are running already."""
    if config.pid_file is not None:
        try:
            running_pid(config.pid_file)
        except PidFileError:
            pass
        else:
            return []
    warnings = []
    for door in doors_of(config):
        try:
            check_free(door)
        except OSError as error:
            why = f"{door.setting}: {error.strerror}"
            if error.errno == errno.EADDRINUSE:
                why += " (is kamaelia-grey running already?)"
            warnings.append(why)
    return warnings
