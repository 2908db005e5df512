"""Kamaelia: components that do the talking; Axon runs them."""
