"""What was said and done once, kept in a file and played again: a cassette, and what it is made of."""
