//! The capabilities, one file each.
//!
//! [`ALL`] is the one list of them: its order is the order in which handlers of one phase are
//! asked and in which filters see a response.

pub mod autoindex;
pub mod headers;
pub mod index;
pub mod not_modified;
pub mod range;
pub mod rewrite;
pub mod static_files;
pub mod try_files;

use crate::config::AnyModule;

/// Every capability, in the order of phases and filters.
pub static ALL: &[&dyn AnyModule] = &[
    &rewrite::Rewrite,
    &try_files::TryFiles,
    &index::Index,
    &autoindex::Autoindex,
    &static_files::StaticFiles,
    &not_modified::NotModified,
    &headers::HeadersModule,
    &range::RangeFilter,
];
