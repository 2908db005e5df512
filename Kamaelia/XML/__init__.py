"""XML in, events out."""
