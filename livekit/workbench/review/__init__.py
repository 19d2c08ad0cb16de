"""The review of a plan: the board as values, the hand to the books, and what was done already."""
