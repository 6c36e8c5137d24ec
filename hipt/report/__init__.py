"""The page: it draws what the tables hold."""
