"""The small program that supervises one instance and outlives deployd. Standard library only."""
