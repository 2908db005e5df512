"""greylist.conf: reading it, checking it, its defaults."""
