//! Access logs: finished lines go to a file, at once or in batches, or to syslog.
//!
//! As in nginx a buffer belongs to the file: whoever logs to that file shares it.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::complaint::Complaints;
use super::facade;
use super::file::LogFile;
use super::level::Level;
use super::syslog::Syslog;
use crate::sys::clock;

/// The memory of a line longer than this is not kept.
const LARGEST_KEPT: usize = 64 * 1024;

/// Room for the line by which a buffer exceeds its size.
const ROOM: usize = 1024;

/// `buffer=`, `gzip=` and `flush=` of `access_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffering {
    /// Lines are kept until they would exceed so many bytes.
    pub size: usize,
    /// How long a line waits at most.
    pub flush: Option<Duration>,
    /// The level of compression, 1 to 9; each batch becomes a gzip member of its own.
    pub gzip: Option<u32>,
}

/// The file has another buffer already: nginx's `access_log … already defined with conflicting
/// parameters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict;

/// Where one `access_log` directive writes.
#[derive(Clone, Debug)]
pub enum AccessWriter {
    /// A file.
    File(Rc<AccessFile>),
    /// `syslog:…`.
    Syslog(Rc<Syslog>),
}

impl AccessWriter {
    /// Logs a line, which ends in a line feed. What cannot be written is dropped.
    pub fn write(&self, line: &[u8]) {
        self.write_with(|lines| lines.extend_from_slice(line));
    }

    /// As [`AccessWriter::write`], for a line that `append` puts behind whatever is there.
    pub fn write_with(&self, append: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Self::File(file) => file.write(append),
            Self::Syslog(syslog) => with_line(append, |line| {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                if let Err(failure) = syslog.send(syslog.severity(), line) {
                    facade::main().log(failure.level(), None, format_args!("{failure}"));
                }
            }),
        }
    }
}

/// Has `append` make a line and hands it to `write`.
fn with_line(append: impl FnOnce(&mut Vec<u8>), write: impl FnOnce(&[u8])) {
    thread_local!(static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
    let mut line = LINE.take();
    append(&mut line);
    write(&line);
    if line.capacity() <= LARGEST_KEPT {
        line.clear();
        LINE.set(line);
    }
}

/// A line that is being made behind others; it is gone again should making it panic.
struct Line<'a> {
    lines: &'a mut Vec<u8>,
    /// How much of them stays.
    kept: usize,
}

impl Line<'_> {
    /// Has `append` make a line behind `lines`.
    fn add(lines: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) {
        let kept = lines.len();
        let mut line = Line { lines, kept };
        append(line.lines);
        line.kept = line.lines.len();
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.lines.truncate(self.kept);
    }
}

/// A log file with the lines that wait to be written to it.
#[derive(Debug)]
pub struct AccessFile {
    file: Rc<LogFile>,
    buffer: RefCell<Option<Buffer>>,
    complaints: Complaints,
}

#[derive(Debug)]
struct Buffer {
    options: Buffering,
    lines: Vec<u8>,
    /// When the lines are to be written, unless the buffer fills up before.
    due: Option<Instant>,
}

impl Buffer {
    /// Where the next line goes.
    fn begin_line(&mut self) -> usize {
        if self.lines.is_empty() {
            self.due = self.options.flush.map(|delay| Instant::now() + delay);
            self.lines.reserve(self.options.size + ROOM);
        }
        self.lines.len()
    }
}

impl AccessFile {
    /// A file that is written at once.
    pub(super) fn new(file: LogFile) -> Self {
        Self {
            file: Rc::new(file),
            buffer: RefCell::new(None),
            complaints: Complaints::default(),
        }
    }

    /// The file itself, for writing past the buffer.
    pub fn file(&self) -> &Rc<LogFile> {
        &self.file
    }

    /// Gives the file a buffer.
    pub(super) fn set_buffering(&self, options: Buffering) -> Result<(), Conflict> {
        let mut buffer = self.buffer.borrow_mut();
        match &*buffer {
            Some(present) if present.options != options => Err(Conflict),
            Some(_) => Ok(()),
            None => {
                *buffer = Some(Buffer {
                    options,
                    lines: Vec::new(),
                    due: None,
                });
                Ok(())
            }
        }
    }

    /// Writes or keeps the line that `append` makes.
    fn write(&self, append: impl FnOnce(&mut Vec<u8>)) {
        let mut buffer = self.buffer.borrow_mut();
        let Some(buffer) = buffer.as_mut() else {
            return with_line(append, |line| self.append(line));
        };
        let start = buffer.begin_line();
        Line::add(&mut buffer.lines, append);
        if buffer.lines.len() > buffer.options.size {
            let line = buffer.lines.split_off(start);
            self.write_out(buffer);
            buffer.lines.shrink_to(buffer.options.size + ROOM);
            self.keep(buffer, &line);
        }
    }

    /// Makes a line the first that waits, unless it is too long for that.
    fn keep(&self, buffer: &mut Buffer, line: &[u8]) {
        if line.len() > buffer.options.size {
            self.append_batch(line, buffer.options.gzip);
        } else {
            buffer.begin_line();
            buffer.lines.extend_from_slice(line);
        }
    }

    /// Writes the lines that wait.
    pub fn flush(&self) {
        if let Some(buffer) = self.buffer.borrow_mut().as_mut() {
            self.write_out(buffer);
        }
    }

    /// Writes the lines that have waited long enough. Tells when lines, waiting now or yet to
    /// come, may be due next; `None` if none ever are.
    pub fn flush_due(&self, now: Instant) -> Option<Instant> {
        let mut buffer = self.buffer.borrow_mut();
        let buffer = buffer.as_mut()?;
        let delay = buffer.options.flush?;
        if buffer.due.is_some_and(|due| due <= now) {
            self.write_out(buffer);
        }
        Some(buffer.due.unwrap_or(now + delay))
    }

    fn write_out(&self, buffer: &mut Buffer) {
        if !buffer.lines.is_empty() {
            self.append_batch(&buffer.lines, buffer.options.gzip);
            buffer.lines.clear();
        }
        buffer.due = None;
    }

    fn append_batch(&self, lines: &[u8], gzip: Option<u32>) {
        match gzip {
            Some(level) => self.append(&compress(lines, level)),
            None => self.append(lines),
        }
    }

    fn append(&self, bytes: &[u8]) {
        let now = clock::realtime().0;
        if let Err(error) = self.file.append(bytes, now)
            && self.complaints.allowed(now)
        {
            facade::main().log(Level::Alert, None, format_args!("{error}"));
        }
    }
}

/// `lines` as a gzip member.
fn compress(lines: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 4), Compression::new(level));
    // Writing to memory does not fail.
    let _ = encoder.write_all(lines);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::open_files::LogFiles;
    use flate2::read::MultiGzDecoder;
    use std::fs;
    use std::io::Read;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;

    struct Fixture {
        _folder: tempfile::TempDir,
        path: PathBuf,
        files: LogFiles,
        writer: AccessWriter,
    }

    fn fixture(options: Option<Buffering>) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let files = LogFiles::default();
        let writer = files.access(&path, options).unwrap();
        files.open().unwrap();
        Fixture {
            _folder: folder,
            path,
            files,
            writer,
        }
    }

    impl Fixture {
        fn written(&self) -> String {
            String::from_utf8(fs::read(&self.path).unwrap()).unwrap()
        }
    }

    const TEN_BYTES: Buffering = Buffering {
        size: 10,
        flush: None,
        gzip: None,
    };

    #[test]
    fn without_buffer_every_line_is_written_at_once() {
        let log = fixture(None);
        log.writer.write(b"one\n");
        assert_eq!(log.written(), "one\n");
    }

    #[test]
    fn lines_wait_for_a_full_buffer() {
        let log = fixture(Some(TEN_BYTES));
        for (line, expected) in [
            ("123\n", ""),
            ("45678\n", ""),
            ("9\n", "123\n45678\n"),
            ("longer than it\n", "123\n45678\n9\nlonger than it\n"),
            ("x\n", "123\n45678\n9\nlonger than it\n"),
        ] {
            log.writer.write(line.as_bytes());
            assert_eq!(log.written(), expected, "{line}");
        }
        log.files.flush();
        assert!(log.written().ends_with("it\nx\n"));
    }

    #[test]
    fn a_panic_leaves_no_half_line() {
        for options in [None, Some(TEN_BYTES)] {
            let log = fixture(options);
            log.writer.write(b"one\n");
            let make = |line: &mut Vec<u8>| {
                line.extend_from_slice(b"ha");
                panic!("half-way");
            };
            let panicked = catch_unwind(AssertUnwindSafe(|| log.writer.write_with(make)));
            assert!(panicked.is_err());
            log.writer.write(b"two\n");
            log.files.flush();
            assert_eq!(log.written(), "one\ntwo\n");
        }
    }

    #[test]
    fn lines_wait_no_longer_than_allowed() {
        let delay = Duration::from_secs(5);
        let log = fixture(Some(Buffering {
            flush: Some(delay),
            ..TEN_BYTES
        }));
        let start = Instant::now();
        assert_eq!(log.files.flush_due(start), Some(start + delay));
        log.writer.write(b"a\n");
        let due = log.files.flush_due(start).unwrap();
        assert!(due >= start + delay);
        assert_eq!(log.written(), "");
        assert_eq!(log.files.flush_due(due), Some(due + delay));
        assert_eq!(log.written(), "a\n");
    }

    #[test]
    fn without_a_delay_nothing_is_ever_due() {
        assert_eq!(
            fixture(Some(TEN_BYTES)).files.flush_due(Instant::now()),
            None
        );
    }

    #[test]
    fn every_batch_is_a_gzip_member() {
        let log = fixture(Some(Buffering {
            gzip: Some(1),
            ..TEN_BYTES
        }));
        for line in ["12345678\n", "abcdefgh\n", "longer than the buffer\n"] {
            log.writer.write(line.as_bytes());
        }
        let mut text = String::new();
        MultiGzDecoder::new(&fs::read(&log.path).unwrap()[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "12345678\nabcdefgh\nlonger than the buffer\n");
    }

    #[test]
    fn a_file_has_one_buffer() {
        let log = fixture(Some(TEN_BYTES));
        assert!(log.files.access(&log.path, Some(TEN_BYTES)).is_ok());
        assert!(
            log.files
                .access(
                    &log.path,
                    Some(Buffering {
                        size: 11,
                        ..TEN_BYTES
                    })
                )
                .is_err()
        );
        log.files.access(&log.path, None).unwrap().write(b"b\n");
        assert_eq!(
            log.written(),
            "",
            "an unbuffered log to the same file uses its buffer"
        );
    }

    #[test]
    fn rotation_keeps_every_line() {
        let log = fixture(Some(TEN_BYTES));
        log.writer.write(b"old\n");
        let moved = log.path.with_extension("1");
        fs::rename(&log.path, &moved).unwrap();
        log.files.reopen(None);
        log.writer.write(b"new\n");
        log.files.flush();
        assert_eq!(fs::read(&moved).unwrap(), b"old\n");
        assert_eq!(log.written(), "new\n");
    }

    #[test]
    fn a_full_disk_is_reported_once_and_fails_nobody() {
        use crate::log::error_log::{ErrorLog, Sink, Target};
        use crate::log::memory::Memory;

        let memory = Memory::new(4096);
        facade::set_main(ErrorLog::new([Sink {
            level: Level::Error,
            target: Target::Memory(memory.clone()),
        }]));
        let files = LogFiles::default();
        let writer = files.access("/dev/full".as_ref(), None).unwrap();
        files.open().unwrap();
        writer.write(b"a\n");
        writer.write(b"b\n");
        let text = String::from_utf8(memory.contents()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("[alert]"), "{text}");
        assert!(
            text.ends_with("write() to \"/dev/full\" failed (28: No space left on device)\n"),
            "{text}"
        );
    }
}
