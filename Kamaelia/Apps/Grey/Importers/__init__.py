"""What other greylisters have remembered: see Importing.py."""
