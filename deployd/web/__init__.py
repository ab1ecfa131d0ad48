"""The HTTP surface: GraphQL over HTTP and websockets, health, and what guards them."""
