//! HTTP's vocabulary as pure values: no I/O.

pub mod args;
pub mod base64;
pub mod basic;
pub mod coding;
pub mod conditional;
pub mod cookie;
pub mod date;
pub mod entity;
pub mod escape;
pub mod header;
pub mod hex;
pub mod host;
pub mod known;
pub mod media_types;
pub mod method;
pub mod mime;
pub mod pattern;
pub mod patterns;
pub mod range;
pub mod span;
pub mod status;
pub mod text;
pub mod uri;
pub mod version;
pub mod word;

pub use entity::Entity;
pub use header::{Field, Headers};
pub use known::KnownHeader;
pub use media_types::MediaTypes;
pub use method::Method;
pub use mime::MimeTypes;
pub use pattern::{Captures, Pattern};
pub use span::Span;
pub use status::Status;
pub use text::Text;
pub use version::Version;
