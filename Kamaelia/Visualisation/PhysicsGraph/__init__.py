"""Graphs of nodes and links, and the lines of text that change them."""
