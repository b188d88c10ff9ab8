//! The capabilities, one file each.
//!
//! [`ALL`] is the one list of them: its order is the order in which handlers of one phase are
//! asked and in which filters see a response.

pub mod access;
pub mod access_log;
pub mod addition;
pub mod auth_basic;
pub mod auth_request;
pub mod autoindex;
pub mod browser;
pub mod cgi;
pub mod charset;
pub mod compress;
pub mod core;
pub mod dav;
pub mod early_read;
pub mod empty_gif;
pub mod events;
#[cfg(test)]
pub mod fixture;
pub mod geo;
pub mod gunzip;
pub mod headers;
pub mod headers_more;
pub mod http;
pub mod index;
pub mod limits;
pub mod map;
pub mod mirror;
pub mod not_modified;
pub mod process;
pub mod random_index;
pub mod range;
pub mod realip;
pub mod referer;
pub mod rewrite;
pub mod runtime;
pub mod secure_link;
pub mod server;
pub mod split_clients;
pub mod ssi;
pub mod static_files;
pub mod stub_status;
pub mod sub;
pub mod temp_paths;
#[cfg(test)]
pub mod tests;
pub mod try_files;
pub mod upload;
pub mod upload_progress;
pub mod userid;
pub mod variables;

use crate::config::AnyModule;

/// Every capability, in the order of phases and filters.
pub static ALL: &[&dyn AnyModule] = &[
    // What the rest stands on.
    &process::Process,
    &events::Events,
    &http::Http,
    &server::Server,
    &core::CoreModule,
    &temp_paths::TempPaths,
    &variables::Variables,
    &map::Map,
    &split_clients::SplitClients,
    &geo::Geo,
    &referer::Referer,
    &secure_link::SecureLink,
    &browser::Browser,
    &access_log::AccessLog,
    // Handlers.
    &rewrite::Rewrite,
    &early_read::EarlyRead,
    &realip::RealIp,
    &limits::req::LimitReq,
    &limits::conn::LimitConn,
    &access::Access,
    &auth_basic::AuthBasic,
    &auth_request::AuthRequest,
    &try_files::TryFiles,
    &mirror::Mirror,
    &upload_progress::UploadProgress,
    &upload::Upload,
    &cgi::Cgi,
    &empty_gif::EmptyGif,
    &stub_status::StubStatus,
    &random_index::RandomIndex,
    &compress::Precompressed,
    &index::Index,
    &autoindex::Autoindex,
    &dav::Dav,
    &static_files::StaticFiles,
    // Filters.
    &not_modified::NotModified,
    &headers_more::HeadersMore,
    &userid::UserId,
    &headers::HeadersModule,
    &gunzip::Gunzip,
    &sub::Sub,
    &charset::Charset,
    &ssi::Ssi,
    // What a page includes or has added to it went through filters of its own.
    &addition::Addition,
    &compress::Compress,
    &range::RangeFilter,
];
