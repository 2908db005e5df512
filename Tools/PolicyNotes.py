"""
What the tables of the policy language do not say
=================================================
For a statement, a clause or a value: what an administrator may stumble over, and an example, which
is a whole file that loads (tests read it where it stands in a page). PolicyDoc puts both into the
reference, and complains of a row that has no note here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Note:
    """example: the lines of a file, or nothing for what cannot stand in one."""

    text: str
    example: str = ""


_STATEMENTS = {
    "acl": Note(
        "The rule of 3.0: without an id, and without `continue`. Rules of `acl` and `racl` are one "
        "row, asked from the top; the first that matches decides.",
        "acl whitelist addr 192.0.2.0/24\nacl greylist default delay 10m",
    ),
    "racl": Note(
        "All clauses of a rule must hold. The id stands in the log (`rule=`) and in `%a`; a rule "
        "without one is named by its line. `continue` decides nothing: what it says (codes, texts, "
        "headers) is kept for the rule that decides. What no rule takes is greylisted.",
        'racl "own" whitelist addr 192.0.2.0/24\n'
        'racl "odd" greylist helo /^[0-9][0-9.]*$/ delay 1h\n'
        "racl greylist default",
    ),
    "dacl": Note(
        "Asked when the whole message is there, of all its recipients at once. What no rule takes "
        "passes. `greylist` is heeded only if the last recipient was let in without a look, by "
        "`racl whitelist default` or by [`testmode`](statement.testmode.md).",
        'dacl "big" blacklist msgsize > 25M msg "larger than 25 MB"\ndacl whitelist default',
    ),
    "list": Note(
        "Items of one kind, under a name; a rule says `list` and the name. It must stand before "
        "that rule. It may go over several lines (milter-greylist wants a backslash at the end of "
        "each).",
        'list "partners" domain {\n    mx.example.net\n    /^mail[0-9]*\\.example\\.com$/\n}\n'
        'racl whitelist list "partners"',
    ),
    "addr": Note(
        "A rule of old: `racl whitelist addr`, and asked before all rules. Of several such lines "
        "the last one is asked first.",
        "addr 192.0.2.0/24\naddr 2001:db8::/32",
    ),
    "domain": Note(
        "A rule of old: `racl whitelist domain`, and asked before all rules. The client's name is "
        "looked up, and counts only if it leads back to the client.",
        "domain example.net",
    ),
    "from": Note(
        "A rule of old: `racl whitelist from`, and asked before all rules. Anybody can write any "
        "sender: a client's address says more.",
        "from news@example.net",
    ),
    "rawfrom": Note(
        "A rule of old, for the sender as the client gave it: [`from`](statement.from.md) sees "
        "it without what stands before its last `=`.",
        "rawfrom bounce=7@example.net",
    ),
    "rcpt": Note(
        "A rule of old: mail for that recipient passes. With [`testmode`](statement.testmode.md) "
        "it is the other way round: only such mail is greylisted.",
        "testmode\nrcpt anna@example.org",
    ),
    "peer": Note(
        "By name or address; without a timeout it has 3 seconds for each answer, with 0 it may "
        "take for ever. Records go to it as they are made, and it may tell us its own.",
        "peer 192.0.2.17 timeout 3s",
    ),
    "syncaddr": Note(
        "Only if there are peers. The port is also that on which they are called.",
        "syncaddr * port 5252",
    ),
    "syncsrcaddr": Note(
        "The address that they know us by. A port behind it is not regarded.",
        "syncsrcaddr 192.0.2.16",
    ),
    "syncmaxqlen": Note(
        "For each peer. What finds no room is dropped, and counted in the log.",
        "syncmaxqlen 1024",
    ),
    "greylist": Note(
        "From the first try on; a retry that comes too early does not begin it again. A rule may "
        "say another time by [`delay`](value.delay.md).",
        "greylist 4m",
    ),
    "autowhite": Note(
        "Each mail renews it. 0: nobody becomes known, each mail waits. A rule may say another "
        "time by [`autowhite`](value.autowhite.md).",
        "autowhite 36d",
    ),
    "timeout": Note("It begins when a retry would get in, not at the first try.", "timeout 24h"),
    "dumpfreq": Note(
        "0: at each change, at most once a second. -1: only when the program ends.",
        'dumpfile "/var/lib/kamaelia-grey/greylist.db"\ndumpfreq 1h',
    ),
    "tarpit": Note(
        "For all replies to RCPT that the rules decide; the clause [`tarpit`](clause.tarpit.md) "
        "of a rule says another time. An hour at the most.",
        "tarpit 20s\nracl greylist default",
    ),
    "tarpit_scope": Note(
        "`session`: what the client has waited already is taken off. `command`: each reply is kept "
        "back for the whole time.",
        "tarpit_scope command\nracl whitelist tarpit 20s not domain example.net",
    ),
    "subnetmatch": Note(
        "Large senders retry from another machine of the same network. /24 is what we recommend.",
        "subnetmatch /24",
    ),
    "subnetmatch6": Note(
        "/64 is one network segment, of which a single machine may use any address.",
        "subnetmatch6 /64",
    ),
    "pidfile": Note(
        "Its folder must be root's or the program's user's, and nobody else's.",
        'pidfile "/run/kamaelia-grey/pid"',
    ),
    "dumpfile": Note(
        "The database stays where the records live; this is a copy that people and "
        "milter-greylist can read. At the start it is read if the database is empty. The mode is "
        "in octal.",
        'dumpfile "/var/lib/kamaelia-grey/greylist.db" 640',
    ),
    "socket": Note(
        "A path, unix:PATH, local:PATH, inet:PORT@ADDRESS or inet6:PORT@ADDRESS. Modes are 666, "
        "660 and 600; without one it is 660. With this door the proxy is off unless `listen` is "
        "set.",
        'socket "/run/kamaelia-grey/sock" 660',
    ),
    "user": Note(
        "Once the ports are open. For a start as root; under systemd let the unit do it.",
        'user "grey:mail"',
    ),
    "geoipdb": Note(
        "A file in MaxMind's format (.mmdb), for the clause [`geoip`](clause.geoip.md) and `%C`. "
        "It needs `pip install kamaelia-grey[geoip]`.",
        'geoipdb "/var/lib/GeoIP/country.mmdb"\nracl greylist not geoip "DE" delay 2h',
    ),
    "geoipv6db": Note(
        "Needed only if the file of [`geoipdb`](statement.geoipdb.md) has no IPv6 networks; most "
        "have.",
        'geoipv6db "/var/lib/GeoIP/country6.mmdb"\nracl greylist geoip "ZZ" delay 2h',
    ),
    "report": Note(
        "`delays`: only for mail that has waited; `nodelays`: only for the other.",
        "report delays",
    ),
    "logfac": Note("`none`: nothing goes to syslog.", "logfac local3"),
    "stat": Note(
        'Beside the mail log. `">>FILE"` appends, `">FILE"` begins anew, `"|COMMAND"` hands the '
        "lines to a program. The format has [%-codes](README.md#codes) and `\\n`.",
        'stat ">>/var/log/kamaelia-grey/stat.csv" "%T{%Y-%m-%dT%H:%M:%S},%i,%f,%r,%S,%a\\n"',
    ),
    "maxpeek": Note(
        "How many bytes of a message's text [`body`](clause.body.md) can see; 4 MiB at the most, "
        "and 128 KiB if nothing is said. 0: nothing. Write it before the rules.",
        'maxpeek 128k\ndacl blacklist body "cheap pills"',
    ),
    "localaddr": Note(
        "It stands in X-Greylist, and `spf self` asks with it.",
        "localaddr 192.0.2.25\nracl whitelist spf pass not spf self",
    ),
    "drac": Note(""),
    "p0fsock": Note(
        "For the clause [`p0f`](clause.p0f.md) and `%Fx`. p0f 3 is asked by its own protocol.",
        'p0fsock "/run/p0f.sock"\nracl greylist p0f "Windows" delay 1h',
    ),
    "spamdsock": Note(
        "For the clause [`spamd`](clause.spamd.md) and `%Hs`.",
        'spamdsock inet "127.0.0.1:783"\ndacl blacklist spamd > 15',
    ),
    "dnsrbl": Note(
        "The address, or network, says which answers of the zone mean yes. Look-ups go to the "
        "zone's own servers by way of `resolvers`: ask who runs it whether you may.",
        'dnsrbl "dynamic" dyn.bl.example 127.0.0.10/31\n'
        'racl greylist dnsrbl "dynamic" delay 4h msg "listed in %D"',
    ),
    "sm_macro": Note(
        "Macros are of the milter protocol; of these the proxy sets `{j}`, `{client_addr}`, "
        "`{if_addr}`, `{tls_version}`, `{cipher}` and `{auth_authen}`. `unset` holds if there is "
        "no such macro.",
        'sm_macro "plain" "{tls_version}" unset\nracl greylist sm_macro "plain" delay 30m',
    ),
    "ratelimit": Note(
        "`rcpt` counts recipients, `session` clients' sessions, `data` messages. The key says what "
        "is counted together; without it the client's network (`%I`).",
        'ratelimit "per sender" session 30 / 1h key "%f"\n'
        'racl blacklist ratelimit "per sender" code "450" ecode "4.7.0" msg "slow down"',
    ),
    "urlcheck": Note(
        "The URL has %-codes, and what they stand for is encoded. The number is how many seconds "
        "the answer may take. `postmsg`: at DATA the message is posted; `getprop`: other lines of "
        "the answer become properties; `clear`: they go with the recipient; `noencode`: as it is. "
        "`fork` says nothing here. A server that is away fails the decision: 451.",
        'urlcheck "prefs" "http://127.0.0.1:8080/grey?rcpt=%r&ip=%i" 5 getprop clear\n'
        'racl greylist urlcheck "prefs" $mode "strict" delay 1h',
    ),
    "ldapconf": Note(
        "The directory, and how to log in there. It needs `pip install kamaelia-grey[ldap]`.",
        'ldapconf "ldap://127.0.0.1/" timeout 5s binddn "cn=grey,dc=example" bindpw "secret"\n'
        'ldapcheck "opted" "ldap://127.0.0.1/dc=example?mail?one?mail=%r" clear\n'
        'racl greylist ldapcheck "opted"',
    ),
    "ldapcheck": Note(
        "An LDAP URL (RFC 4516) with %-codes, and what they stand for is escaped. Attributes of "
        "the entries become properties. `domatch`: the clause holds if there is an entry; `clear`: "
        "the properties go with the recipient; `noescape`: as it is.",
        'ldapconf "ldap://127.0.0.1/"\n'
        'ldapcheck "opted" "ldap://127.0.0.1/dc=example?mail?one?mail=%r" domatch\n'
        'racl greylist ldapcheck "opted"',
    ),
    "tsig": Note(""),
    "nsupdate": Note(""),
    "verbose": Note("", "verbose"),
    "quiet": Note("", "quiet"),
    "nodetach": Note("A supervisor such as systemd wants that.", "nodetach"),
    "noauth": Note(
        "A clause [`auth`](clause.auth.md) or [`tls`](clause.tls.md) anywhere in the file switches "
        "it on: then the rules decide.",
        "noauth",
    ),
    "noaccessdb": Note(
        "For mail that comes by a Sendmail, whose macro `{greylist}` says what its map says.",
        "noaccessdb",
    ),
    "nospf": Note(
        "A clause [`spf`](clause.spf.md) anywhere in the file switches it on: then the rules "
        "decide. Spammers have SPF records, too.",
        "nospf",
    ),
    "testmode": Note("To start with a few.", "testmode\nracl greylist rcpt anna@example.org"),
    "delayedreject": Note(
        "For servers that ask with a bounce whether a sender exists, and take a deferral at RCPT "
        "for a no. The flag is for one message, not for all that come after it in the session.",
        "delayedreject",
    ),
    "lazyaw": Note(
        "The same as `client_passes = 1`: once one mail of a client has passed, all of it does.",
        "lazyaw",
    ),
    "extendedregex": Note(
        "Without it they are basic ones, as `grep` has them: `\\(` groups, and `+` is a letter.",
        "extendedregex\nracl greylist helo /^([0-9]+\\.){3}[0-9]+$/",
    ),
    "unbracket": Note("Of use behind a milter only; the proxy looks names up anyway.", "unbracket"),
    "domainexact": Note(
        "Without it `domain example.net` takes `badexample.net`, too, as milter-greylist does.",
        "domainexact\nracl whitelist domain example.net",
    ),
    "multiracl": Note("Rules are asked anew for each recipient in any case.", "multiracl"),
    "nodrac": Note("It is read, and a warning says so.", "nodrac"),
    "logexpired": Note("", "logexpired"),
    "dump_no_time_translation": Note("", "dump_no_time_translation"),
    "fixldapcheck": Note("", "fixldapcheck"),
}

_CLAUSES = {
    "addr": Note(
        "Without a length it is that address alone. Bits behind the prefix do not count.",
        "racl whitelist addr 192.0.2.0/24\nracl whitelist addr 2001:db8:7::/48",
    ),
    "domain": Note(
        "The name is that to which the address leads and which leads back to it; a client without "
        "one matches no domain. Case does not count. "
        "[`domainexact`](statement.domainexact.md) makes it begin where a label does.",
        "domainexact\nracl whitelist domain example.net",
    ),
    "from": Note(
        "An address fits as a whole, and case does not count. An expression is matched with the "
        "brackets around the address, so end it with `>$`; the null sender is `/^<>$/`.",
        "racl greylist from /@news\\.example\\.net>$/ delay 5m\nracl greylist from /^<>$/ delay 1h",
    ),
    "rawfrom": Note(
        "[`from`](clause.from.md) sees the sender without what stands before its last `=`, which "
        "mailing lists change with every mail.",
        "racl blacklist rawfrom /^<prvs=/",
    ),
    "rcpt": Note(
        "Matched as [`from`](clause.from.md) is. Two different addresses in one rule never hold "
        "together: make a list of them.",
        "racl greylist rcpt info@example.org\nracl whitelist default",
    ),
    "rcptcount": Note(
        "Those of this message, without the one that is being asked about.",
        'racl blacklist rcptcount >= 100 msg "too many recipients"',
    ),
    "helo": Note(
        "A text has %-codes and must be all of the name; case does not count.",
        'racl blacklist helo /^[0-9][0-9.]*$/ msg "HELO %h is no name of a host"',
    ),
    "auth": Note(
        "Such a clause anywhere in the file switches [`noauth`](statement.noauth.md) on.",
        "racl whitelist auth /./",
    ),
    "tls": Note(
        "Of a certificate that was checked. The proxy asks clients for none yet, so there it never "
        "holds. Such a clause anywhere in the file switches [`noauth`](statement.noauth.md) on.",
        "racl whitelist tls /CN=mx[.]example[.]net/",
    ),
    "spf": Note(
        "Without a word: `pass`. `self`: the record would let our own address pass, too, so it is "
        "worth nothing. For the null sender HELO is asked. `unknown` is RFC 7208's permerror, "
        "`error` its temperror. Such a clause switches [`nospf`](statement.nospf.md) on.",
        'racl whitelist spf pass not spf self\nracl blacklist spf fail msg "SPF %Qs for %sf"',
    ),
    "dkim": Note(
        "Without a word: `pass`. It needs `pip install kamaelia-grey[dkim]`.",
        'dacl blacklist dkim fail from /@bank\\.example>$/ msg "DKIM %Qd"',
    ),
    "dnsrbl": Note(
        "One that [`dnsrbl`](statement.dnsrbl.md) has defined. The names of all that held are in "
        "`%D`.",
        'dnsrbl "dynamic" dyn.bl.example 127.0.0.10/31\nracl greylist dnsrbl "dynamic" delay 4h',
    ),
    "mx": Note(
        "The client shares so many bits with an address of an MX of the sender's domain.",
        "racl whitelist mx /24",
    ),
    "sm_macro": Note(
        "One that [`sm_macro`](statement.sm_macro.md) has defined.",
        'sm_macro "forged" "{client_resolve}" "FORGED"\nracl greylist sm_macro "forged" delay 2h',
    ),
    "ratelimit": Note(
        "One that [`ratelimit`](statement.ratelimit.md) has defined. It counts when it is asked, "
        "so what stands before it in the rule says who is counted.",
        'ratelimit "clients" session 60 / 1m\n'
        'racl blacklist ratelimit "clients" code "450" ecode "4.7.0" msg "slow down"',
    ),
    "time": Note(
        "Five fields, all of which must fit: numbers, `8-17`, `*/5`, `8-18/2`, and such with "
        "commas between them. The local time of the machine; Sunday is 0.",
        'racl greylist time "* 8-17 * * 1-5" delay 5m',
    ),
    "geoip": Note(
        "Two capital letters; `ZZ` if nobody knows. It needs "
        "[`geoipdb`](statement.geoipdb.md), and never holds without it.",
        'geoipdb "/var/lib/GeoIP/country.mmdb"\nracl greylist not geoip "DE" delay 2h',
    ),
    "p0f": Note(
        "A text is part of what p0f says, and case does not count. It needs "
        "[`p0fsock`](statement.p0fsock.md), and never holds without it.",
        'p0fsock "/run/p0f.sock"\nracl greylist p0f "Windows" delay 1h',
    ),
    "urlcheck": Note(
        "One that [`urlcheck`](statement.urlcheck.md) has defined. The answer is lines of `key: "
        "value`, at most 4096 bytes: `milterGreylistStatus` (`Ok` or `TRUE`: it holds), "
        "`...Action`, `...Delay`, `...Autowhite`, `...Tarpit`, `...FlushAddr`, `...NoLog`, "
        "`...Code`, `...ECode`, `...Msg`, `...Report`, which beat what the rule says. If the "
        "server is away, nobody can tell: 451.",
        'urlcheck "prefs" "http://127.0.0.1:8080/grey?rcpt=%r" 5\nracl greylist urlcheck "prefs"',
    ),
    "ldapcheck": Note(
        "One that [`ldapcheck`](statement.ldapcheck.md) has defined. If the directory is away, "
        "nobody can tell: 451.",
        'ldapconf "ldap://127.0.0.1/"\n'
        'ldapcheck "opted" "ldap://127.0.0.1/dc=example?mail?one?mail=%r" domatch\n'
        'racl greylist ldapcheck "opted"',
    ),
    "nsupdate": Note(""),
    "log": Note(
        "The text has %-codes. It is written when the clauses before it hold.",
        'racl continue spf fail log "SPF fails for %f from %i"',
    ),
    "tarpit": Note(
        "The reply to RCPT waits, and then the rule's action holds. For who has hung up sooner "
        "than that the clause does not hold the next time. An hour at the most.",
        "racl whitelist tarpit 20s not domain example.net",
    ),
    "set": Note(
        "`+=` and `-=` count, and what is no number is 0. Its value lasts as long as the session.",
        "racl continue helo /^[0-9][0-9.]*$/ set $score+=2\nracl greylist $score >= 2 delay 1h",
    ),
    "rset": Note(
        "[`set`](clause.set.md) for one recipient.",
        'racl continue rcpt info@example.org rset $who="%r"\nracl greylist $who /info/ delay 1h',
    ),
    "body": Note(
        "A text is part of the message's text, and case counts. Nothing is decoded. How much is "
        "looked at says [`maxpeek`](statement.maxpeek.md).",
        'maxpeek 64k\ndacl blacklist body "cheap pills" msg "no, thank you"',
    ),
    "header": Note(
        "Each line of the header, as `Name: value`.",
        "maxpeek 64k\ndacl blacklist header /^Subject: .*invoice/",
    ),
    "msgsize": Note(
        "`k` is 1,024, `M` is 1,048,576.", 'dacl blacklist msgsize > 25M msg "too large"'
    ),
    "spamd": Note(
        "Alone: SpamAssassin says that it is spam. With a number: its score. It needs "
        "[`spamdsock`](statement.spamdsock.md), and never holds without it.",
        'spamdsock inet "127.0.0.1:783"\ndacl blacklist spamd > 15 msg "score %Hs"',
    ),
    "list": Note(
        "One that [`list`](statement.list.md) has defined; it counts as a clause of its kind.",
        'list "partners" addr { 192.0.2.0/24 198.51.100.0/24 }\nracl whitelist list "partners"',
    ),
    "$property": Note(
        "A text is all of the value, and case does not count; with an operator both are numbers. "
        "Properties come from [`set`](clause.set.md), [`rset`](clause.rset.md) and look-ups with "
        "`getprop`.",
        'urlcheck "prefs" "http://127.0.0.1:8080/grey?rcpt=%r" 5 getprop\n'
        'racl greylist urlcheck "prefs" $mode "strict" delay 1h',
    ),
    "*": Note(
        "Here the property's value is the pattern, with `*` and `?`, and the text, which has "
        "%-codes, must fit it.",
        'urlcheck "prefs" "http://127.0.0.1:8080/grey?rcpt=%r" 5 getprop\n'
        'racl whitelist * $friends "%f" urlcheck "prefs"',
    ),
}

_VALUES = {
    "delay": Note(
        "Another time than [`greylist`](statement.greylist.md) says. The rule that matches at "
        "the first try counts: a retry does not wait longer because the file has changed.",
        "racl greylist spf fail delay 4h",
    ),
    "autowhite": Note(
        "Another time than [`autowhite`](statement.autowhite.md) says.",
        "racl greylist from /^<>$/ autowhite 1d",
    ),
    "flushaddr": Note(
        "All records of the client's network (see `subnetmatch`) go when the rule decides. "
        "For addresses that only spammers know.",
        'racl blacklist rcpt trap@example.org flushaddr code "550" msg "no such user"',
    ),
    "nolog": Note("", "racl whitelist addr 192.0.2.9 nolog"),
    "code": Note(
        "Three digits that begin with 4 or 5. A deferral is 451 whatever a rule with 5.. says.",
        'racl blacklist rcpt trap@example.org code "550" ecode "5.1.1"',
    ),
    "ecode": Note(
        "RFC 3463. It fits the code: 4.x.x with 4.., 5.x.x with 5...",
        'racl blacklist rcpt trap@example.org code "550" ecode "5.1.1"',
    ),
    "msg": Note(
        "With [%-codes](README.md#codes). A text of strangers in it (`%h`, `%f`) cannot break out "
        "of the reply.",
        'racl greylist default msg "Please come back in %R (rule %a)"',
    ),
    "report": Note(
        "In the place of X-Greylist's usual text, with [%-codes](README.md#codes). What "
        "[`report`](statement.report.md) says still holds.",
        'racl greylist default report "Held %E at %V"',
    ),
    "addheader": Note(
        "`Name: value`, with [%-codes](README.md#codes). The number is its place, 0 the first; "
        "those of `racl` stand in front whatever it says. A rule may have several.",
        'racl "all" whitelist default addheader "X-Rule: %a"\n'
        'dacl "end" whitelist default addheader "X-Content: %a",0',
    ),
    "addfooter": Note(
        "At the end of the text, whatever the MIME type of the message is: it may break one of "
        "several parts, and breaks signatures.",
        'dacl whitelist rcpt lists@example.org addfooter "\\n-- \\nscanned\\n"',
    ),
    "subjtag": Note("", 'dacl whitelist rcpt lists@example.org subjtag "[ext] "'),
    "maxpeek": Note(
        "For mail that this rule lets in: see [`maxpeek`](statement.maxpeek.md).",
        'racl whitelist addr 192.0.2.0/24 maxpeek 0\ndacl blacklist body "cheap pills"',
    ),
    "tarpit_scope": Note(
        "For this rule, in the place of [`tarpit_scope`](statement.tarpit_scope.md).",
        "racl whitelist tarpit 20s tarpit_scope command",
    ),
}

STATEMENT_NOTES: Mapping[str, Note] = MappingProxyType(_STATEMENTS)
CLAUSE_NOTES: Mapping[str, Note] = MappingProxyType(_CLAUSES)
VALUE_NOTES: Mapping[str, Note] = MappingProxyType(_VALUES)
