"""Every kind of thing the mirror knows."""
