"""
The rivals that greylist, each as its users run it
==================================================
For goals.py; started like those of targets.py.

    postfix-postgrey           smtpd with postgrey as its policy service and the sink as its content
                               filter: no queue; needs root
    postfix-milter-greylist    the same with milter-greylist
    haraka-greylist            Haraka with haraka-plugin-greylist, which keeps its records in a
                               Redis of its own, and smtp_forward to the sink; needs
                               ``--haraka FOLDER``

All of them defer for a second here. What had to be changed to measure them at all: postgrey does
not whitelist whole clients on its own; Haraka's plugin skips private addresses, which loopback is,
so a copy of it without that line runs; milter-greylist must not ask for SPF records.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from processes import HOST, Child, free_port
from targets import DELAY_SECONDS, STARTERS, Site, Target, Unavailable, find, said, with_postfix

# Of less it idles: it waits for the backend's delayed acknowledgements.
HARAKA_CONNECTIONS = 96


def postgrey_command(program: str, port: int, folder: Path) -> list[str]:
    """How to start it, with its records in that folder: it whitelists nobody."""
    records = folder / "postgrey"
    records.mkdir()
    # It gives up its rights, and then has to get at its records from above.
    shutil.chown(records, "postgrey", "postgrey")
    folder.chmod(0o755)
    folder.parent.chmod(0o711)
    return [
        program,
        f"--inet={HOST}:{port}",
        f"--dbdir={records}",
        f"--delay={DELAY_SECONDS}",
        "--auto-whitelist-clients=0",
        "--whitelist-clients=/dev/null",
        "--whitelist-recipients=/dev/null",
    ]


def postfix_postgrey(site: Site) -> Target:
    program = find("postgrey")
    port = free_port()
    policy = site.start_helper(port, *postgrey_command(program, port, site.folder))
    asked = f"reject_unauth_destination,check_policy_service,inet:{HOST}:{port}"
    target = with_postfix(site, "postfix-postgrey", f"\n  -o smtpd_recipient_restrictions={asked}")
    version = f"{target.version}, postgrey {said(program, '--version').split()[1]}"
    return Target(target.name, target.port, target.pid, version, greylists=True, helpers=(policy,))


MILTER_GREYLIST_CONF = f"""\
pidfile "%(folder)s/milter.pid"
socket "%(folder)s/milter.sock" 666
dumpfile "%(folder)s/milter.db" 600
dumpfreq 10m
timeout 5d
quiet
nospf
racl greylist default delay {DELAY_SECONDS}s autowhite 3d
"""


def postfix_milter_greylist(site: Site) -> Target:
    program = find("milter-greylist")
    site.folder.chmod(0o755)
    site.folder.parent.chmod(0o711)
    conf = site.folder / "milter-greylist.conf"
    conf.write_text(MILTER_GREYLIST_CONF % {"folder": site.folder})
    child = site.stack.enter_context(
        Child([program, "-D", "-f", str(conf)], site.folder / "milter.log")
    )
    milter = f"unix:{site.folder}/milter.sock"
    target = with_postfix(
        site,
        "postfix-milter-greylist",
        f"\n  -o smtpd_milters={milter}\n  -o milter_default_action=tempfail",
    )
    version = f"{target.version}, milter-greylist"
    return Target(
        target.name, target.port, target.pid, version, greylists=True, helpers=(child.pid,)
    )


HARAKA_CONFIG = {
    "plugins": "redis\ngreylist\nrcpt_to.in_host_list\nqueue/smtp_forward\n",
    "smtp.ini": f"listen={HOST}:%(port)d\nnodes=0\n",
    "smtp_forward.ini": f"[main]\nhost={HOST}\nport=%(sink_port)d\n",
    "redis.ini": f"[server]\nhost={HOST}\nport=%(redis_port)d\n",
    "greylist.ini": (
        f"[redis]\nhost={HOST}\nport=%(redis_port)d\n[skip]\ndnswlorg=false\nmailspikewl=false\n"
        f"[period]\nblack={DELAY_SECONDS}\ngrey=90000\nwhite=3024000\n"
    ),
    # It has defaults for none of these sections once there is such a file.
    "connection.ini": (
        "[main]\n[headers]\nadd_received=true\nmax_received=100\n"
        "[max]\nbytes=100000000\nmime_parts=1000\nline_length=512\ndata_line_length=992\n"
        "[message]\nclose=bye\n[uuid]\ndeny_chars=0\nbanner_chars=0\n[haproxy]\nhosts[] =\n"
    ),
    "host_list": "example.org\n",
    "me": "mx.example.org\n",
    "log.ini": "level=WARN\n",
    "tarpit.timeout": "0\n",
}
PRIVATE = "connection.remote?.is_private"


def haraka_greylist(site: Site) -> Target:
    if site.haraka is None:
        raise Unavailable("no --haraka")
    node, redis = find("node"), find("redis-server")
    modules = site.haraka.resolve() / "node_modules"
    plugin = (modules / "haraka-plugin-greylist" / "index.js").read_text()
    if PRIVATE not in plugin:
        raise Unavailable("its greylist plugin looks unlike the one that is known here")
    port, redis_port = free_port(), free_port()
    _lay_out_haraka(site, modules, plugin.replace(PRIVATE, "false"), port, redis_port)
    store = site.start_helper(
        redis_port, redis, "--bind", HOST, "--port", str(redis_port), "--dir", str(site.folder)
    )
    program = str(modules / "Haraka" / "bin" / "haraka")
    pid = site.start(port, node, program, "-c", str(site.folder))
    names = ("Haraka", "haraka-plugin-greylist")
    versions = [
        json.loads((modules / name / "package.json").read_text())["version"] for name in names
    ]
    return Target(
        "haraka-greylist",
        port,
        pid,
        f"{versions[0]}, plugin {versions[1]}, Node {said(node, '--version').strip()[1:]},"
        f" Redis {said(redis, '--version').split()[2].removeprefix('v=')}",
        greylists=True,
        helpers=(store,),
        connections=HARAKA_CONNECTIONS,
    )


def _lay_out_haraka(site: Site, modules: Path, plugin: str, port: int, redis_port: int) -> None:
    names = {"port": port, "sink_port": site.sink_port, "redis_port": redis_port}
    for name in ("config", "plugins"):
        (site.folder / name).mkdir()
    for name, text in HARAKA_CONFIG.items():
        (site.folder / "config" / name).write_text(text % names)
    (site.folder / "plugins" / "greylist.js").write_text(plugin)
    # Where the plugin finds what it requires.
    (site.folder / "node_modules").symlink_to(modules)


ALL_STARTERS: dict[str, Callable[[Site], Target]] = {
    **STARTERS,
    "postfix-postgrey": postfix_postgrey,
    "postfix-milter-greylist": postfix_milter_greylist,
    "haraka-greylist": haraka_greylist,
}
