"""Drivers: what makes services run and infrastructure exist. One folder each; none imports another."""
