"""The lines in which mail exchangers tell each other what they know: no input or output here."""
