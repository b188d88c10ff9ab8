//! The request's body: pulled by the handler that wants it, streamed or buffered.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::{BodyInFile, Core, Exchange, LocalBoxFuture};
use crate::http::{Headers, Status};
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::sys::fs::pread;

/// How much of a body that was read whole is handed on at once, in bytes.
const PIECE: usize = 64 << 10;

/// Why a body could not be had.
#[derive(Debug)]
pub enum BodyError {
    /// The client left or broke the connection.
    Closed,
    /// Nothing came for `client_body_timeout`.
    TimedOut,
    /// More than `client_max_body_size` came.
    TooLarge,
    /// The chunked coding is malformed; why.
    Malformed(&'static str),
    /// It could not be written to its temporary file.
    File(io::Error),
}

impl BodyError {
    /// The status that answers it.
    pub fn status(&self) -> Status {
        match self {
            BodyError::Closed | BodyError::Malformed(_) => Status::BAD_REQUEST,
            BodyError::TimedOut => Status::REQUEST_TIME_OUT,
            BodyError::TooLarge => Status::REQUEST_ENTITY_TOO_LARGE,
            BodyError::File(_) => Status::INTERNAL_SERVER_ERROR,
        }
    }

    /// Logs it, in nginx's words, and gives the status that answers it.
    pub fn refuse(&self, exchange: &Exchange) -> Status {
        let say = |level, why: &str| exchange.log(level, format_args!("{why}"));
        match self {
            BodyError::Closed => say(Level::Info, "client prematurely closed connection"),
            BodyError::TimedOut => say(Level::Info, "client timed out"),
            BodyError::TooLarge => {
                say(
                    Level::Error,
                    "client intended to send too large chunked body",
                );
            }
            BodyError::Malformed(why) => say(Level::Error, why),
            BodyError::File(error) => {
                let why = format!("writing the request body failed {}", Errno(error));
                say(Level::Crit, &why);
            }
        }
        self.status()
    }
}

/// Where a body comes from: the protocol that carries the request.
pub trait BodySource {
    /// Appends what has arrived to `out` and returns how much, waiting if nothing has; 0 is the end.
    fn read<'a>(&'a mut self, out: &'a mut Vec<u8>)
    -> LocalBoxFuture<'a, Result<usize, BodyError>>;

    /// Sets how large it may become (bytes; 0: no limit) and how long to wait for more of it.
    fn set_limits(&mut self, bytes: u64, patience: Duration);

    /// Sends an interim response (1xx) ahead of the final one; it leaves before the next wait.
    fn inform(&mut self, status: Status, headers: &Headers);

    /// Has a client that waits for `100 Continue` not be told to go on.
    fn withhold_continue(&mut self);

    /// How many bytes it has taken from the connection, framing included.
    fn taken(&self) -> u64;
}

/// A body that was read whole.
#[derive(Debug)]
pub enum BufferedBody {
    /// It fitted in `client_body_buffer_size`.
    Memory(Vec<u8>),
    /// A temporary file.
    File(TempFile),
}

/// A temporary file, removed when dropped unless it is kept.
#[derive(Debug)]
pub struct TempFile {
    /// The file, open for reading and writing.
    pub file: File,
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    keep: bool,
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.keep {
            // Nothing is lost if it was moved elsewhere meanwhile.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The body of a request, at whatever stage of being read.
#[derive(Default)]
pub struct RequestBody {
    stage: Stage,
    /// See [`RequestBody::taken`].
    taken: u64,
}

#[derive(Default)]
enum Stage {
    /// There is none, or it was read to its end.
    #[default]
    Over,
    /// It comes from the client.
    Arriving(Box<dyn BodySource>),
    /// It was read whole, and from there once more up to a position.
    Whole(Rc<BufferedBody>, u64),
    /// Somebody else reads it.
    Lent,
    /// It could not be read to its end.
    GivenUp,
}

impl RequestBody {
    /// A body still to be read.
    pub fn new(source: Box<dyn BodySource>) -> RequestBody {
        RequestBody {
            stage: Stage::Arriving(source),
            taken: 0,
        }
    }

    /// Hands the body over, to be read while the response is already on its way. This one counts
    /// as pending and cannot be read until it gets the body back.
    pub fn lend(&mut self) -> RequestBody {
        let stage = match self.is_pending() {
            true => Stage::Lent,
            false => Stage::Over,
        };
        std::mem::replace(self, RequestBody { stage, taken: 0 })
    }

    /// Puts other bytes in the place of a body that was read.
    pub fn replace(&mut self, bytes: Vec<u8>) {
        self.stage = Stage::Whole(Rc::new(BufferedBody::Memory(bytes)), 0);
    }

    /// Whether something may still have to be read from the connection.
    pub fn is_pending(&self) -> bool {
        matches!(self.stage, Stage::Arriving(_) | Stage::Lent)
    }

    /// Whether [`RequestBody::read`] would have nothing to say.
    pub fn is_over(&self) -> bool {
        match &self.stage {
            Stage::Over => true,
            Stage::Whole(body, position) => *position >= body.len(),
            _ => false,
        }
    }

    /// Whether the client may be sending more of it, even if nobody will read that.
    pub fn is_unfinished(&self) -> bool {
        self.is_pending() || matches!(self.stage, Stage::GivenUp)
    }

    /// The body, if it was read whole.
    pub fn buffered(&self) -> Option<&BufferedBody> {
        match &self.stage {
            Stage::Whole(body, _) => Some(body),
            _ => None,
        }
    }

    /// The same body for a subrequest, as far as it was read whole.
    pub fn shared(&self) -> RequestBody {
        let stage = match &self.stage {
            Stage::Whole(body, _) => Stage::Whole(Rc::clone(body), 0),
            _ => Stage::Over,
        };
        RequestBody {
            stage,
            taken: self.taken,
        }
    }

    fn source(&mut self) -> Option<&mut Box<dyn BodySource>> {
        match &mut self.stage {
            Stage::Arriving(source) => Some(source),
            _ => None,
        }
    }

    /// Sets how large it may become (bytes; 0: no limit) and how long to wait for more of it.
    pub fn set_limits(&mut self, bytes: u64, patience: Duration) {
        if let Some(source) = self.source() {
            source.set_limits(bytes, patience);
        }
    }

    /// Puts another source in front of the one there is, if something is still to be read: one
    /// that counts, say.
    pub fn wrap(&mut self, wrap: impl FnOnce(Box<dyn BodySource>) -> Box<dyn BodySource>) {
        self.stage = match std::mem::take(&mut self.stage) {
            Stage::Arriving(source) => Stage::Arriving(wrap(source)),
            stage => stage,
        };
    }

    /// Sends an interim response (1xx), as long as the body is being read. The caller sees to it
    /// that the client knows such responses (HTTP/1.0 does not).
    pub fn inform(&mut self, status: Status, headers: &Headers) {
        if let Some(source) = self.source() {
            source.inform(status, headers);
        }
    }

    /// Has a client that waits for `100 Continue` not be told to go on.
    pub fn withhold_continue(&mut self) {
        if let Some(source) = self.source() {
            source.withhold_continue();
        }
    }

    /// Appends the next bytes to `out`; 0 is the end.
    ///
    /// # Errors
    /// See [`BodyError`]; the body can't be read any further then.
    pub async fn read(&mut self, out: &mut Vec<u8>) -> Result<usize, BodyError> {
        let source = match &mut self.stage {
            Stage::Arriving(source) => source,
            Stage::Whole(body, position) => {
                return body.read(position, out).map_err(BodyError::File);
            }
            Stage::Over => return Ok(0),
            Stage::Lent | Stage::GivenUp => return Err(BodyError::Closed),
        };
        let result = source.read(out).await;
        self.taken = source.taken();
        match result {
            Ok(0) => self.stage = Stage::Over,
            Ok(_) => {}
            Err(_) => self.stage = Stage::GivenUp,
        }
        result
    }

    /// As [`RequestBody::read`], for bytes nobody wants: they don't count as taken.
    ///
    /// # Errors
    /// As [`RequestBody::read`].
    pub async fn skip(&mut self, scrap: &mut Vec<u8>) -> Result<usize, BodyError> {
        let wanted = self.taken;
        let result = self.read(scrap).await;
        self.taken = wanted;
        result
    }

    /// How many bytes were taken from the connection so far, framing included.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Reads the body whole, into memory up to `client_body_buffer_size`, else into a temporary file.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn buffer(&mut self, core: &Core) -> Result<&BufferedBody, BodyError> {
        if self.buffered().is_none() {
            let body = self.read_whole(core).await?;
            self.stage = Stage::Whole(Rc::new(body), 0);
        }
        // It always is by now.
        self.buffered().ok_or(BodyError::Closed)
    }

    /// Reads the body whole into a temporary file, however short it is, and hands the file over.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn into_file(&mut self, core: &Core) -> Result<TempFile, BodyError> {
        let whole = match std::mem::take(&mut self.stage) {
            Stage::Whole(body, _) => Rc::try_unwrap(body),
            stage => {
                self.stage = stage;
                return self.read_into_file(core).await;
            }
        };
        match whole {
            Ok(BufferedBody::File(file)) => Ok(file),
            Ok(BufferedBody::Memory(bytes)) => TempFile::with(core, &mut &*bytes),
            Err(shared) => match &*shared {
                BufferedBody::File(file) => {
                    TempFile::with(core, &mut file.reopen().map_err(BodyError::File)?)
                }
                BufferedBody::Memory(bytes) => TempFile::with(core, &mut &**bytes),
            },
        }
    }

    async fn read_into_file(&mut self, core: &Core) -> Result<TempFile, BodyError> {
        let mut file = TempFile::create(core, false)?;
        let mut memory = Vec::new();
        while self.read(&mut memory).await? > 0 {
            file.append(&memory)?;
            memory.clear();
        }
        Ok(file)
    }

    async fn read_whole(&mut self, core: &Core) -> Result<BufferedBody, BodyError> {
        let mut memory = Vec::new();
        let mut file = match core.client_body_in_file_only {
            BodyInFile::Off => None,
            _ if !self.is_pending() => None,
            mode => Some(TempFile::create(core, mode == BodyInFile::On)?),
        };
        while self.read(&mut memory).await? > 0 {
            if file.is_none() && memory.len() > core.client_body_buffer_size {
                file = Some(TempFile::create(core, false)?);
            }
            if let Some(file) = &mut file {
                file.append(&memory)?;
                memory.clear();
            }
        }
        Ok(file.map_or(BufferedBody::Memory(memory), BufferedBody::File))
    }
}

impl BufferedBody {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            BufferedBody::Memory(bytes) => bytes.len() as u64,
            BufferedBody::File(temp) => temp.length,
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends what stands at `position` to `out`, a piece of bounded size, and moves on.
    fn read(&self, position: &mut u64, out: &mut Vec<u8>) -> io::Result<usize> {
        let size = PIECE.min(self.len().saturating_sub(*position) as usize);
        let start = usize::try_from(*position).unwrap_or(usize::MAX);
        let read = match self {
            BufferedBody::Memory(bytes) => {
                out.extend_from_slice(bytes.get(start..start + size).unwrap_or_default());
                size
            }
            BufferedBody::File(temp) => pread(temp.file.as_fd(), out, size, *position)?,
        };
        *position += read as u64;
        Ok(read)
    }
}

impl TempFile {
    /// Leaves the file where it is, or says that it was moved elsewhere.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    fn create(core: &Core, keep: bool) -> Result<TempFile, BodyError> {
        let (file, path) = create_unique(core).map_err(BodyError::File)?;
        Ok(TempFile {
            file,
            path,
            length: 0,
            keep,
        })
    }

    /// A temporary file with what `content` yields.
    fn with(core: &Core, content: &mut dyn io::Read) -> Result<TempFile, BodyError> {
        let mut file = TempFile::create(core, false)?;
        file.length = io::copy(content, &mut file.file).map_err(BodyError::File)?;
        Ok(file)
    }

    /// The file to be read from its start, whoever else reads it.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn reopen(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        self.file.write_all(bytes).map_err(BodyError::File)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// A new file under `client_body_temp_path`, named by a running number as in nginx.
fn create_unique(core: &Core) -> io::Result<(File, PathBuf)> {
    thread_local!(static NEXT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
    let temp = &core.client_body_temp_path;
    for _ in 0..1000 {
        let number = NEXT.replace(NEXT.get() + 1);
        let name = format!(
            "{:010}",
            (u64::from(std::process::id()) << 20 | number & 0xfffff) % 10_000_000_000
        );
        let path = temp.file(name.as_bytes());
        match File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_parent(&path)?,
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

impl super::TempPath {
    /// The path of the temporary file called `name`: its last digits choose the subfolders.
    fn file(&self, name: &[u8]) -> PathBuf {
        let mut path = PathBuf::from(std::ffi::OsStr::from_bytes(&self.path));
        path.push(subfolders(self.levels, name));
        path.push(std::ffi::OsStr::from_bytes(name));
        path
    }
}

/// The subfolders that the last digits of a number choose, level by level; empty without levels.
pub fn subfolders(levels: [u8; 3], digits: &[u8]) -> PathBuf {
    let mut path = PathBuf::new();
    let mut end = digits.len();
    for width in levels.iter().take_while(|width| **width > 0) {
        let start = end.saturating_sub(usize::from(*width));
        path.push(std::ffi::OsStr::from_bytes(&digits[start..end]));
        end = start;
    }
    path
}

#[cfg(test)]
mod tests;
