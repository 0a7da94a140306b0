"""The supernet of the NAS-Bench-201 space, and the derivation of its cells."""
