"""
Datagrams, by their other name
==============================
The original had a second try at UDP under this name. Here both names mean the same classes: see
Kamaelia.Internet.UDP.
"""

from Kamaelia.Internet.UDP import PostboxPeer, SimplePeer, TargettedPeer, UDPReceiver, UDPSender

__all__ = ["PostboxPeer", "SimplePeer", "TargettedPeer", "UDPReceiver", "UDPSender"]
