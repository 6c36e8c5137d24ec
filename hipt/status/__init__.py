"""How far a run is, from its files alone: nothing is locked, asked for, or written."""
