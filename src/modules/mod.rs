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
pub static ALL: &[AnyModule] = &[
    // What the rest stands on.
    AnyModule::of::<process::Process>(),
    AnyModule::of::<events::Events>(),
    AnyModule::of::<http::Http>(),
    AnyModule::of::<server::Server>(),
    AnyModule::of::<core::CoreModule>(),
    AnyModule::of::<temp_paths::TempPaths>(),
    AnyModule::of::<variables::Variables>(),
    AnyModule::of::<map::Map>(),
    AnyModule::of::<split_clients::SplitClients>(),
    AnyModule::of::<geo::Geo>(),
    AnyModule::of::<referer::Referer>(),
    AnyModule::of::<secure_link::SecureLink>(),
    AnyModule::of::<browser::Browser>(),
    AnyModule::of::<access_log::AccessLog>(),
    // Handlers.
    AnyModule::of::<rewrite::Rewrite>(),
    AnyModule::of::<early_read::EarlyRead>(),
    AnyModule::of::<realip::RealIp>(),
    AnyModule::of::<limits::req::LimitReq>(),
    AnyModule::of::<limits::conn::LimitConn>(),
    AnyModule::of::<access::Access>(),
    AnyModule::of::<auth_basic::AuthBasic>(),
    AnyModule::of::<auth_request::AuthRequest>(),
    AnyModule::of::<try_files::TryFiles>(),
    AnyModule::of::<mirror::Mirror>(),
    AnyModule::of::<upload_progress::UploadProgress>(),
    AnyModule::of::<upload::Upload>(),
    AnyModule::of::<cgi::Cgi>(),
    AnyModule::of::<empty_gif::EmptyGif>(),
    AnyModule::of::<stub_status::StubStatus>(),
    AnyModule::of::<random_index::RandomIndex>(),
    AnyModule::of::<compress::Precompressed>(),
    AnyModule::of::<index::Index>(),
    AnyModule::of::<autoindex::Autoindex>(),
    AnyModule::of::<dav::Dav>(),
    AnyModule::of::<static_files::StaticFiles>(),
    // Filters.
    AnyModule::of::<not_modified::NotModified>(),
    AnyModule::of::<headers_more::HeadersMore>(),
    AnyModule::of::<userid::UserId>(),
    AnyModule::of::<headers::HeadersModule>(),
    AnyModule::of::<gunzip::Gunzip>(),
    AnyModule::of::<sub::Sub>(),
    AnyModule::of::<charset::Charset>(),
    AnyModule::of::<ssi::Ssi>(),
    // What a page includes or has added to it went through filters of its own.
    AnyModule::of::<addition::Addition>(),
    AnyModule::of::<compress::Compress>(),
    AnyModule::of::<range::RangeFilter>(),
];
