//! Access logs: what is noted of every request, and where (`log_format`, `access_log`).

mod format;
mod options;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use self::format::{Escape, Format, Formats};
use self::options::Options;
use crate::config::context::*;
use crate::config::{Contexts, Directive, Finish, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{Exchange, Location, Logger, Template};
use crate::files::Want;
use crate::log::access::AccessWriter;
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::log::named::NamedLogs;
use crate::log::syslog::{Parameters, Syslog};
use crate::net::address;
use crate::sys::errno::ENOTDIR;

/// Where requests are logged unless the configuration says otherwise.
const DEFAULT_PATH: &[u8] = b"logs/access.log";

/// Access logs.
pub struct AccessLog;

/// What is logged in one block, and where.
#[derive(Clone)]
pub struct Settings {
    /// Those of the whole configuration.
    formats: Rc<Formats>,
    /// `None` if nothing was said so far.
    logs: Option<Vec<Rc<Log>>>,
    off: bool,
    /// The files whose names hold variables (`open_log_file_cache`).
    named: Rc<NamedLogs>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            formats: Rc::default(),
            logs: None,
            off: false,
            named: Rc::new(NamedLogs::new(None)),
        }
    }
}

/// One `access_log`.
struct Log {
    target: Target,
    format: Rc<Format>,
    /// Only requests for which this is neither empty nor `0` are logged (`if=`).
    condition: Option<Template>,
}

enum Target {
    Writer(AccessWriter),
    /// A file whose name depends on the request.
    Named(Template),
}

impl Module for AccessLog {
    type Settings = Settings;
    const NAME: &'static str = "access log";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("log_format")
            .syntax("name [escape=default | json | none] string ...")
            .default("combined \"...\"")
            .contexts(HTTP)
            .at_least(2)
            .doc("Defines what the lines of an access log look like.")
            .repeat(|settings, d| {
                let format = log_format(d)?;
                match settings.formats.define(d.arg(0), format) {
                    true => Ok(()),
                    false => {
                        let name = d.lossy(0);
                        let message = format!("duplicate \"log_format\" name \"{name}\"");
                        Err(d.mistake(0, message))
                    }
                }
            }),
        directive("access_log")
            .syntax("off | path [format [buffer=size] [gzip[=level]] [flush=time] [if=condition]]")
            .default("logs/access.log combined")
            .contexts(HTTP_SERVER_LOCATION_IF | LIMIT_EXCEPT)
            .at_least(1)
            .doc("Logs requests to a file or to syslog; several may be given.")
            .append(
                |settings| (settings.logs, settings.off) = (None, false),
                |settings, d| access_log(settings, d),
            ),
        directive("open_log_file_cache")
            .syntax("max=N [inactive=time] [min_uses=N] [valid=time] | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .between(1, 4)
            .doc("Keeps log files whose names hold variables open.")
            .set(|settings, d| {
                settings.named = Rc::new(NamedLogs::new(options::file_cache(d)?));
                Ok(())
            }),
    ];

    fn finish(settings: &mut Rc<Settings>, block: &mut Finish<'_>) -> Outcome {
        let in_server = block.context() == Contexts(SERVER);
        if in_server && settings.logs.is_none() && !settings.off {
            let log = default_log(settings, block)?;
            Rc::make_mut(settings).logs = Some(vec![Rc::new(log)]);
        }
        Ok(())
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.off && settings.logs.is_some() {
            location.loggers.push(Rc::clone(settings) as Rc<dyn Logger>);
        }
    }
}

fn log_format(d: &Use<'_>) -> Result<Format, Mistake> {
    let escape = match d.parameter(1, "escape=") {
        None => None,
        Some(name) => Some(Escape::from_name(name).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            d.mistake(1, format!("unknown log format escaping \"{name}\""))
        })?),
    };
    let mut format = Format::new(escape.unwrap_or(Escape::Default));
    for i in 1 + usize::from(escape.is_some())..d.count() {
        let added = format.add(d.arg(i), |name| d.variable(i, name));
        added.map_err(|bad| d.mistake(i, bad.to_string()))?;
    }
    Ok(format)
}

fn access_log(settings: &mut Settings, d: &Use<'_>) -> Outcome {
    if d.arg(0) == b"off" {
        settings.off = true;
        return match d.count() {
            1 => Ok(()),
            _ => Err(d.invalid_parameter(1)),
        };
    }
    let name = if d.count() > 1 {
        d.arg(1)
    } else {
        Formats::DEFAULT
    };
    let format = settings.formats.find(name, |name| d.variable(0, name));
    let format = format.ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        d.mistake(1, format!("unknown log format \"{name}\""))
    })?;
    let options = Options::parse(d)?;
    let log = Log {
        target: target(d, &options)?,
        format,
        condition: options.condition,
    };
    settings.logs.get_or_insert_default().push(Rc::new(log));
    Ok(())
}

fn target(d: &Use<'_>, options: &Options) -> Result<Target, Mistake> {
    let buffered = options.buffering.is_some();
    if let Some(parameters) = d.parameter(0, "syslog:") {
        if buffered {
            return Err(d.mistake(0, "logs to syslog cannot be buffered"));
        }
        let parameters = String::from_utf8_lossy(parameters);
        let parsed = Parameters::parse(&parameters, address::syslog_server);
        let syslog = Syslog::new(parsed.map_err(|fault| d.mistake(0, fault))?);
        return Ok(Target::Writer(AccessWriter::Syslog(syslog)));
    }
    let path = d.prefix_path(0);
    if d.arg(0).contains(&b'$') {
        if buffered {
            return Err(d.mistake(0, "buffered logs cannot have variables in name"));
        }
        let name = d.template_of(0, path.as_os_str().as_bytes())?;
        return Ok(Target::Named(name));
    }
    let writer = d.logs().access(&path, options.buffering);
    writer.map(Target::Writer).map_err(|_| {
        let path = d.lossy(0);
        let message = format!("access_log \"{path}\" already defined with conflicting parameters");
        d.mistake(0, message)
    })
}

/// The log of a server for which nothing was said.
fn default_log(settings: &Settings, block: &Finish<'_>) -> Result<Log, Mistake> {
    let path = block.resolve_prefix(DEFAULT_PATH);
    let writer = block.logs().access(&path, None);
    let format = settings
        .formats
        .find(Formats::DEFAULT, |name| block.variable(name));
    match (writer, format) {
        (Ok(writer), Some(format)) => Ok(Log {
            target: Target::Writer(writer),
            format,
            condition: None,
        }),
        _ => Err(block.mistake("the default access_log cannot be used")),
    }
}

impl Logger for Settings {
    fn log(&self, exchange: &Exchange) {
        for log in self.logs.iter().flatten() {
            if log.wants(exchange) {
                log.write(exchange, &self.named);
            }
        }
    }
}

impl Log {
    fn wants(&self, exchange: &Exchange) -> bool {
        let condition = self.condition.as_ref();
        condition.is_none_or(|condition| !matches!(&*condition.expand(exchange), b"" | b"0"))
    }

    fn write(&self, exchange: &Exchange, named: &NamedLogs) {
        let append = |line: &mut Vec<u8>| {
            self.format.write(exchange, line);
            line.push(b'\n');
        };
        match &self.target {
            Target::Writer(writer) => writer.write_with(append),
            Target::Named(name) if has_root(exchange) => {
                let mut line = Vec::new();
                append(&mut line);
                named.append(Path::new(OsStr::from_bytes(&name.expand(exchange))), &line);
            }
            Target::Named(_) => {}
        }
    }
}

/// Whether the request's root is a folder. Without this, whoever asks for unknown hosts could fill
/// the disk with log files that are named after them.
fn has_root(exchange: &Exchange) -> bool {
    if exchange.map_path().is_err() {
        return false;
    }
    let root = exchange.document_root();
    let errno = match exchange.look_up(&root, Want::Info) {
        Ok(found) if found.stat.is_dir() => return true,
        Ok(_) => ENOTDIR,
        Err(error) => error.errno,
    };
    let (root, error) = (
        String::from_utf8_lossy(&root),
        std::io::Error::from_raw_os_error(errno),
    );
    exchange.log(
        Level::Error,
        format_args!("testing \"{root}\" existence failed {}", Errno(&error)),
    );
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Block;
    use crate::modules::fixture::{found_in_http, found_in_server, in_http, in_server};
    use crate::modules::tests::trial::Site;

    /// What a block logs: where to, with which buffer, and whether there is a condition.
    fn logs(block: &Block) -> Vec<String> {
        let settings = block.settings::<AccessLog>();
        let shown = settings.logs.iter().flatten().map(|log| {
            let target = match &log.target {
                Target::Writer(AccessWriter::File(file)) => {
                    file.file().path().display().to_string()
                }
                Target::Writer(AccessWriter::Syslog(_)) => "syslog".to_owned(),
                Target::Named(_) => "named".to_owned(),
            };
            let condition = if log.condition.is_some() { " if" } else { "" };
            format!("{target}{condition}")
        });
        match settings.off {
            true => vec!["off".to_owned()],
            false => shown.collect(),
        }
    }

    #[test]
    fn a_server_logs_to_the_default_file() {
        in_server("", |server| {
            assert_eq!(logs(server), ["/srv/logs/access.log"]);
        });
    }

    #[test]
    fn a_block_replaces_what_it_inherits() {
        for (server, expected) in [
            ("", &["/srv/a"][..]),
            (
                "access_log b; access_log /c combined if=$arg_x;",
                &["/srv/b", "/c if"],
            ),
            ("access_log off;", &["off"]),
            ("access_log off; access_log b;", &["off"]),
            ("access_log syslog:server=127.0.0.1;", &["syslog"]),
            ("access_log $host.log;", &["named"]),
        ] {
            in_http(&format!("access_log a; server {{ {server} }}"), |http| {
                let server = http.within(SERVER).next();
                assert_eq!(server.map(logs).unwrap(), expected);
            });
        }
    }

    #[test]
    fn off_is_inherited() {
        in_http("access_log off; server { }", |http| {
            assert_eq!(http.within(SERVER).next().map(logs).unwrap(), ["off"]);
        });
    }

    #[test]
    fn mistakes_in_logs_are_told_in_nginxs_words() {
        for (text, expected) in [
            ("access_log off x;", "invalid parameter \"x\""),
            ("access_log a x;", "unknown log format \"x\""),
            ("access_log a combined x;", "invalid parameter \"x\""),
            (
                "access_log a combined buffer=0;",
                "invalid buffer size \"0\"",
            ),
            (
                "access_log a combined buffer=1k flush=0;",
                "invalid flush time \"0\"",
            ),
            (
                "access_log a combined gzip=10;",
                "invalid compression level \"10\"",
            ),
            (
                "access_log a combined gzips;",
                "invalid parameter \"gzips\"",
            ),
            (
                "access_log a combined flush=1m;",
                "no buffer is defined for access_log \"a\"",
            ),
            (
                "access_log $host combined buffer=1k;",
                "buffered logs cannot have variables in name",
            ),
            (
                "access_log syslog:server=127.0.0.1 combined gzip;",
                "logs to syslog cannot be buffered",
            ),
            (
                "access_log a combined buffer=1k; access_log a combined buffer=2k;",
                "access_log \"a\" already defined with conflicting parameters",
            ),
            ("access_log syslog:tag=x;", "no syslog server specified"),
            (
                "open_log_file_cache inactive=1;",
                "\"open_log_file_cache\" must have \"max\" parameter",
            ),
            (
                "open_log_file_cache max=1 x=1;",
                "invalid \"open_log_file_cache\" parameter \"x=1\"",
            ),
        ] {
            assert_eq!(found_in_server(text), [expected], "{text}");
        }
    }

    #[test]
    fn shared_buffers_and_caches_are_accepted() {
        for text in [
            "access_log a combined buffer=1k flush=1m; access_log a combined buffer=1k flush=1m;",
            "access_log a combined gzip=9; access_log a;",
            "open_log_file_cache max=10 inactive=1m valid=1y min_uses=2;",
            "open_log_file_cache off;",
        ] {
            assert_eq!(found_in_server(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn mistakes_in_formats_are_told_in_nginxs_words() {
        for (text, expected) in [
            (
                "log_format combined x;",
                "duplicate \"log_format\" name \"combined\"",
            ),
            (
                "log_format a x; log_format a x;",
                "duplicate \"log_format\" name \"a\"",
            ),
            (
                "log_format a escape=x y;",
                "unknown log format escaping \"x\"",
            ),
            ("log_format a b $;", "invalid parameter \"$\""),
            ("log_format a $nothing;", "unknown \"nothing\" variable"),
        ] {
            assert_eq!(found_in_http(text), [expected], "{text}");
        }
    }

    #[test]
    fn lines_are_written() {
        let site = Site::with_http(
            "log_format short '$uri $status $arg_x' ':$http_none';
             log_format json escape=json '{\"x\": \"$arg_x\", \"none\": \"$http_none\"}';
             log_format empty '';",
            "access_log FOLDER/short short if=$arg_x;
             access_log FOLDER/json json;
             access_log FOLDER/empty empty;
             location /off { access_log off; return 200; }
             location / { return 403; }",
        );
        for target in ["/a?x=\"1", "/b?x=0", "/c", "/off?x=1"] {
            site.visit(target, &[]);
        }
        let written = |name: &str| std::fs::read_to_string(site.path(name)).unwrap();
        assert_eq!(written("short"), "/a 403 \\x221:-\n");
        let json = ["\\\"1", "0", ""].map(|x| format!("{{\"x\": \"{x}\", \"none\": \"\"}}\n"));
        assert_eq!(written("json"), json.concat());
        assert_eq!(written("empty"), "\n\n\n");
    }

    #[test]
    fn the_default_format_is_the_combined_one() {
        let site = Site::new("access_log FOLDER/a; return 200;");
        site.visit("/x?y", &["Referer: r\"", "Authorization: Basic dTpw"]);
        let line = std::fs::read_to_string(site.path("a")).unwrap();
        let (before, after) = line.split_once(" [").unwrap();
        assert_eq!(before, "127.0.0.1 - u");
        let (_, after) = after.split_once("] ").unwrap();
        assert_eq!(after, "\"GET /x?y HTTP/1.1\" 200 0 \"r\\x22\" \"-\"\n");
    }

    #[test]
    fn files_are_named_by_requests_whose_root_exists() {
        let site = Site::with_http(
            "log_format x x;",
            "access_log FOLDER/$arg_log x;
             location /a { return 200; }
             location /b { root FOLDER/none; return 200; }
             location /c { open_log_file_cache max=1; return 200; }",
        );
        site.visit("/a?log=1", &[]);
        site.visit("/b?log=2", &[]);
        site.visit("/c?log=3", &[]);
        assert!(site.path("1").exists() && site.path("3").exists());
        assert!(!site.path("2").exists());
        assert!(
            site.log()
                .contains("existence failed (2: No such file or directory)")
        );
    }
}
