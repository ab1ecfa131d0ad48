"""The command line: a client of the server's GraphQL API, one module for each group of verbs."""
