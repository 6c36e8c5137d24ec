"""Arrays to pictures, in memory."""
