"""A Postgres server made from a wheel's binaries: whose database it is, its makers know.

account.py     whom it runs as, and what its children inherit
engine.py      the programs, where that user can reach them
cluster.py     a home, and the data directory in it
leftover.py    processes and files of a server that was killed
serving.py     its command line, socket folder and log
"""
