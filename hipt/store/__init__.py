"""Files that are whole or absent, provenance, schemas, Arrow tables, pictures on disk."""
