"""The milter protocol without I/O: packets, commands, responses, negotiation, both sides' state."""
