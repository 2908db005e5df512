"""SMTP without I/O: events, commands, replies, addresses and two state machines."""
