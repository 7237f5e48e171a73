"""The fault matrix: the real execution client, port and ledger against a fake venue, in virtual time."""
