"""
A real haproxy before the proxy
===============================
It hands each connection on and says by the PROXY protocol whose it is. Every 100 ms it looks
whether the proxy is well, with a connection of its own that is nobody's.
"""

from pathlib import Path

from Test.System.processes import Program, free_port, takes_connections, wait_until

TEXT = """
global
  log stdout format raw daemon
defaults
  mode tcp
  log global
  option log-health-checks
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout check 30s
frontend mail
  bind 127.0.0.1:{port}
  default_backend proxies
backend proxies
  option smtpchk EHLO balancer.example.org
  server grey 127.0.0.1:{to} {how} check check-send-proxy inter 100ms
"""


class Haproxy(Program):
    """Haproxy(program, folder, to, how) -> the balancer; how: send-proxy or send-proxy-v2."""

    def __init__(self, program: Path, folder: Path, to: int, how: str) -> None:
        super().__init__("haproxy", folder)
        self.address = ("127.0.0.1", free_port())
        self._program = program
        self._to = to
        self._how = how

    def start(self) -> None:
        configuration = self.folder / "haproxy.cfg"
        text = TEXT.format(port=self.address[1], to=self._to, how=self._how)
        configuration.write_text(text, encoding="ascii")
        self.spawn([self._program, "-db", "-f", configuration])
        wait_until("haproxy", lambda: takes_connections(self.address[1]))
