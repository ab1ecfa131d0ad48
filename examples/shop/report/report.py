"""Says what was sold so far, and ends: a scheduled job."""

import os
from urllib.parse import unquote, urlsplit

import pg8000.native

url = urlsplit(os.environ["DATABASE_URL"])
database = pg8000.native.Connection(
    user=unquote(url.username or ""),
    password=unquote(url.password or ""),
    host=url.hostname or "",
    port=url.port or 5432,
    database=url.path.lstrip("/"),
)
sold = database.run("select product, count(*), sum(cents) from orders group by product order by product")
for product, count, cents in sold:
    print(f"{product}: {count} sold for {cents / 100:.2f}")
print(f"{sum(row[1] for row in sold)} orders in all")
