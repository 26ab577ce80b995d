"""Commands of `ar1`, one a file."""
