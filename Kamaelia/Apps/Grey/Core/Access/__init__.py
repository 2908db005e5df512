"""The access rules of greylist.conf, ready to be asked; see Rule.py."""
