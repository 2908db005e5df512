"""Parsers and state machines of wire protocols: bytes in, events out."""
