//! Starting a script: its command line, its environment, its three streams.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::errors::Errors;
use super::input::Input;
use super::process::{Launch, Lifetime, Process};
use super::queue::Slot;
use super::running::Running;
use super::script::{Script, full_path};
use super::script_log::ScriptLog;
use super::settings::Settings;
use super::{environment, has_body};
use crate::event::Io;
use crate::exchange::{BufferedBody, Connection, Exchange};
use crate::http::Status;
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::sys::fd;

/// Starts the script.
///
/// # Errors
/// The status to answer with; the log says why.
pub async fn launch(
    exchange: &mut Exchange,
    settings: &Rc<Settings>,
    script: &Script,
    host: Option<&str>,
    slot: Slot,
) -> Result<Running, Status> {
    let started = start(exchange, settings, script, host, slot).await;
    started.map_err(|error| {
        let file = String::from_utf8_lossy(&script.file);
        exchange.log(
            Level::Error,
            format_args!("starting \"{file}\" failed {}", Errno(&error)),
        );
        status_of(&error, script)
    })
}

/// As a shell would tell: a script that is not there, one that may not run, or another failure,
/// such as an interpreter that is not there.
fn status_of(error: &io::Error, script: &Script) -> Status {
    let file = Path::new(OsStr::from_bytes(&script.file));
    match error.kind() {
        io::ErrorKind::NotFound if !file.exists() => Status::NOT_FOUND,
        io::ErrorKind::PermissionDenied => Status::FORBIDDEN,
        _ => Status::INTERNAL_SERVER_ERROR,
    }
}

async fn start(
    exchange: &mut Exchange,
    settings: &Rc<Settings>,
    script: &Script,
    host: Option<&str>,
    slot: Slot,
) -> io::Result<Running> {
    let environment = environment(exchange, settings, script, host);
    let arguments = command_line(exchange, settings, script)?;
    let folder = working_dir(exchange, settings, script)?;
    let log = Rc::new(ScriptLog::new(exchange, script));
    let (stdin, input) = input(exchange)?;
    let (output, stdout) = fd::pipe_to_read()?;
    let (stderr, errors) = Errors::open(&settings.stderr, &log)?;
    let launch = Launch {
        arguments,
        environment,
        folder,
        standard: [stdin, Some(stdout), stderr],
        limits: settings.limits.clone(),
    };
    let lifetime = Lifetime {
        term: settings.timeout.0,
        kill: settings.timeout.1,
        grace: settings.grace(),
    };
    let process = Process::start(launch, settings.user.as_ref(), lifetime, slot).await?;
    Ok(Running::new(
        process,
        Io::new(output),
        input,
        errors,
        settings,
        client_to_watch(exchange, settings),
        log,
    ))
}

/// The connection whose end is the script's, too, unless it goes on without its client.
fn client_to_watch(exchange: &Exchange, settings: &Settings) -> Option<Rc<Connection>> {
    let goes_on = settings.ignore_client_abort || exchange.detached;
    (!goes_on).then(|| Rc::clone(&exchange.connection))
}

fn environment(
    exchange: &mut Exchange,
    settings: &Settings,
    script: &Script,
    host: Option<&str>,
) -> Vec<CString> {
    let length = match exchange.body.buffered() {
        _ if !has_body(exchange) => None,
        Some(BufferedBody::Memory(bytes)) if !bytes.is_empty() => Some(bytes.len() as u64),
        Some(BufferedBody::File(file)) => Some(file.length),
        _ => exchange.request.framing.content_length,
    };
    environment::build(exchange, settings, script, length, host).into_strings()
}

/// The interpreter, if there is one, the script, and arguments.
fn command_line(
    exchange: &Exchange,
    settings: &Settings,
    script: &Script,
) -> io::Result<Vec<CString>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    for (i, word) in settings.interpreter.iter().enumerate() {
        let word = word.expand(exchange);
        words.push(match i {
            0 => full_path(exchange, word),
            _ => word.into_owned(),
        });
    }
    words.push(script.file.clone());
    words.extend(script.arguments.iter().cloned());
    words.into_iter().map(string).collect()
}

/// The script's own folder (RFC 3875 section 7.2), unless another is set.
fn working_dir(
    exchange: &Exchange,
    settings: &Settings,
    script: &Script,
) -> io::Result<Option<CString>> {
    let folder = match &settings.working_dir {
        Some(folder) => folder.expand(exchange).into_owned(),
        None => {
            let slash = memchr::memrchr(b'/', &script.file).unwrap_or(0);
            script.file[..slash.max(1)].to_vec()
        }
    };
    (!folder.is_empty()).then(|| string(folder)).transpose()
}

fn string(bytes: Vec<u8>) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// The script's end of its standard input, and what feeds it.
fn input(exchange: &mut Exchange) -> io::Result<(Option<OwnedFd>, Input)> {
    if !has_body(exchange) {
        return Ok(Input::nothing());
    }
    match exchange.body.buffered() {
        Some(body) => Input::whole(body),
        None if exchange.body.is_pending() => Input::streamed(exchange.body.lend()),
        None => Ok(Input::nothing()),
    }
}
