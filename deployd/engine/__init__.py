"""The engine: claims due machines, acts, and commits what came of it."""
