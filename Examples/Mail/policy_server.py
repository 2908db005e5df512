# ends: ctrl-c
"""
A policy server for Postfix, as a pipeline: who may write to whom.

    python Examples/Mail/policy_server.py [PORT]

Postfix asks it about each recipient, if its main.cf says

    smtpd_recipient_restrictions = reject_unauth_destination,
        check_policy_service inet:127.0.0.1:10024

You can ask as well; an empty line ends a question:

    printf 'request=smtpd_access_policy\\nrecipient=staff@example.org\\n\\n' | nc -N 127.0.0.1 10024

    Postfix --bytes--> PolicyDecoder --PolicyRequest--> PureTransformer --bytes--> Postfix

Two parts of the library, and a function that can be tested without them. (A PolicySession with a
method of one's own does it in one component: see Kamaelia.Protocol.PostfixPolicy.)
"""

import sys
from contextlib import suppress

from Kamaelia.Chassis.ConnectedServer import FastRestartServer
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Protocol.PostfixPolicy import PolicyDecoder
from Kamaelia.Support.Protocol.PostfixPolicy import PolicyRequest, action
from Kamaelia.Util.PureTransformer import PureTransformer


def decide(request: PolicyRequest) -> bytes:
    """Only our own people may write to staff@example.org. What is not said is ""."""
    if request["recipient"] == "staff@example.org" and not request["sasl_username"]:
        return action("REJECT 5.7.1 for members of staff only")
    return action("DUNNO")  # no opinion: what stands behind us in main.cf decides


def protocol(**_: object) -> Pipeline:
    return Pipeline(PolicyDecoder(), PureTransformer(decide))


port = int(sys.argv[1]) if sys.argv[1:] else 10024
server = FastRestartServer(protocol=protocol, host="127.0.0.1", port=port)
with suppress(KeyboardInterrupt):
    server.activate()
    print("check_policy_service inet:{}:{}".format(*server.address), flush=True)
    server.run()
