"""The small program behind the local addresses; it outlives deployd. Standard library only."""
