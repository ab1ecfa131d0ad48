"""What deployd tells of itself while it works: counted, logged, traced. Standard library and model only.

It lies low, so that every room that works may count. Nothing here sends anything or knows who reads it:
`web` renders the instruments for Prometheus, `app` chooses the form of the log and where traces go.
"""
