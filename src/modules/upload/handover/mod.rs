//! `upload_pass`: files are stored, and another location gets the form with fields about them in
//! their place. The words are those of nginx's upload module, so its configurations run.

mod form;
mod rows;

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use md5::Md5;
use sha1::{Digest, Sha1};

use self::form::Form;
pub use self::rows::{ROWS, VARIABLES};
use super::failure::Failure;
use super::names::hex;
use super::receive::{self, Content, Naming};
use super::rows::Settings;
use super::store::{CLIENT_LEFT, Kind, Store, Temporary};
use crate::event::{Work, offload};
use crate::exchange::{Exchange, Logger, Target, Template};
use crate::http::{KnownHeader, Method, Pattern, Status};
use crate::proto::multipart;
use crate::sys::random;

/// What is handed over, and to whom.
#[derive(Clone, Default)]
pub struct Handover {
    /// `upload_pass`.
    pub to: Option<Template>,
    /// `upload_pass_args`.
    pub pass_args: bool,
    /// `upload_set_form_field`.
    pub fields: Vec<(Template, Template)>,
    /// `upload_aggregate_form_field`.
    pub aggregates: Vec<(Template, Template)>,
    /// Whether one of those needs [`Sums`].
    pub with_sums: bool,
    /// `upload_pass_form_field`.
    pub passed: Vec<Rc<Pattern>>,
    /// `upload_tame_arrays`.
    pub tame_arrays: bool,
    /// `upload_max_output_body_len`.
    pub max_output: u64,
}

/// A stored file, for the variables of its fields.
struct Uploaded {
    field: Vec<u8>,
    content_type: Vec<u8>,
    name: String,
    path: PathBuf,
    size: u64,
    number: usize,
    sha256: [u8; 32],
    sums: Sums,
}

/// Sums of a file that only backends ask for, in hexadecimal digits.
#[derive(Default)]
struct Sums {
    md5: String,
    sha1: String,
    crc32: String,
}

/// Receives a form, stores its files and puts another in its place; gives where that goes.
pub async fn hand_over(
    exchange: &mut Exchange,
    settings: &Rc<Settings>,
) -> Result<Target, Failure> {
    if exchange.method != Method::Post {
        return Err(Failure::silent(Status::NOT_ALLOWED));
    }
    let content_type = exchange.request.known(KnownHeader::ContentType);
    let Some(boundary) = content_type.and_then(multipart::boundary) else {
        let message = "client sent no form, which \"upload_pass\" hands over";
        return Err(Failure::of_client(Status::UNSUPPORTED_MEDIA_TYPE, message));
    };
    let store = Store::open(exchange, settings)?;
    let naming = Naming {
        name: None,
        is_path: false,
    };
    let parts = receive::receive(exchange, &store, &naming).await?;
    store.check_quota().await?;
    store.sync_files(&parts).await?;
    let stored = Rc::new(Kept::new(settings));
    let mut form = Form::new(&boundary, settings.handover.max_output);
    let mut number = 0;
    for part in parts {
        let field = part.field.unwrap_or_default();
        match part.content {
            Content::File {
                name,
                content_type,
                file,
            } => {
                number += 1;
                let uploaded = Uploaded {
                    field: settings.handover.tamed(field),
                    content_type: content_type.unwrap_or_default(),
                    name: name.unwrap_or_default(),
                    number,
                    ..keep(&store, &stored, file)?
                };
                describe(exchange, settings, uploaded, &mut form).await?;
            }
            Content::Value(value) if settings.handover.passes(&field) => {
                form.add(&field, &value)?
            }
            Content::Value(_) | Content::TooLarge(_) => {}
        }
    }
    replace_body(exchange, form.finish());
    // A request that is dropped from now on was left by its client.
    stored.status.set(Some(CLIENT_LEFT));
    exchange.watch(stored);
    Ok(settings.handover.target(exchange))
}

/// Gives a file a number for a name; the backend moves it to where it wants it.
fn keep(store: &Store, stored: &Kept, file: Temporary) -> Result<Uploaded, Failure> {
    let mut numbers = std::iter::repeat_with(|| {
        let number = u64::from_ne_bytes(random::bytes()) % 10_000_000_000;
        format!("{number:010}")
    });
    let free = numbers.find(|number| !store.has(number));
    let kind = store.name(file, free.unwrap_or_default())?;
    let Kind::File {
        name, size, digest, ..
    } = kind
    else {
        return Err(Failure::silent(Status::INTERNAL_SERVER_ERROR));
    };
    let path = store.place(&name);
    stored.add(path.clone());
    Ok(Uploaded {
        field: Vec::new(),
        content_type: Vec::new(),
        name: String::new(),
        path,
        size,
        number: 0,
        sha256: digest,
        sums: Sums::default(),
    })
}

/// Adds the fields about a file.
async fn describe(
    exchange: &mut Exchange,
    settings: &Settings,
    mut uploaded: Uploaded,
    form: &mut Form,
) -> Result<(), Failure> {
    let handover = &settings.handover;
    if handover.with_sums {
        let path = uploaded.path.clone();
        let sums = offload(Work::Files, move || Sums::of(&path))
            .await
            .flatten();
        uploaded.sums =
            sums.map_err(|error| Failure::of_file("reading", &uploaded.path, &error))?;
    }
    exchange.note(uploaded);
    for (name, value) in handover.fields.iter().chain(&handover.aggregates) {
        form.add(&name.expand(exchange), &value.expand(exchange))?;
    }
    Ok(())
}

/// Has the request look as if the client had sent `form`.
fn replace_body(exchange: &mut Exchange, form: Vec<u8>) {
    let length = form.len();
    exchange.request.framing.content_length = Some(length as u64);
    let digits = length.to_string();
    exchange
        .request
        .set_field(b"Content-Length", digits.as_bytes());
    exchange.request.set_field(b"Transfer-Encoding", b"");
    exchange.body.replace(form);
}

impl Handover {
    /// A field's name, without brackets if they are to go.
    fn tamed(&self, mut name: Vec<u8>) -> Vec<u8> {
        if self.tame_arrays && name.ends_with(b"[]") {
            name.truncate(name.len() - 2);
        }
        name
    }

    fn passes(&self, field: &[u8]) -> bool {
        self.passed.iter().any(|pattern| pattern.is_match(field))
    }

    /// Where the form goes.
    fn target(&self, exchange: &Exchange) -> Target {
        let to = self.to.as_ref();
        let mut path = to.map_or(Vec::new(), |to| to.expand(exchange).into_owned());
        if path.first() == Some(&b'@') {
            return Target::Named(path.split_off(1));
        }
        let mut args = match memchr::memchr(b'?', &path) {
            Some(mark) => path.split_off(mark).split_off(1),
            None => Vec::new(),
        };
        if self.pass_args {
            args.clone_from(&exchange.args);
        }
        Target::Uri { path, args }
    }
}

impl Sums {
    /// Those of the file at `path`.
    fn of(path: &Path) -> io::Result<Sums> {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 128 << 10];
        let (mut md5, mut sha1, mut crc32) = (Md5::new(), Sha1::new(), flate2::Crc::new());
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(Sums {
                    md5: hex(&md5.finalize()),
                    sha1: hex(&sha1.finalize()),
                    crc32: format!("{:08x}", crc32.sum()),
                });
            }
            md5.update(&buffer[..read]);
            sha1.update(&buffer[..read]);
            crc32.update(&buffer[..read]);
        }
    }
}

/// The files of a request, which go if it ends as `upload_cleanup` says.
struct Kept {
    settings: Rc<Settings>,
    files: RefCell<Vec<PathBuf>>,
    /// The status so far; none before they are handed over.
    status: Cell<Option<u16>>,
}

impl Kept {
    fn new(settings: &Rc<Settings>) -> Kept {
        Kept {
            settings: Rc::clone(settings),
            files: RefCell::default(),
            status: Cell::new(None),
        }
    }

    fn add(&self, path: PathBuf) {
        self.files.borrow_mut().push(path);
    }
}

impl Logger for Kept {
    fn log(&self, exchange: &Exchange) {
        self.status.set(Some(exchange.response().status.as_u16()));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let status = self.status.get();
        if status.is_none_or(|status| self.settings.cleans_up(status)) {
            for path in self.files.borrow().iter() {
                let _ = fs::remove_file(path);
            }
        }
    }
}
