"""HTTP as components: server and client, server-sent events, WebSocket."""
