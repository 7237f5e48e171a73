"""What commands show on a terminal: reports on stdout, progress on stderr."""
