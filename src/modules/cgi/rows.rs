//! The directives: those of nginx's CGI module, and more named after `fastcgi_*`.

use std::rc::Rc;
use std::time::Duration;

use super::process::User;
use super::queue::Queue;
use super::rdns::Rdns;
use super::settings::{Mode, Settings, Stderr};
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Mistake, Outcome, Use, directive, units};
use crate::exchange::Template;
use crate::http::Text;
use crate::log::level::Level;
use crate::sys::process::{self, Account, Resource};

/// Room for what more workers count than there ever are.
const QUEUE_SIZE: &str = "32k";

type Row = Directive<Settings>;

const fn row(name: &'static str) -> Row {
    directive(name).contexts(HTTP_SERVER_LOCATION)
}

const fn flag(name: &'static str, default: &'static str) -> Row {
    row(name).syntax("on | off").default(default).flag()
}

const fn time(name: &'static str, default: &'static str) -> Row {
    row(name).syntax("time").default(default)
}

/// Which program runs, and how.
pub const PROGRAM: &[Row] = &[
    row("cgi")
        .syntax("on | off | pass script [argument ...]")
        .default("off")
        .at_least(1)
        .doc("Answers with the script the URI leads to (on), or with this one (pass).")
        .set(|s, d| {
            s.mode = mode(d)?;
            Ok(())
        }),
    row("cgi_pass")
        .syntax("script [argument ...]")
        .at_least(1)
        .doc("Answers with this script: another way to write \"cgi pass\".")
        .set(|s, d| {
            s.mode = Mode::Pass(templates(d, 0)?);
            Ok(())
        }),
    row("cgi_interpreter")
        .syntax("[program [argument ...]]")
        .at_least(0)
        .doc("Has this program run scripts, which are then its last arguments.")
        .set(|s, d| {
            s.interpreter = templates(d, 0)?;
            Ok(())
        }),
    row("cgi_working_dir")
        .syntax("folder")
        .doc("Names the folder scripts run in; without it each runs in its own, with \"\" in the server's.")
        .set(|s, d| {
            s.working_dir = Some(d.template(0)?);
            Ok(())
        }),
    row("cgi_x_only")
        .syntax("on | off")
        .flag()
        .doc("Refuses scripts without an execute bit; unless set, it does so where there is no interpreter.")
        .set(|s, d| {
            s.x_only = Some(d.flag()?);
            Ok(())
        }),
    row("cgi_index")
        .syntax("name")
        .doc("Names the script that answers for its folder.")
        .set(|s, d| {
            s.index = Some(d.template(0)?);
            Ok(())
        }),
    row("cgi_split_path_info")
        .syntax("regex")
        .doc("Splits the URI into script ($1) and path info ($2), instead of looking for the script.")
        .set(|s, d| {
            let pattern = d.pattern(0, false)?;
            // The whole match counts as one.
            if pattern.groups() != 3 {
                return Err(d.mistake(0, format!("pattern \"{}\" must have 2 captures", d.lossy(0))));
            }
            s.split_path_info = Some(pattern);
            Ok(())
        }),
    row("cgi_path")
        .syntax("path")
        .default("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .doc("Sets PATH for scripts.")
        .set(|s, d| {
            s.path = d.arg(0).into();
            Ok(())
        }),
    row("cgi_set_var")
        .syntax("name value")
        .takes(2)
        .doc("Sets a variable of the scripts' environment.")
        .append(|s| s.set_var.clear(), set_var),
    row("cgi_rdns")
        .syntax("off | on | double [required]")
        .default("off")
        .between(1, 2)
        .doc("Looks up the client's name for REMOTE_HOST, and whether it leads back (double); required refuses clients without one.")
        .set(|s, d| {
            s.rdns = rdns(d)?;
            Ok(())
        }),
    row("cgi_stderr")
        .syntax("off | info | warn | error | crit | alert | emerg | stderr | file path")
        .default("warn")
        .between(1, 2)
        .doc("Says where scripts' standard error goes: nowhere, to the error log, to the server's own, to a file.")
        .set(|s, d| {
            s.stderr = stderr(d)?;
            Ok(())
        }),
];

/// Requests and responses.
pub const STREAMS: &[Row] = &[
    flag("cgi_strict", "on")
        .doc("Answers 500 if a script's header has a line that is none; off passes on what can be.")
        .set(|s, d| d.flag().map(|on| s.strict = on)),
    flag("cgi_body_only", "off")
        .doc("Takes all that scripts say as the body, not looking for a header.")
        .set(|s, d| d.flag().map(|on| s.body_only = on)),
    flag("cgi_request_buffering", "on")
        .doc("Reads a request's body before the script starts, so that its length is known.")
        .set(|s, d| d.flag().map(|on| s.request_buffering = on)),
    flag("cgi_buffering", "on")
        .doc("Gathers what scripts say for a moment, so that short answers go out at once and with their length.")
        .set(|s, d| d.flag().map(|on| s.buffering = on)),
    row("cgi_buffer_size")
        .syntax("size")
        .default("8k")
        .doc("Sets how long the header of a script's answer may be.")
        .set(|s, d| size(d).map(|size| s.buffer_size = size)),
    row("cgi_buffers")
        .syntax("number size")
        .default("8 8k")
        .takes(2)
        .doc("Sets how much of a script's answer is gathered, and held in memory, at most.")
        .set(|s, d| {
            let (number, size) = d.buffers(0)?;
            s.buffers = usize::try_from(number.saturating_mul(size)).unwrap_or(usize::MAX);
            Ok(())
        }),
    flag("cgi_intercept_errors", "off")
        .doc("Answers with the error_page of a script's status, from 300 on, if there is one.")
        .set(|s, d| d.flag().map(|on| s.intercept_errors = on)),
    row("cgi_pass_header")
        .syntax("field")
        .doc("Passes a header field on that clients would otherwise not get.")
        .append(|s| s.pass_header.clear(), |s, d| {
            s.pass_header.push(Text::Owned(d.arg(0).to_vec()));
            Ok(())
        }),
    row("cgi_hide_header")
        .syntax("field")
        .doc("Does not pass a header field on to clients.")
        .append(|s| s.hide_header.clear(), |s, d| {
            s.hide_header.push(Text::Owned(d.arg(0).to_vec()));
            Ok(())
        }),
];

/// How long, how many, how much.
pub const LIMITS: &[Row] = &[
    time("cgi_read_timeout", "60s")
        .doc("Ends a script that says nothing for so long; 504 if it has not answered yet.")
        .set(|s, d| d.duration(0).map(|time| s.read_timeout = time)),
    time("cgi_send_timeout", "60s")
        .doc("Ends a script that takes nothing of the body for so long before it answers; 504.")
        .set(|s, d| d.duration(0).map(|time| s.send_timeout = time)),
    row("cgi_timeout")
        .syntax("term [kill]")
        .default("0 0")
        .between(1, 2)
        .doc("Sends TERM to a script that runs for so long, and KILL after a second time; 0 is never.")
        .set(|s, d| {
            let kill = if d.count() > 1 { d.duration(1)? } else { Duration::ZERO };
            s.timeout = (d.duration(0)?, kill);
            Ok(())
        }),
    flag("cgi_ignore_client_abort", "off")
        .doc("Lets a script go on when its client has left, until it has answered.")
        .set(|s, d| d.flag().map(|on| s.ignore_client_abort = on)),
    row("cgi_max_processes")
        .syntax("number [queue=number] [timeout=time]")
        .default("256 queue=1024 timeout=60s")
        .between(1, 3)
        .doc("Limits how many scripts run at a time (0: no limit), how many requests wait for one to end, and how long; 503. It counts for all workers together, without the directive for each.")
        .set(|s, d| {
            s.queue = Rc::new(queue(d)?);
            Ok(())
        }),
    row("cgi_user")
        .syntax("user [group]")
        .between(1, 2)
        .doc("Names the user scripts run as, and the group; it takes a master process that is root.")
        .set(user),
    row("cgi_rlimit_cpu")
        .syntax("time")
        .doc("Limits a process's seconds of processor time.")
        .set(|s, d| d.time_secs(0).map(|most| s.limit(Resource::CpuTime, most))),
    row("cgi_rlimit_memory")
        .syntax("size")
        .doc("Limits a process's address space.")
        .set(|s, d| d.offset(0).map(|most| s.limit(Resource::Memory, most))),
    row("cgi_rlimit_nofile")
        .syntax("number")
        .doc("Limits a process's open files.")
        .set(|s, d| d.number(0).map(|most| s.limit(Resource::OpenFiles, most))),
    row("cgi_rlimit_nproc")
        .syntax("number")
        .doc("Limits how many processes the user may have whom scripts run as.")
        .set(|s, d| d.number(0).map(|most| s.limit(Resource::Processes, most))),
];

fn mode(d: &Use<'_>) -> Result<Mode, Mistake> {
    let word = d.arg(0).to_ascii_lowercase();
    match (word.as_slice(), d.count()) {
        (b"on", 1) => Ok(Mode::Locate),
        (b"off", 1) => Ok(Mode::Off),
        (b"pass", 2..) => Ok(Mode::Pass(templates(d, 1)?)),
        (b"pass", _) => Err(d.complaint(0, "has no script to pass to")),
        (b"on" | b"off", _) => Err(d.invalid_parameter(1)),
        _ => Err(d.invalid_parameter(0)),
    }
}

fn templates(d: &Use<'_>, from: usize) -> Result<Rc<[Template]>, Mistake> {
    (from..d.count()).map(|i| d.template(i)).collect()
}

fn size(d: &Use<'_>) -> Result<usize, Mistake> {
    match usize::try_from(d.size(0)?) {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(d.complaint(0, "invalid value")),
    }
}

fn set_var(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let name = d.text(0)?;
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.bytes().next().is_some_and(starts) || !name.bytes().all(goes_on) {
        return Err(d.mistake(0, format!("invalid variable name \"{name}\"")));
    }
    let value = d.template(1)?;
    settings.set_var.push((name.into(), value));
    Ok(())
}

fn rdns(d: &Use<'_>) -> Result<Rdns, Mistake> {
    let words = [
        ("off", (false, false)),
        ("on", (true, false)),
        ("double", (true, true)),
    ];
    let (on, double) = d.one_of(0, &words)?;
    let required = d.count() > 1;
    if required && !(on && d.arg(1).eq_ignore_ascii_case(b"required")) {
        return Err(d.invalid_parameter(1));
    }
    Ok(Rdns {
        on,
        double,
        required,
    })
}

fn stderr(d: &Use<'_>) -> Result<Stderr, Mistake> {
    let word = d.arg(0).to_ascii_lowercase();
    match (word.as_slice(), d.count()) {
        (b"file", 2) => Ok(Stderr::File(d.logs().file(&d.prefix_path(1)))),
        (b"file", _) => Err(d.complaint(0, "has no path")),
        (_, 2) => Err(d.invalid_parameter(1)),
        (b"off", _) => Ok(Stderr::Off),
        (b"stderr", _) => Ok(Stderr::Inherit),
        (level @ (b"info" | b"warn" | b"error" | b"crit" | b"alert" | b"emerg"), _) => {
            Ok(Stderr::Log(Level::from_name(level).unwrap_or(Level::Warn)))
        }
        _ => Err(d.invalid_parameter(0)),
    }
}

fn user(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    if process::effective_uid() != 0 {
        d.warn(
            0,
            "the \"cgi_user\" directive makes sense only if the master process runs \
             with super-user privileges, ignored",
        );
        return Ok(());
    }
    let name = d.text(0)?;
    let unknown = |i: usize, what: &str| d.mistake(i, format!("unknown {what} \"{}\"", d.lossy(i)));
    let found = process::user(name).ok().flatten();
    let user = found.ok_or_else(|| unknown(0, "user"))?;
    let gid = match d.count() {
        1 => user.gid,
        _ => {
            let found = process::group(d.text(1)?).ok().flatten();
            found.ok_or_else(|| unknown(1, "group"))?
        }
    };
    if user.uid == 0 || gid == 0 {
        return Err(d.mistake(0, "scripts cannot run as root"));
    }
    let groups = process::groups(name, gid).map_err(|error| d.mistake(0, error.to_string()))?;
    let starter = Rc::clone(&settings.starter);
    let account = starter.allow(Account {
        uid: user.uid,
        gid,
        groups,
    });
    settings.user = Some(User { starter, account });
    Ok(())
}

fn queue(d: &Use<'_>) -> Result<Queue, Mistake> {
    let count = |text: &[u8]| units::number(text).and_then(|n| usize::try_from(n).ok());
    let most = usize::try_from(d.number(0)?).unwrap_or(usize::MAX);
    let (mut length, mut patience) = (1024, Duration::from_secs(60));
    for i in 1..d.count() {
        let understood = match d.key_value(i) {
            Some((b"queue", value)) => count(value).map(|value| length = value),
            Some((b"timeout", value)) => {
                units::time_ms(value).map(|value| patience = Duration::from_millis(value))
            }
            _ => None,
        };
        understood.ok_or_else(|| d.invalid_parameter(i))?;
    }
    // Each use of the directive is a queue of its own.
    let span = d.span();
    let place = (span.file, span.start);
    let name = format!("cgi_max_processes {place:?}:{QUEUE_SIZE}");
    let zone = d.new_zone(0, name.as_bytes())?;
    Ok(Queue::new(most, length, patience, Some(zone)))
}
