"""Components that speak a protocol; the parsing is in Kamaelia.Support.Protocol."""
