"""
What the %-codes of greylist.conf stand for
===========================================
For the reference, which PolicyDoc writes: a code, or several that belong together, and what is put
in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# The %-codes of Core/Access/Codes.py, in the order in which a reader looks for them.
CODES: Mapping[str, str] = MappingProxyType(
    {
        "%r, %mr, %sr": "recipient; its local part; its domain (empty for a whole message)",
        "%f, %mf, %sf": "sender; its local part; its domain",
        "%d, %md, %sd": "client's host name; its first label; the others",
        "%i, %I{/24}, %j": "client's address; its network; the address reversed",
        "%h": "what the client called itself in HELO",
        "%C, %Fx": "client's country; what p0f says of it",
        "%Qs, %Qd, %Hs": "result of SPF; of DKIM; SpamAssassin's score",
        "%QS, %QA": "SPF in words; the text of an Authentication-Results header",
        "%D": "names of the DNS lists that held, the latest first",
        "%a, %A": "id, or line, of the rule that decided; its line",
        "%ca, %cA": "the same of the rule that is being asked",
        "%g{\\1}": "what a group of the latest expressions caught",
        "%P{name}": "value of a property",
        "%pn, %pv, %pr": "name, value and recipient of the property that was compared last",
        "%M{name}": "a macro of the MTA",
        "%R, %Rh, %Rm, %Rs, %Rt": "time still to wait as hh:mm:ss; its parts; all in seconds",
        "%E, %Eh, %Em, %Es, %Et": "the same of the time waited",
        "%t": "seconds of a tarpit",
        "%Xc, %Xe, %Xm, %Xh": "code, enhanced code and text of the reply; text of X-Greylist",
        "%S": "accept, tempfail or reject",
        "%T{FORMAT}, %G": "local time by strftime(3); its offset from UTC",
        "%v, %V": "our version; the end of X-Greylist, with host, address and date",
        "%%": "a percent sign",
    }
)
