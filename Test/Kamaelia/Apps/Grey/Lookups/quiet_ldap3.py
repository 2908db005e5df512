"""Imports ldap3, which uses names of pyasn1 that are deprecated: a warning is an error in tests."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3  # type: ignore[import-untyped]

__all__ = ["ldap3"]
