"""
Look-ups: answers to the questions of the access rules
======================================================
A rule cannot wait, so it gives a Question (Core.Access.Questions); here is who finds the answer::

    LookupService     remembers answers, asks each question once, gives up in time
    DnsLookups, Spf   what the DNS knows: names of clients, lists, mail servers, SPF
    BigSenders        the networks of the big senders, kept up to date from their SPF records

Other kinds of questions have a module each; `LookupService.Handler` is what such a module gives.
"""
