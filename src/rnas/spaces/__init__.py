"""The candidate operations, and the cell spaces made of them."""
