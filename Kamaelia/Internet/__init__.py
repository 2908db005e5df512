"""Components that talk to the network."""
