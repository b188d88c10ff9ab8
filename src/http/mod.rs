//! HTTP's vocabulary as pure values: no I/O.

pub mod escape;
pub mod header;
pub mod known;
pub mod method;
pub mod span;
pub mod status;
pub mod text;
pub mod uri;
pub mod version;

pub use header::{Field, Headers};
pub use known::KnownHeader;
pub use method::Method;
pub use span::Span;
pub use status::Status;
pub use text::Text;
pub use version::Version;
