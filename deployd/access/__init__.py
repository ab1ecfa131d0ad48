"""Access: who calls, and the one policy that says what they may."""
