"""A run directory: what was asked for, on what, how it went, what came out, and where to go on."""
