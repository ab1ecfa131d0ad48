"""Who is measured, deployd included, each in a process of its own.

`python -m bench.peers.NAME DSN MACHINES` drives so many machines through eight durable steps in an empty
database, checks the outcome, and prints {"seconds": …}: from the first enqueue to the last completion,
after an untimed warm-up of WARM_UP machines. `python -m bench.peers.NAME DSN` connects, prints
{"ready": true} and waits for work that never comes, until its standard input ends.

honcho, supervisor, watchfiles and nginx are others' programs: their modules here write the configuration
that each is given, and say by which command line it is started.
"""
