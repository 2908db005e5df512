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
import logging
import os
import signal
import sys
from collections.abc import Sequence
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey.Config.Loader import Config, ConfigError, find, load
from Kamaelia.Apps.Grey.Server import GreyServer

log = logging.getLogger("kamaelia-grey")

EX_USAGE = 64
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
    if options.check:
        print(f"{path}: no problems found" if path else "no greylist.conf found: defaults are used")
        return os.EX_OK
    listener = _start_logging(config)
    try:
        return _serve(config, path)
    finally:
        listener.stop()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="kamaelia-grey",
        description="Greylisting SMTP proxy: strangers are asked to come back, friends get in.",
        epilog="Without -f the configuration is looked for in /usr/local/etc/Kamaelia, "
        "/usr/local/etc, /etc/Kamaelia, /etc and here, as greylist.conf and greylist.conf.dist.",
    )
    parser.add_argument("-D", action="store_true", help="stay in the foreground (the default)")
    parser.add_argument("-f", dest="file", metavar="FILE", help="configuration file")
    parser.add_argument("-c", dest="check", action="store_true", help="check the file, then end")
    return parser.parse_args(arguments)


def _start_logging(config: Config) -> QueueListener:
    """Log through a thread: a slow disk or terminal must not hold up mail."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(logging.INFO)
    if config.greylist_debuglog is not None:
        handlers.append(logging.FileHandler(config.greylist_debuglog, delay=True))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LINE))
    queue: SimpleQueue[object] = SimpleQueue()
    logging.basicConfig(
        level=logging.DEBUG if config.greylist_debuglog is not None else logging.INFO,
        handlers=[QueueHandler(queue)],
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
