//! The capabilities, one file each.
//!
//! [`ALL`] is the one list of them: its order is the order in which handlers of one phase are
//! asked and in which filters see a response.

pub mod autoindex;

use crate::config::AnyModule;

/// Every capability, in the order of phases and filters.
pub static ALL: &[&dyn AnyModule] = &[];
