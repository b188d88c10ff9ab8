//! Configurations, in both languages: whatever the bytes, mistakes are values and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::config::grammar::{self, Origin};
use rowhouse::config::{toml, tree::FileId};

fuzz_target!(|data: &[u8]| {
    let _ = grammar::parse(FileId::default(), data, Origin::File);
    let _ = toml::parse(FileId::default(), data);
});
