"""`deploy:process`: services as supervised processes of this machine, in the source tree as it lies."""
