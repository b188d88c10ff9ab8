//! A script's standard error, line by line to the error log.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::script_log::ScriptLog;
use super::settings::Stderr;
use crate::event::Io;
use crate::log::level::Level;
use crate::sys::fd;

/// What is read at once, in bytes.
const READ_SIZE: usize = 4096;

/// The longest line that is logged whole.
const LONGEST_LINE: usize = 2000;

/// How many reads are made of what is left when the script has ended.
const LAST_READS: usize = 16;

/// The reading end, and the line that is not complete yet.
pub struct Errors {
    pipe: Option<Io>,
    line: Vec<u8>,
    level: Level,
    log: Rc<ScriptLog>,
}

impl Errors {
    /// Where the script is to write, and what reads it here.
    ///
    /// # Errors
    /// The system's.
    pub fn open(target: &Stderr, log: &Rc<ScriptLog>) -> io::Result<(Option<OwnedFd>, Errors)> {
        let mut errors = Errors {
            pipe: None,
            line: Vec::new(),
            level: Level::Warn,
            log: Rc::clone(log),
        };
        let writer = match target {
            Stderr::Off => None,
            Stderr::Inherit => Some(io::stderr().as_fd().try_clone_to_owned()?),
            Stderr::File(file) => file.with_fd(|fd| fd.try_clone_to_owned()).transpose()?,
            Stderr::Log(level) => {
                let (reader, writer) = fd::pipe_to_read()?;
                errors.pipe = Some(Io::new(reader));
                errors.level = *level;
                Some(writer)
            }
        };
        Ok((writer, errors))
    }

    /// Logs what comes until the script closes its end. May be dropped and called again.
    pub async fn drain(&mut self) {
        while let Some(pipe) = &self.pipe {
            // Most scripts have nothing to say here, so waiting comes first.
            let ready = pipe.readable(None).await;
            match ready.and_then(|()| read(pipe)) {
                Ok(bytes) => self.take(&bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.pipe = None,
            }
        }
    }

    /// Logs what is there, waiting for nothing, and closes.
    pub fn finish(&mut self) {
        for _ in 0..LAST_READS {
            let Some(Ok(bytes)) = self.pipe.as_ref().map(read) else {
                break;
            };
            self.take(&bytes);
        }
        self.pipe = None;
        self.flush();
    }

    /// Splits into lines; nothing is the end.
    fn take(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.pipe = None;
            self.flush();
            return;
        }
        for byte in bytes {
            match byte {
                b'\n' => self.flush(),
                byte => self.line.push(*byte),
            }
            if self.line.len() >= LONGEST_LINE {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let line = self.line.trim_ascii_end();
        if !line.is_empty() {
            let line = String::from_utf8_lossy(line);
            self.log.log(
                self.level,
                format_args!("cgi stderr: \"{}\"", line.escape_debug()),
            );
        }
        self.line.clear();
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        self.finish();
    }
}

fn read(pipe: &Io) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.try_read(&mut bytes, READ_SIZE)?;
    Ok(bytes)
}
