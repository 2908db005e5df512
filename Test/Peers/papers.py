"""
Certificates in files, as programs want them
============================================
All are signed by one authority, whose own certificate is in `ca`::

    papers = Papers(folder)
    papers.issue("mx", "mx.example.org")  # writes mx.pem, with the key in it
"""

from pathlib import Path

import trustme


class Papers:
    """Papers(folder) -> an authority, with its certificate in a file there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca))

    def path(self, name: str) -> Path:
        """Where the certificate of that name is, or will be."""
        return self._folder / f"{name}.pem"

    def issue(self, name: str, *hosts: str) -> str:
        """Write a certificate for these hosts, with its key before it; another one each time.
        Returns the certificate in PEM, as a client sees it."""
        made = self._authority.issue_cert(*hosts)
        new = self._folder / f"{name}.new"
        made.private_key_and_cert_chain_pem.write_to_path(str(new))
        new.replace(self.path(name))  # who reads it meanwhile has the old one, and all of it
        return made.cert_chain_pems[0].bytes().decode("ascii").strip()
