"""GraphQL, the one API: one module for each aggregate with its types, queries, mutations, subscriptions."""
