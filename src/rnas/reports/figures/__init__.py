"""Each figure, and the house style that they share."""
