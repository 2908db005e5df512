"""
kamaelia-grey: the program
==========================
Options, logging, signals and exit codes around a GreyServer::

    kamaelia-grey -D -f greylist.conf     run in the foreground (for now the only way to run)
    kamaelia-grey -c -f greylist.conf     check the file, say everything that is wrong with it

TERM or Ctrl-C drains: no new clients, those inside a message may finish it; once more ends at once.
Exit codes are those of sysexits.h: 0 after a proper end, 64 for wrong usage, 70 for a fault of
ours, 71 if a port cannot be had, 78 for a bad configuration."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import NoReturn

from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey import OwnComponents
from Kamaelia.Apps.Grey.Config.Loader import Config, ConfigError, find, load
from Kamaelia.Apps.Grey.Server import GreyServer

log = logging.getLogger("kamaelia-grey")

SWITCH_SECONDS = 0.0005
OTHER_FILES = 300
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    options = _options(arguments)
    path = Path(options.file) if options.file else find()
    try:
        config = load(path) if path is not None else Config()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    problems = _surroundings(config)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return os.EX_CONFIG
    if options.check:
        print(f"{path}: no problems found" if path else "no greylist.conf found: defaults are used")
        return os.EX_OK
    listener = _start_logging(config)
    try:
        return _serve(config, path)
    finally:
        listener.stop()


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with the code of sysexits.h, not with argparse's own."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="kamaelia-grey",
        description="Greylisting SMTP proxy: strangers are asked to come back, friends get in.",
        epilog="Without -f the configuration is looked for in /usr/local/etc/Kamaelia, "
        "/usr/local/etc, /etc/Kamaelia, /etc and here, as greylist.conf and greylist.conf.dist.",
    )
    parser.add_argument("-D", action="store_true", help="stay in the foreground (the default)")
    parser.add_argument("-f", dest="file", metavar="FILE", help="configuration file")
    parser.add_argument("-c", dest="check", action="store_true", help="check the file, then end")
    return parser.parse_args(arguments)


def _surroundings(config: Config) -> list[str]:
    """What the configuration names and this machine does not have: better said now than found out
    by a log that fills, or by strangers who get in because nobody remembers them."""
    named = (
        ("database", config.database),
        ("greylist_log", config.greylist_log),
        ("greylist_debuglog", config.greylist_debuglog),
    )
    problems = []
    for setting, path in named:
        if path is None:
            continue
        folder = path.absolute().parent
        if not folder.is_dir():
            problems.append(f"{setting} = {path}: the folder {folder} does not exist: make it")
        elif not os.access(folder, os.W_OK | os.X_OK):
            problems.append(f"{setting} = {path}: this user may not write in {folder}")
    try:
        OwnComponents.load_all(config.before_decider)
    except OwnComponents.OwnComponentError as error:
        problems.append(str(error))
    return problems


def _start_logging(config: Config) -> QueueListener:
    """Log through a thread: a slow disk or terminal must not hold up mail."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(logging.INFO)
    if config.greylist_debuglog is not None:
        handlers.append(logging.FileHandler(config.greylist_debuglog, delay=True))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LINE))
    queue: SimpleQueue[object] = SimpleQueue()
    entrance = QueueHandler(queue)
    entrance.setFormatter(logging.Formatter("%(message)s"))  # the rest is added at the other end
    logging.basicConfig(
        level=logging.DEBUG if config.greylist_debuglog is not None else logging.INFO,
        handlers=[entrance],
        force=True,
    )
    listener = QueueListener(queue, *handlers, respect_handler_level=True)
    listener.start()
    return listener


def _serve(config: Config, path: Path | None) -> int:
    running: scheduler = scheduler.run
    server = GreyServer(config)
    try:
        server.activate()
    except OSError as error:
        log.critical("%s", error.strerror or error)
        return os.EX_OSERR
    _handle_signals(running, server)
    _tune()
    _raise_file_limit(config)
    if not config.allowed_domains:
        log.warning("allowed_domains is empty: mail from strangers is refused, whoever it is for")
    for host, port in server.addresses:
        log.info("taking mail on %s port %d", host, port)
    log.info(
        "handing it to %s port %d, configuration %s",
        config.smtp_ip,
        config.smtp_port,
        path if path is not None else "built in",
    )
    try:
        running.runThreads()
    except Exception:
        log.critical("internal error, the program ends", exc_info=True)
        return os.EX_SOFTWARE
    log.info("ended")
    return os.EX_OK


def _tune() -> None:
    """Settings of the interpreter that are an application's business, not a library's."""
    # A thread that has the interpreter may keep it for this long, 5 ms by default. The threads for
    # the store and the log have short work to do, and all clients wait meanwhile.
    sys.setswitchinterval(SWITCH_SECONDS)
    # A connection that has ended is freed by reference counting, so the collector has next to
    # nothing to find; a short connection costs an eighth less if it looks less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _raise_file_limit(config: Config) -> None:
    """Allow the open files that max_connections needs, as far as the system lets us."""
    # For each client its socket and one to the real server, and one for as many that have gone
    # and whose mail is not answered yet; then the store, logs, ports, a margin.
    needed = 3 * config.max_connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < needed:
            log.warning(
                "max_connections = %d may need %d open files, the system allows %d (ulimit -n)",
                config.max_connections,
                needed,
                allowed,
            )


def _handle_signals(running: scheduler, server: GreyServer) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        # The handler may interrupt anything: have it done between two turns of components.
        name = signal.Signals(number).name
        running.call_from_thread(lambda: server.shut_down(name))

    def explain(number: int, frame: FrameType | None) -> None:
        running.call_from_thread(
            lambda: log.warning("SIGHUP does nothing yet: restart to read the configuration again")
        )

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, explain)


if __name__ == "__main__":
    sys.exit(main())
