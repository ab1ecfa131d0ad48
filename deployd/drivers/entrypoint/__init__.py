"""Local addresses: `http://NAME.localhost:PORT/` for every service of this host that speaks HTTP."""
