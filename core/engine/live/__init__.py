"""Live and paper: the port a venue fills in, and the one execution client that stands before every port."""
