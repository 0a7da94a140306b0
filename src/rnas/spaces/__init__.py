"""What may be built: the candidate operations, and the cell spaces made of them."""
