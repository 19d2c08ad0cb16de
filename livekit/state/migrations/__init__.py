"""The schema's history: an Alembic environment that runs on the caller's connection."""
