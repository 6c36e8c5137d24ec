"""Maps of slides: drawing, pyramids, tables."""
