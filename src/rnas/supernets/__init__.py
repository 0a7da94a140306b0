"""A space made differentiable: networks whose forward pass takes the architecture parameters alpha."""
