//! The settings of a location that routing, the runner and the protocols share.

use std::rc::Rc;
use std::time::Duration;

use super::{Amount, Compression, Request, Template};
use crate::files::{CacheSettings, FileCache, SymlinkMode};
use crate::http::mime::MimeTypes;
use crate::http::{KnownHeader, Method, Status};
use crate::log::error_log::ErrorLog;

/// How a URI becomes a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Alias {
    /// `root`: the whole URI is appended.
    #[default]
    No,
    /// `alias` in the prefix location of that name: the URI without the name is appended.
    Prefix(Rc<[u8]>),
    /// `alias` in a regex location: the value is the path.
    Whole,
}

/// How much the server tells of itself (`server_tokens`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerTokens {
    /// Not said: the version in `Server`, none in pages.
    #[default]
    Unset,
    /// The version in `Server` and in pages.
    On,
    /// The name only.
    Off,
    /// Version and build.
    Build,
}

/// `satisfy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Satisfy {
    /// Every access handler must let the request pass.
    #[default]
    All,
    /// One that grants it suffices.
    Any,
}

/// One `error_page` rule.
#[derive(Clone)]
pub struct ErrorPage {
    /// The statuses it is for.
    pub statuses: Vec<Status>,
    /// `=code`: the status to answer with; `Some(None)` for a bare `=` (the target's own).
    pub overwrite: Option<Option<Status>>,
    /// A path, `@name` or URL.
    pub target: Template,
    /// What follows `?` in the target as written.
    pub args: Vec<u8>,
}

/// `keepalive_disable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepaliveDisable {
    /// Old MSIE after a POST.
    pub msie6: bool,
    /// Safari on macOS.
    pub safari: bool,
}

impl KeepaliveDisable {
    /// Whether the connection must not be kept because of who asks.
    pub fn applies(self, request: &Request) -> bool {
        let Some(agent) = (self.msie6 || self.safari)
            .then(|| request.known(KnownHeader::UserAgent))
            .flatten()
        else {
            return false;
        };
        let has = |word: &[u8]| memchr::memmem::find(agent, word).is_some();
        let msie6 = self.msie6
            && request.method() == Method::Post
            && !has(b"Opera")
            && (has(b"MSIE 4.") || has(b"MSIE 5.") || has(b"MSIE 6."));
        msie6 || self.safari && has(b"Safari/") && has(b"Mac OS X") && !has(b"Chrome/")
    }
}

/// `lingering_close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LingeringClose {
    /// Close at once.
    Off,
    /// If the client may still be sending.
    On,
    /// Every time.
    Always,
}

/// `client_body_in_file_only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyInFile {
    /// Memory first.
    Off,
    /// A file, kept after the request.
    On,
    /// A file, removed after the request.
    Clean,
}

/// `if_modified_since`.
pub use crate::http::conditional::IfModifiedSince;

/// Settings of one location, ready for use.
#[derive(Clone)]
#[allow(missing_docs)] // Each field is the nginx directive of the same name.
pub struct Core {
    pub root: Template,
    pub alias: Alias,
    pub internal: bool,
    pub types: Rc<MimeTypes>,
    pub default_type: Rc<[u8]>,
    pub sendfile: bool,
    pub sendfile_max_chunk: u64,
    pub sendfile_min_size: u64,
    pub tcp_nopush: bool,
    pub tcp_nodelay: bool,
    pub send_timeout: Duration,
    pub limit_rate: Option<Amount>,
    pub limit_rate_after: Option<Amount>,
    pub client_body_timeout: Duration,
    pub client_body_buffer_size: usize,
    /// Bytes; 0 means no limit.
    pub client_max_body_size: u64,
    pub client_body_temp_path: Rc<TempPath>,
    pub client_body_in_file_only: BodyInFile,
    pub keepalive_timeout: Duration,
    /// The second argument of `keepalive_timeout`, in seconds.
    pub keepalive_header: Option<u64>,
    pub keepalive_requests: u64,
    pub keepalive_time: Duration,
    pub keepalive_min_timeout: Duration,
    pub keepalive_disable: KeepaliveDisable,
    pub lingering_close: LingeringClose,
    pub lingering_time: Duration,
    pub lingering_timeout: Duration,
    pub reset_timedout_connection: bool,
    pub absolute_redirect: bool,
    pub server_name_in_redirect: bool,
    pub port_in_redirect: bool,
    pub server_tokens: ServerTokens,
    pub chunked_transfer_encoding: bool,
    pub etag: bool,
    pub if_modified_since: IfModifiedSince,
    /// `None` if it is not set.
    pub max_ranges: Option<usize>,
    pub satisfy: Satisfy,
    pub auth_delay: Duration,
    /// `gzip_http_version` and its kin.
    pub compression: Rc<Compression>,
    pub error_pages: Rc<[ErrorPage]>,
    pub recursive_error_pages: bool,
    pub post_action: Option<Rc<[u8]>>,
    pub log_not_found: bool,
    pub log_subrequest: bool,
    pub uninitialized_variable_warn: bool,
    pub error_log: ErrorLog,
    pub file_cache: Rc<FileCache>,
    /// What relative paths made of variables are relative to; ends in a slash.
    pub prefix: Rc<[u8]>,
    /// `disable_symlinks`, and the part of the path it does not check.
    pub symlinks: (SymlinkMode, Option<Template>),
}

/// What holds where no directive says otherwise. Paths that are relative to the server's prefix
/// are left empty.
impl Default for Core {
    fn default() -> Core {
        Core {
            root: Template::default(),
            alias: Alias::No,
            internal: false,
            types: Rc::default(),
            default_type: Rc::from(&b"text/plain"[..]),
            sendfile: false,
            sendfile_max_chunk: 2 << 20,
            sendfile_min_size: 1 << 20,
            tcp_nopush: false,
            tcp_nodelay: true,
            send_timeout: Duration::from_secs(60),
            limit_rate: None,
            limit_rate_after: None,
            client_body_timeout: Duration::from_secs(60),
            client_body_buffer_size: 8 << 10,
            client_max_body_size: 1 << 20,
            client_body_temp_path: Rc::default(),
            client_body_in_file_only: BodyInFile::Off,
            keepalive_timeout: Duration::from_secs(75),
            keepalive_header: None,
            keepalive_requests: 1000,
            keepalive_time: Duration::from_secs(60 * 60),
            keepalive_min_timeout: Duration::ZERO,
            keepalive_disable: KeepaliveDisable {
                msie6: true,
                safari: false,
            },
            lingering_close: LingeringClose::On,
            lingering_time: Duration::from_secs(30),
            lingering_timeout: Duration::from_secs(5),
            reset_timedout_connection: false,
            absolute_redirect: true,
            server_name_in_redirect: false,
            port_in_redirect: true,
            server_tokens: ServerTokens::Unset,
            chunked_transfer_encoding: true,
            etag: true,
            if_modified_since: IfModifiedSince::Exact,
            max_ranges: None,
            satisfy: Satisfy::All,
            auth_delay: Duration::ZERO,
            compression: Rc::default(),
            error_pages: Rc::from([]),
            recursive_error_pages: false,
            post_action: None,
            log_not_found: true,
            log_subrequest: false,
            uninitialized_variable_warn: true,
            error_log: ErrorLog::default(),
            file_cache: Rc::new(FileCache::new(CacheSettings::default())),
            prefix: Rc::from([]),
            symlinks: (SymlinkMode::Follow, None),
        }
    }
}

/// `client_body_temp_path`: a folder and up to three levels of subfolders under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TempPath {
    /// The folder.
    pub path: Vec<u8>,
    /// Digits of the file's number per level; 0 ends the list.
    pub levels: [u8; 3],
}
