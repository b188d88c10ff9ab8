//! Taking a body in: a raw one is a file, a form is several.

use std::io;
use std::ops::AddAssign;
use std::pin::pin;
use std::time::Duration;

use super::digest::{self, Check};
use super::failure::Failure;
use super::names::{clean, of_disposition};
use super::room::Room;
use super::store::{Store, Temporary};
use crate::event::{self, Instant, Raced};
use crate::exchange::{Exchange, LocationKind};
use crate::http::{KnownHeader, Method, Status};
use crate::proto::multipart::{Event, Multipart, PartHead};

/// How often a waiting upload looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(200);

/// What the request says of the name its file shall have.
pub struct Naming {
    /// The name, if the request proposes one.
    pub name: Option<String>,
    /// Whether the URI names more than a file in this folder.
    pub is_path: bool,
}

impl Naming {
    /// PUT names its file by the URI; POST rather by `Content-Disposition`.
    pub fn of(exchange: &Exchange) -> Naming {
        let (rest, is_path) = rest_of_path(exchange);
        let by_uri = clean(rest);
        let disposition = field(exchange, "Content-Disposition").and_then(of_disposition);
        let name = match exchange.method {
            Method::Put => by_uri.or(disposition),
            _ => disposition.or(by_uri),
        };
        Naming { name, is_path }
    }
}

/// The part of the path that may name a file, and whether there are folders in it.
fn rest_of_path(exchange: &Exchange) -> (&[u8], bool) {
    let path = &exchange.path;
    let location = &exchange.location;
    let by_prefix = matches!(location.kind, LocationKind::Prefix | LocationKind::Implicit);
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    match path.strip_prefix(&*location.name) {
        Some(rest) if by_prefix => {
            let rest = rest.strip_prefix(b"/").unwrap_or(rest);
            (rest, rest.contains(&b'/'))
        }
        // An exact location is where forms go; only PUT takes its name for a file's.
        _ if location.kind == LocationKind::Exact && exchange.method != Method::Put => (b"", false),
        _ => (last, false),
    }
}

/// The value of a header field that has no constant of its own.
pub fn field<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a [u8]> {
    let mut fields = exchange.request.headers();
    fields.find_map(|(found, value)| {
        found
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.trim_ascii())
    })
}

/// A part of what a request brought.
pub struct Part {
    /// The form's field; none for a raw body.
    pub field: Option<Vec<u8>>,
    /// What the part is.
    pub content: Content,
}

/// What a part is.
pub enum Content {
    /// A file, whole but without a name yet.
    File {
        /// What the form calls it.
        name: Option<String>,
        /// What the form says it is.
        content_type: Option<Vec<u8>>,
        /// Where it is.
        file: Temporary,
    },
    /// A field that is no file.
    Value(Vec<u8>),
    /// The name of a file that was too large to be stored.
    TooLarge(String),
}

/// Receives the whole body; nothing of it has a name yet.
pub async fn receive(
    exchange: &mut Exchange,
    store: &Store,
    naming: &Naming,
) -> Result<Vec<Part>, Failure> {
    if naming.is_path {
        let message = "the URI names a folder, and uploads make none";
        return Err(Failure::of_client(Status::CONFLICT, message));
    }
    if exchange.request.known(KnownHeader::ContentRange).is_some() {
        // To take a part for the whole would destroy the file (RFC 9110 section 14.5).
        let message = "client sent a part of a file, with \"Content-Range\"";
        return Err(Failure::of_client(Status::BAD_REQUEST, message));
    }
    let content_type = exchange.request.known(KnownHeader::ContentType);
    let mut sorter = Sorter::new(
        store,
        content_type.filter(|_| exchange.method == Method::Post),
    )
    .await?;
    if sorter.form.is_none() {
        if let Some(name) = &naming.name {
            store.check_name(name)?;
        }
        sorter
            .announce(exchange.request.framing.content_length.unwrap_or(0))
            .await?;
    }
    let mut checks = digest::checks_of(exchange);
    let mut pace = Pace::new(store.settings.limit_rate);
    let mut buffer = Vec::new();
    while pull(exchange, &mut buffer, || Ok(())).await? > 0 {
        sorter.prepare(buffer.len() as u64).await?;
        sorter.take(&buffer)?;
        checks.iter_mut().for_each(|check| check.update(&buffer));
        pace.keep(buffer.len()).await;
    }
    match checks.into_iter().all(Check::holds) {
        true => sorter.finish(),
        false => {
            let message = "the content of an upload is not what its digest says";
            Err(Failure::of_client(Status::BAD_REQUEST, message))
        }
    }
}

/// Replaces what is in `buffer` by the next bytes of the body, and gives how many there are. Now
/// and then `proceed` is asked whether to go on.
pub async fn pull(
    exchange: &mut Exchange,
    buffer: &mut Vec<u8>,
    proceed: impl Fn() -> Result<(), Failure>,
) -> Result<usize, Failure> {
    buffer.clear();
    let result = {
        let mut reading = pin!(exchange.body.read(buffer));
        loop {
            match event::race(reading.as_mut(), event::sleep(LOOK)).await {
                Raced::First(result) => break result,
                Raced::Second(()) => proceed()?,
            }
        }
    };
    proceed()?;
    result.map_err(|error| Failure::of_body(&error, exchange))
}

/// Sees to it that no more than a rate comes in (`upload_limit_rate`).
pub struct Pace {
    rate: u64,
    start: Instant,
    received: u64,
}

impl Pace {
    /// From now on, so many bytes each second; 0 is no limit.
    pub fn new(rate: u64) -> Pace {
        Pace {
            rate,
            start: event::now(),
            received: 0,
        }
    }

    /// Waits until it is time for more, now that `bytes` have come.
    pub async fn keep(&mut self, bytes: usize) {
        self.received.add_assign(bytes as u64);
        if let Some(millis) = (self.received.saturating_mul(1000)).checked_div(self.rate) {
            event::sleep_until(self.start + Duration::from_millis(millis)).await;
        }
    }
}

/// Puts the bytes of a body where they belong.
pub struct Sorter<'a> {
    store: &'a Store,
    room: Room<'a>,
    form: Option<Multipart>,
    parts: Vec<Part>,
    /// Bytes of fields so far.
    fields: u64,
}

impl<'a> Sorter<'a> {
    /// For a body of that media type, if it was given one.
    pub async fn new(store: &'a Store, content_type: Option<&[u8]>) -> Result<Sorter<'a>, Failure> {
        let limit = store.settings.max_part_header_len;
        let form = content_type.and_then(|content_type| Multipart::new(content_type, limit));
        let mut sorter = Sorter {
            store,
            room: store.room().await?,
            form,
            parts: Vec::new(),
            fields: 0,
        };
        if sorter.form.is_none() {
            sorter.begin_file(None, None, None)?;
        }
        Ok(sorter)
    }

    /// Refuses a file of a known length that can't be stored, before it comes.
    async fn announce(&mut self, length: u64) -> Result<(), Failure> {
        self.prepare(length).await?;
        match self.store.settings.max_file_size {
            0 => Ok(()),
            limit if length <= limit => Ok(()),
            limit => Err(too_large(limit)),
        }
    }

    /// Sees to it that there is room for so many bytes, of which the files are a part.
    pub async fn prepare(&mut self, bytes: u64) -> Result<(), Failure> {
        self.room.prepare(bytes).await
    }

    /// Takes the next bytes, however they are cut; there must be room for them.
    pub fn take(&mut self, mut input: &[u8]) -> Result<(), Failure> {
        let Some(mut form) = self.form.take() else {
            return self.content(input);
        };
        loop {
            let (used, event) = form
                .decode(input)
                .map_err(|error| Failure::of_client(Status::BAD_REQUEST, error.message()))?;
            match event {
                Event::Part(head) => self.begin(head)?,
                Event::Data(bytes) => self.content(bytes)?,
                Event::EndOfPart => self.end(),
                Event::NeedMore | Event::End => break,
            }
            input = &input[used..];
        }
        self.form = Some(form);
        Ok(())
    }

    fn begin(&mut self, head: PartHead) -> Result<(), Failure> {
        let limit = self.store.settings.max_files;
        if limit > 0 && self.parts.len() as u64 >= limit {
            let message = format!(
                "client sent a form of more than {limit} parts, the limit of \"upload_max_files\""
            );
            return Err(Failure::of_client(
                Status::REQUEST_ENTITY_TOO_LARGE,
                message,
            ));
        }
        match head.file_name {
            None => {
                self.parts.push(Part {
                    field: Some(head.name),
                    content: Content::Value(Vec::new()),
                });
                Ok(())
            }
            Some(name) => self.begin_file(Some(head.name), Some(name), head.content_type),
        }
    }

    fn begin_file(
        &mut self,
        field: Option<Vec<u8>>,
        name: Option<Vec<u8>>,
        content_type: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        let name = name.and_then(|name| clean(&name));
        if let Some(name) = &name {
            self.store.check_name(name)?;
        }
        let file = self.store.create()?;
        self.parts.push(Part {
            field,
            content: Content::File {
                name,
                content_type,
                file,
            },
        });
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let settings = &self.store.settings;
        let Some(part) = self.parts.last_mut() else {
            return Ok(());
        };
        match &mut part.content {
            Content::TooLarge(_) => Ok(()),
            Content::Value(value) => {
                self.fields += bytes.len() as u64;
                let limit = settings.max_field_size;
                if limit > 0 && self.fields > limit {
                    let message = format!(
                        "client sent fields of more than {limit} bytes, the limit of \"upload_max_field_size\""
                    );
                    return Err(Failure::of_client(
                        Status::REQUEST_ENTITY_TOO_LARGE,
                        message,
                    ));
                }
                value.extend_from_slice(bytes);
                Ok(())
            }
            Content::File { name, file, .. } => {
                let limit = settings.max_file_size;
                if limit == 0 || file.length + bytes.len() as u64 <= limit {
                    self.room.take(bytes.len() as u64);
                    return file.append(bytes);
                }
                if part.field.is_none() {
                    return Err(too_large(limit));
                }
                let name = name.take().unwrap_or_default();
                part.content = Content::TooLarge(name);
                Ok(())
            }
        }
    }

    /// A part is whole. A file without a name and content is a form's field nobody chose a file in.
    fn end(&mut self) {
        let unchosen = |part: &mut Part| matches!(&part.content, Content::File { name: None, file, .. } if file.length == 0);
        self.parts.pop_if(unchosen);
    }

    /// The parts of the whole body.
    pub fn finish(self) -> Result<Vec<Part>, Failure> {
        if self.form.is_some_and(|form| !form.is_done()) {
            let message = "client sent a form without its end";
            return Err(Failure::of_client(Status::BAD_REQUEST, message));
        }
        let is_file = |part: &Part| matches!(part.content, Content::File { .. });
        let too_large_only = !self.parts.iter().any(is_file)
            && self
                .parts
                .iter()
                .any(|part| matches!(part.content, Content::TooLarge(_)));
        if too_large_only {
            return Err(too_large(self.store.settings.max_file_size));
        }
        Ok(self.parts)
    }
}

/// 413 for a file, naming the limit.
pub fn too_large(limit: u64) -> Failure {
    let message = format!(
        "client sent a file of more than {limit} bytes, the limit of \"upload_max_file_size\""
    );
    Failure::of_client(Status::REQUEST_ENTITY_TOO_LARGE, message)
}

/// A file ended before the length it is known to have.
pub fn cut_short() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
