"""The files that stages exchange: schema tables, atomic writes, provenance. Knows nothing of how they are made."""
