"""The peers with configuration languages of their own: the same sites, said in their words."""

import os

from servers import Server
from sites import host

APACHE_MODULES = "/usr/lib/apache2/modules"


class Lighttpd(Server):
    name = program = "lighttpd"
    lacks = {"upload", "variables", "version", "aliases"}

    def arguments(self, file):
        return ["-D", "-f", file]

    def configuration(self, site, port, folder, root):
        modules = {"mod_accesslog": site.log, "mod_deflate": site.gzip, "mod_redirect": site.redirect}
        modules |= {"mod_cgi": site.cgi}
        wanted = ", ".join(f'"{name}"' for name, used in modules.items() if used)
        lines = [
            f'server.document-root = "{root}"',
            f'server.bind = "127.0.0.1"\nserver.port = {port}',
            f"server.modules = ({wanted})",
            f'server.errorlog = "{folder}/error.log"',
            "server.max-fds = 20000\nserver.max-connections = 10000",
            "server.max-keep-alive-requests = 65535\nserver.max-keep-alive-idle = 120\nserver.max-read-idle = 120",
            'mimetype.assign = (".html" => "text/html", "" => "application/octet-stream")',
        ]
        if site.workers > 1:
            lines.append(f"server.max-worker = {site.workers}")
        if site.log:
            lines.append(f'accesslog.filename = "{folder}/access.log"')
        if site.gzip:
            lines.append('deflate.mimetypes = ("text/html")\ndeflate.allowed-encodings = ("gzip")')
            lines.append("deflate.compression-level = 1")
        if site.redirect:
            lines.append('url.redirect = ("^/old$" => "/new")')
        if site.cgi:
            lines.append('$HTTP["url"] =^ "/cgi/" { cgi.assign = ("" => "") }')
        lines += [f'$HTTP["url"] =^ "/p{n}/" {{ server.document-root = "{root}" }}' for n in range(site.prefixes)]
        lines += [
            rf'$HTTP["url"] =~ "^/r/.*\.x{n}$" {{ server.document-root = "{root}" }}' for n in range(site.patterns)
        ]
        lines += [f'$HTTP["host"] == "{host(n)}" {{ server.document-root = "{root}" }}' for n in range(site.hosts)]
        return "\n".join([*lines, ""])


class H2o(Server):
    name = program = "h2o"
    lacks = {"upload", "cgi", "patterns", "variables", "version", "aliases"}

    def arguments(self, file):
        return ["-m", "worker", "-c", file]

    def configuration(self, site, port, folder, root):
        lines = [
            "user: root" if os.geteuid() == 0 else "",
            f"error-log: {folder}/error.log",
            f"num-threads: {site.workers}",
            f"max-connections: {site.connections}\nhttp1-request-timeout: 120",
            f"access-log: {folder}/access.log" if site.log else "",
            "compress:\n  gzip: 1" if site.gzip else "",
            f"listen:\n  host: 127.0.0.1\n  port: {port}",
            "hosts:",
            *self._host("default", root),
        ]
        if site.redirect:
            lines.append('      "/old":\n        redirect:\n          status: 301\n          url: /new')
        lines += [f'      "/p{n}":\n        file.dir: {root}/p{n}' for n in range(site.prefixes)]
        for number in range(site.hosts):
            lines += [*self._host(host(number), root), *self._host(f"www.{host(number)}", root)]
        return "\n".join([*lines, ""])

    @staticmethod
    def _host(name, root):
        return [f'  "{name}":\n    paths:\n      "/":\n        file.dir: {root}']


class Apache(Server):
    name, program = "apache", "apache2"
    lacks = {"variables", "version", "aliases"}

    def arguments(self, file):
        return ["-d", file.parent, "-f", file, "-DFOREGROUND"]

    def configuration(self, site, port, folder, root):
        modules = {
            "mpm_event": True, "authz_core": True, "mime": True, "env": site.prefixes or site.patterns, "alias": True,
            "filter": site.gzip, "deflate": site.gzip, "dav": site.upload, "dav_fs": site.upload, "cgid": site.cgi,
        }
        lines = [
            f'ServerRoot "{folder}"\nServerName localhost\nPidFile {folder}/server.pid\nTypesConfig /dev/null',
            f"DefaultRuntimeDir {folder}\nMutex file:{folder} default\nErrorLog {folder}/error.log",
            *(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name, used in modules.items() if used),
            "User www-data\nGroup www-data" if os.geteuid() == 0 else "",
            f"ServerLimit {4 * site.workers}\nStartServers {site.workers}\nMaxRequestWorkers {96 * site.workers}",
            "ThreadLimit 96\nThreadsPerChild 96\nMinSpareThreads 1\nMaxSpareThreads 256",
            "MaxConnectionsPerChild 0\nAsyncRequestWorkerFactor 150",
            "KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 120\nEnableSendfile On",
            f"Listen 127.0.0.1:{port}\nAddType text/html .html",
            f'<Directory "/">\nAllowOverride None\nRequire all granted\n</Directory>\nDocumentRoot "{root}"',
            *self._features(site, folder, root),
        ]
        if site.hosts:
            names = ["localhost", *(f"{host(n)}\nServerAlias www.{host(n)}" for n in range(site.hosts))]
            lines += [
                f'<VirtualHost 127.0.0.1:{port}>\nServerName {name}\nDocumentRoot "{root}"\n</VirtualHost>'
                for name in names
            ]
        return "\n".join([*lines, ""])

    @staticmethod
    def _features(site, folder, root):
        if site.log:
            yield r'LogFormat "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" combined'
            yield f"BufferedLogs On\nCustomLog {folder}/access.log combined"
        if site.gzip:
            yield "DeflateCompressionLevel 1\nAddOutputFilterByType DEFLATE text/html"
        if site.redirect:
            yield "Redirect 301 /old /new"
        if site.upload:
            yield f'DAVLockDB {folder}/dav\nAlias "/up/" "{folder}/up/"\nLimitRequestBody 0'
            yield f'<Directory "{folder}/up/">\nDAV On\n</Directory>'
        if site.cgi:
            yield f'ScriptSock {folder}/cgid\nScriptAlias "/cgi/" "{root}/cgi/"'
        for number in range(site.prefixes):
            yield f'<Location "/p{number}/">\nSetEnv location p{number}\n</Location>'
        for number in range(site.patterns):
            yield rf'<LocationMatch "^/r/.*\.x{number}$">' f"\nSetEnv location r{number}\n</LocationMatch>"


class Caddy(Server):
    name = program = "caddy"
    lacks = {"upload", "cgi", "variables", "version", "aliases"}
    version_flag = "version"

    def arguments(self, file):
        return ["run", "--config", file, "--adapter", "caddyfile"]

    def environment(self, site, folder):
        return {"HOME": str(folder), "GOMAXPROCS": str(site.workers)}

    def configuration(self, site, port, folder, root):
        access = f"log {{\noutput file {folder}/access.log {{\nroll_disabled\n}}\n}}" if site.log else ""
        features = [
            "encode {\ngzip 1\n}" if site.gzip else "",
            "redir /old /new 301" if site.redirect else "",
            *(f"handle /p{n}/* {{\nroot * {root}\nfile_server\n}}" for n in range(site.prefixes)),
            *(
                f"@r{n} path_regexp ^/r/.*\\.x{n}$\nhandle @r{n} {{\nroot * {root}\nfile_server\n}}"
                for n in range(site.patterns)
            ),
            "handle {\nfile_server\n}",
        ]
        names = ["", *(f"http://{host(n)}:{port}, http://www.{host(n)}" for n in range(site.hosts))]
        blocks = [
            "\n".join(
                [f"{name or 'http://'}:{port} {{\nbind 127.0.0.1\nroot * {root}", access]
                + (["file_server"] if name else features)
                + ["}"]
            )
            for name in names
        ]
        options = f"{{\nadmin off\nauto_https off\nlog {{\noutput file {folder}/error.log\nlevel WARN\n}}\n}}"
        if site.log:
            options = options.replace("level WARN", "level INFO\nexclude http.log.access")
        return "\n".join([options, *blocks, ""])


PEERS = [Lighttpd, H2o, Apache, Caddy]
