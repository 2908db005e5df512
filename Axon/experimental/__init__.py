"""Parts of Axon that may still change: a component in an operating system process of its own."""
