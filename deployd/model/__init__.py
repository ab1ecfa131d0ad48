"""The words of the house as frozen dataclasses, enums and small protocols. Standard library only."""
