//! File name patterns for `include`, with the results of glob(3): sorted by byte, `*`, `?` and
//! `[...]` within one component, a leading dot matched only by a dot.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Whether a name has to be expanded at all.
pub fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// The files an absolute pattern stands for, sorted. What cannot be read does not match.
pub fn expand(pattern: &Path) -> Vec<PathBuf> {
    let pattern = pattern.as_os_str().as_bytes();
    let mut found = vec![Vec::new()];
    for component in pattern.split_inclusive(|byte| *byte == b'/') {
        let (component, slash) = match component.split_last() {
            Some((b'/', component)) => (component, true),
            _ => (component, false),
        };
        found = found
            .into_iter()
            .flat_map(|base| step(base, component, slash))
            .collect();
    }
    found.sort_unstable();
    let paths = found.into_iter();
    paths
        .map(|path| PathBuf::from(std::ffi::OsString::from_vec(path)))
        .collect()
}

/// The ways to go on from `base` by one component of the pattern.
fn step(base: Vec<u8>, component: &[u8], slash: bool) -> Vec<Vec<u8>> {
    let join = |name: &[u8]| {
        let mut path = base.clone();
        path.extend_from_slice(name);
        path.extend(slash.then_some(b'/'));
        path
    };
    let exists = |path: &Vec<u8>| {
        Path::new(OsStr::from_bytes(path))
            .symlink_metadata()
            .is_ok()
    };
    if !is_pattern(component) {
        return Some(join(component)).filter(exists).into_iter().collect();
    }
    let Ok(directory) = std::fs::read_dir(OsStr::from_bytes(if base.is_empty() {
        b"."
    } else {
        &base
    })) else {
        return Vec::new();
    };
    let names = directory.flatten().map(|entry| entry.file_name());
    names
        .filter(|name| visible(component, name.as_bytes()) && matches(component, name.as_bytes()))
        .map(|name| join(name.as_bytes()))
        .filter(|path| !slash || exists(path))
        .collect()
}

fn visible(pattern: &[u8], name: &[u8]) -> bool {
    name.first() != Some(&b'.') || pattern.first() == Some(&b'.')
}

/// Matches a name against a component. Only the last `*` is ever tried again, which is enough,
/// so the time is at most the product of the lengths.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', after)) = pattern.split_first() {
            retry = Some((after, name));
            pattern = after;
            continue;
        }
        if pattern.is_empty() && name.is_empty() {
            return true;
        }
        if let Some((rest, byte)) = name.split_first().map(|(byte, rest)| (rest, *byte))
            && let Some(after) = one(pattern, byte)
        {
            (pattern, name) = (after, rest);
            continue;
        }
        let Some((after, [_, shorter @ ..])) = retry else {
            return false;
        };
        retry = Some((after, shorter));
        (pattern, name) = (after, shorter);
    }
}

/// What is left of the pattern if its first element matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', after @ ..] => Some(after),
        [b'[', set @ ..] => match class(set, byte) {
            Some((found, after)) => found.then_some(after),
            None => (byte == b'[').then_some(set),
        },
        [b'\\', escaped, after @ ..] => (*escaped == byte).then_some(after),
        [literal, after @ ..] => (*literal == byte).then_some(after),
        [] => None,
    }
}

/// A bracket expression behind its `[`: whether it has `byte`, and what follows it. `None` if
/// it is never closed, which makes the bracket an ordinary character.
fn class(set: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut set) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    let mut first = true;
    loop {
        set = match set {
            [b']', after @ ..] if !first => return Some((found != negated, after)),
            [low, b'-', high, after @ ..] if *high != b']' => {
                found |= (*low..=*high).contains(&byte);
                after
            }
            [member, after @ ..] => {
                found |= *member == byte;
                after
            }
            [] => return None,
        };
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        let table = [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.con", false),
            ("*.conf", ".conf", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[]a]", "]", true),
            ("[a", "[a", true),
            ("[a-]", "-", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ];
        for (pattern, name, expected) in table {
            let matched = matches(pattern.as_bytes(), name.as_bytes());
            assert_eq!(matched, expected, "{pattern} {name}");
        }
    }
}
