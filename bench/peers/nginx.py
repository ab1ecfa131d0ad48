"""nginx of the distribution, with one worker: as a service that answers at once, and as a proxy before it.

As a proxy it speaks HTTP/1.1 to the service, either with a connection for each request (what deployd's
entrypoint does, by intent) or with connections that it keeps (`upstream … keepalive`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["proxy", "service"]

BODY = "The answer of a service that does not have to think about it."
COMMON = """\
daemon off;
worker_processes 1;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{inner}}}
"""
SERVICE = """\
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    default_type text/plain;
    location / {{ return 200 "{body}"; }}
  }}
"""
PROXY = """\
  upstream service {{ server 127.0.0.1:{target};{keeping} }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Connection {connection};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
"""
START = """\
#!/bin/bash
# nginx takes no variables: the port is put in once it is known.
sed -e "s|@PORT@|$PORT|" service.conf > {place}/nginx.conf
exec {nginx} -p {place} -e stderr -c {place}/nginx.conf
"""


def service(folder: Path, place: Path) -> str:
    """Writes it into a folder; by which command it is started there, with its port in PORT.

    `place` is made for what it writes itself, as whatever user.
    """
    place.mkdir()
    place.chmod(0o1777)
    inner = SERVICE.format(port="@PORT@", body=BODY)
    (folder / "service.conf").write_text(COMMON.format(folder=place, inner=inner))
    (folder / "start").write_text(START.format(nginx=shutil.which("nginx"), place=place))
    return "bash start"


def proxy(folder: Path, port: int, target: int, *, keep: bool) -> list[str]:
    """Writes a proxy into a folder, and how it is started there; `keep`: connections to the service."""
    inner = PROXY.format(
        port=port,
        target=target,
        keeping=" keepalive 128;" if keep else "",
        connection='""' if keep else "close",
    )
    (folder / "nginx.conf").write_text(COMMON.format(folder=folder, inner=inner))
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
