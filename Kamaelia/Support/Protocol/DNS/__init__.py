"""Names: what to ask a DNS server, whom, and what its reply means; dnspython reads the messages."""
