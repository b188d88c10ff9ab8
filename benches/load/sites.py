"""What a row asks of a server: the files, and the configuration, which nginx and ours read as one file."""

import os
import random
from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20
MODIFIED = 1_700_000_000
MODIFIED_DATE = "Tue, 14 Nov 2023 22:13:20 GMT"

# nginx as Debian's package configures it, and with the two settings that suit it best here; ours likewise.
SETTINGS = {
    "": "sendfile on; tcp_nopush on;",
    "cache": "sendfile on; tcp_nopush on; open_file_cache max=20000 inactive=60s; open_file_cache_valid 30s;",
    "best": "sendfile off; open_file_cache max=20000 inactive=60s; open_file_cache_valid 30s;",
}


@dataclass(frozen=True)
class Site:
    """What the configuration has beyond a folder of files; every server writes it in its own language."""

    workers: int = 1
    connections: int = 1024  # that a worker must be able to hold
    log: bool = False  # a combined access log, buffered where the server can
    gzip: bool = False  # level 1
    redirect: bool = False  # /old leads to /new
    upload: bool = False  # PUT below /up/
    cgi: bool = False  # programs below /cgi/
    hosts: int = 0  # sites beside the default one, each with two names
    prefixes: int = 0  # locations /pN/, each a folder
    aliases: int = 0  # the same, but all lead to one folder, so that only finding them differs
    patterns: int = 0  # locations ~ ^/r/.*\.xN$
    variables: int = 0  # maps, and as many `set`s that evaluate them
    version: int = 0  # what /version answers, to see a reload
    pipelined: bool = False  # tcp_nopush off: with it, nginx delays each batch by 40 ms


def named(server, setting):
    """What a server is called that runs with a setting."""
    return f"{server}:{setting}" if setting else server


def host(number):
    """The first name of a site."""
    return f"v{number}.example.com"


def text(size):
    """HTML that compresses about as prose does: words by Zipf's law, the same in every run."""
    draw = random.Random(1)
    words = ["".join(draw.choices("etaoinshrdlucmfwyp", k=draw.randint(2, 10))) for _ in range(3000)]
    lines, length = [], 0
    while length < size:
        chosen = (words[min(2999, int(draw.paretovariate(0.8)))] for _ in range(12))
        lines.append(f"<p>{' '.join(chosen)}.</p>\n")
        length += len(lines[-1])
    return "".join(lines)[:size].encode()


def write_files(root, prefixes, patterns, sizes=()):
    """Fills the document root with what the rows ask for; files of `sizes` are named SIZE.bin."""
    noise = random.Random(2).randbytes(MIB)
    contents = {"1k.html": text(KIB), "100k.html": noise[: 100 * KIB], "text.html": text(100 * KIB)}
    contents |= {f"p{number}/1k.html": contents["1k.html"] for number in range(prefixes)}
    contents |= {f"r/f.x{number}": contents["1k.html"] for number in range(patterns)}
    for name, content in contents.items():
        write(root / name, content)
    for size in {10 * MIB, *sizes}:
        write(root / f"{size}.bin", (noise * (size // MIB + 1))[:size])


def write(path, content):
    """A file of a known age that any user may read, as may the folders on the way."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    path.write_bytes(content)
    os.utime(path, (MODIFIED, MODIFIED))


def nginx_conf(site, port, folder, root, setting=""):
    """The file that nginx and ours are both started with."""
    tuning = SETTINGS[setting]
    if site.pipelined:
        tuning = tuning.replace("tcp_nopush on;", "")
    main = [
        f"worker_processes {site.workers};",
        "user root;" if os.geteuid() == 0 else "",
        f"pid {folder}/server.pid;",
        f"error_log {folder}/error.log;",
        f"events {{ worker_connections {site.connections}; }}",
    ]
    http = [
        "types { text/html html; text/plain txt; }",
        "default_type application/octet-stream;",
        tuning,
        "keepalive_timeout 120s; keepalive_requests 1000000000; log_not_found off;",
        f"access_log {folder}/access.log combined buffer=64k;" if site.log else "access_log off;",
        "gzip on; gzip_comp_level 1;" if site.gzip else "",
        "server_names_hash_max_size 32768; server_names_hash_bucket_size 128;" if site.hosts else "",
        *_maps(site.variables),
    ]
    default = _server(site, port, folder, root, "localhost", _locations(site, folder, root))
    others = [_server(site, port, folder, root, f"{host(n)} www.{host(n)}", []) for n in range(site.hosts)]
    return "\n".join([*main, "http {", *http, default, *others, "}", ""])


def _server(site, port, folder, root, names, locations):
    sets = [f"set $s{n} $m{n};" for n in range(site.variables)]
    return "\n".join(
        ["server {", f"listen 127.0.0.1:{port}; server_name {names}; root {root};", *sets, *locations, "}"]
    )


def _maps(count):
    keys = ["$uri", "$host", "$http_user_agent", "$request_method", "$args"]
    for number in range(count):
        entries = " ".join(f"value{entry} {entry};" for entry in range(20))
        yield f"map {keys[number % len(keys)]} $m{number} {{ default none; {entries} ~^/p[0-9]+x/ pattern; }}"


def _locations(site, folder, root):
    optional = {
        f"location = /version {{ return 200 {site.version}; }}": site.version,
        "location = /old { return 301 /new; }": site.redirect,
        f"location /up/ {{ root {folder}; client_body_temp_path {folder}/temp; dav_methods PUT;"
        " client_max_body_size 0; }": site.upload,
        f"location /cgi/ {{ root {root}; cgi on; }}": site.cgi,
    }
    lines = [line for line, wanted in optional.items() if wanted]
    lines += [f"location /p{n}/ {{ root {root}; }}" for n in range(site.prefixes)]
    lines += [f"location /p{n}/ {{ alias {root}/; }}" for n in range(site.aliases)]
    lines += [rf"location ~ ^/r/.*\.x{n}$ {{ root {root}; }}" for n in range(site.patterns)]
    return lines
