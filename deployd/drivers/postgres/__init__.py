"""Databases on this host: one Postgres server for each world, one database and one role for each resource."""
