"""The store: Postgres, embedded or given, and one typed function per query. asyncpg is imported only here."""
