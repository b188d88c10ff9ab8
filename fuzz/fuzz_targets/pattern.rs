//! Regular expressions: where a pattern runs in linear time, PCRE2 must find the same groups.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::http::{Captures, Pattern};

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (Some(pattern), Some(subject)) = (parts.next(), parts.next()) else { return };
    let Ok(pattern) = std::str::from_utf8(pattern) else { return };
    // An empty look-ahead changes no meaning and no group, but only PCRE2 takes it.
    let Ok(linear) = Pattern::new(pattern, false) else { return };
    let Ok(oracle) = Pattern::new(&format!("(?=)(?:{pattern})"), false) else { return };
    if linear.is_backtracking() || linear.groups() != oracle.groups() {
        return;
    }
    let (mut got, mut expected) = (Captures::new(), Captures::new());
    let Ok(matched) = oracle.try_captures(subject, &mut expected) else { return };
    assert_eq!(linear.captures(subject, &mut got), matched, "{pattern:?} in {subject:?}");
    assert_eq!(got.get(0), expected.get(0), "{pattern:?} in {subject:?}");
});
