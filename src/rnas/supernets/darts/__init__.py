"""The supernet of the DARTS space, as published and fused, and the derivation of its cells."""
