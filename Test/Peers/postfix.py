"""
A real Postfix as a client with a queue
=======================================
The same as the server of the other tests, but for another domain; all other mail goes to a port of
loopback, and what was deferred is tried again every second.
"""

from pathlib import Path

from Test.System.postfix_server import PostfixServer, settings

MAIN = """
myhostname = mail.example.net
virtual_mailbox_domains = example.net
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{relay_to}
smtp_host_lookup = native
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
"""
MASTER = "smtp unix - - n - - smtp\ntlsmgr unix - - n 1000? 1 tlsmgr\n"


class PostfixClient(PostfixServer):
    """PostfixClient(program, relay_to, main="") -> the client.

    program: the `postfix` command; main: more settings."""

    def __init__(self, program: Path, relay_to: int, main: str = "") -> None:
        super().__init__(program, settings(MAIN.format(relay_to=relay_to), main), MASTER)
