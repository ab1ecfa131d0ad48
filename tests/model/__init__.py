"""The engine's protocol, explored exhaustively: the real SQL and the real `Holding`, every interleaving."""
