"""Plain Python for the components: no Axon, no sockets, no threads, no clock."""
