"""HTTP, server-sent events and WebSocket without sockets: h11 and websockets, with our limits."""
