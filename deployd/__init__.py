"""deployd: a server that deploys services and manages the infrastructure they need."""

__version__ = "0.1.0"
