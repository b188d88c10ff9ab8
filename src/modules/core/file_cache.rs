//! `open_file_cache` and its kin.

use std::rc::Rc;
use std::time::Duration;

use super::{Row, Settings, flag, row};
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::units;
use crate::config::{Mistake, Use};
use crate::files::{CacheSettings, FileCache};

pub(super) const ROWS: &[Row] = &[
    row("open_file_cache", HTTP_SERVER_LOCATION)
        .syntax("off | max=N [inactive=time]")
        .default("off")
        .between(1, 2)
        .doc("Keeps files open that were asked for within a while, and remembers what was found.")
        .set(|s, d| {
            s.cache.size = size(d)?;
            Ok(())
        }),
    row("open_file_cache_valid", HTTP_SERVER_LOCATION)
        .syntax("time")
        .default("60s")
        .doc("Believes what is remembered of a file for so long.")
        .set(|s, d| {
            s.cache.valid = Duration::from_secs(d.time_secs(0)?);
            Ok(())
        }),
    row("open_file_cache_min_uses", HTTP_SERVER_LOCATION)
        .syntax("number")
        .default("1")
        .doc("Keeps a file open only if it was asked for so often.")
        .set(|s, d| {
            s.cache.min_uses = u32::try_from(d.number(0)?).unwrap_or(u32::MAX);
            Ok(())
        }),
    flag("open_file_cache_errors", HTTP_SERVER_LOCATION, "off")
        .doc("Remembers also that a file could not be opened.")
        .set(|s, d| d.flag().map(|on| s.cache.errors = on)),
    flag("open_file_cache_events", HTTP_SERVER_LOCATION, "off")
        .doc("Learns of changed files from the kernel, which Linux does not offer for this.")
        .tunes(),
];

/// What the directives say, and what the block's cache was made from.
#[derive(Clone)]
pub(super) struct CacheRows {
    /// `max=` and `inactive=`; `None` for `off`.
    size: Option<(usize, Duration)>,
    valid: Duration,
    min_uses: u32,
    errors: bool,
    made_from: CacheSettings,
}

impl Default for CacheRows {
    fn default() -> Self {
        Self {
            size: None,
            valid: Duration::from_secs(60),
            min_uses: 1,
            errors: false,
            made_from: CacheSettings::default(),
        }
    }
}

impl CacheRows {
    fn wanted(&self) -> CacheSettings {
        let Some((max, inactive)) = self.size else {
            return CacheSettings::default();
        };
        let &Self {
            valid,
            min_uses,
            errors,
            ..
        } = self;
        CacheSettings {
            max,
            inactive,
            valid,
            min_uses,
            errors,
            asked_for: true,
        }
    }

    /// Whether the block wants another cache than the one it inherited.
    pub(super) fn changed(&self) -> bool {
        self.wanted() != self.made_from
    }
}

impl Settings {
    /// Makes the cache the block wants; blocks inside share it unless they want another.
    pub(super) fn make_cache(&mut self) {
        self.cache.made_from = self.cache.wanted();
        self.edit().file_cache = Rc::new(FileCache::new(self.cache.wanted()));
    }
}

fn size(d: &Use<'_>) -> Result<Option<(usize, Duration)>, Mistake> {
    let (mut max, mut inactive, mut off) = (None, Duration::from_secs(60), false);
    for i in 0..d.count() {
        let known = match d.key_value(i) {
            Some((b"max", value)) => {
                max = units::number(value).and_then(|max| usize::try_from(max).ok());
                max.is_some_and(|max| max > 0)
            }
            Some((b"inactive", value)) => units::time_secs(value)
                .map(|seconds| inactive = Duration::from_secs(seconds))
                .is_some(),
            _ => {
                off = d.arg(i) == b"off";
                off
            }
        };
        if !known {
            let message = format!("invalid \"open_file_cache\" parameter \"{}\"", d.lossy(i));
            return Err(d.mistake(i, message));
        }
    }
    match max {
        _ if off => Ok(None),
        Some(max) => Ok(Some((max, inactive))),
        None => Err(d.mistake(0, "\"open_file_cache\" must have the \"max\" parameter")),
    }
}
