//! The variables every request has: of the request itself, its connection, its response, the
//! files it maps to, and the process that serves it.

mod connection;
mod fields;
mod files;
mod process;
mod request;
mod response;

use std::io::Write;

use crate::config::{Directive, Module};
use crate::exchange::Variable;
use crate::proto::h1::response::number;

/// The core variables; the module has no directives.
pub struct Variables;

/// Nothing can be set.
#[derive(Clone, Default)]
pub struct Settings;

impl Module for Variables {
    type Settings = Settings;
    const NAME: &'static str = "variables";
    const DIRECTIVES: &'static [Directive<Settings>] = &[];
    const VARIABLE_GROUPS: &'static [&'static [Variable]] = &[
        request::ROWS,
        fields::ROWS,
        connection::ROWS,
        response::ROWS,
        files::ROWS,
        process::ROWS,
    ];
}

/// What a getter gives back: `None` if there is no value.
type Found = Option<()>;

/// The value is `text`.
fn text(text: &[u8], out: &mut Vec<u8>) -> Found {
    out.extend_from_slice(text);
    Some(())
}

/// The value is `text`, and an empty text means there is none.
fn filled(text: &[u8], out: &mut Vec<u8>) -> Found {
    out.extend_from_slice(text);
    (!text.is_empty()).then_some(())
}

/// The value is a number.
fn decimal(value: u64, out: &mut Vec<u8>) -> Found {
    number(value, out);
    Some(())
}

/// The value is a port; there is a value without one, but it is empty.
fn port(port: Option<u16>, out: &mut Vec<u8>) -> Found {
    match port {
        Some(port) if port > 0 => decimal(port.into(), out),
        _ => Some(()),
    }
}

/// The value is a time in seconds with three decimals.
fn seconds(milliseconds: u64, out: &mut Vec<u8>) -> Found {
    number(milliseconds / 1000, out);
    write!(out, ".{:03}", milliseconds % 1000).ok()
}

/// The value is all of `values`, with `separator` between them; there is none without any.
fn joined<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    separator: &[u8],
    out: &mut Vec<u8>,
) -> Found {
    out.extend_from_slice(values.next()?);
    for value in values {
        out.extend_from_slice(separator);
        out.extend_from_slice(value);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(append: impl FnOnce(&mut Vec<u8>) -> Found) -> Option<String> {
        let mut out = Vec::new();
        append(&mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_look_like_nginxs() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(shown(|out| seconds(0, out)), some("0.000"));
        assert_eq!(shown(|out| seconds(61_007, out)), some("61.007"));
        assert_eq!(shown(|out| port(Some(80), out)), some("80"));
        assert_eq!(shown(|out| port(Some(0), out)), some(""));
        assert_eq!(shown(|out| port(None, out)), some(""));
        assert_eq!(shown(|out| filled(b"", out)), None);
        assert_eq!(shown(|out| text(b"", out)), some(""));
    }

    #[test]
    fn repeated_fields_are_joined() {
        for (values, expected) in [
            (&[][..], None),
            (&["a"], Some("a")),
            (&[""], Some("")),
            (&["a", "", "b"], Some("a, , b")),
        ] {
            let found = shown(|out| joined(values.iter().map(|v: &&str| v.as_bytes()), b", ", out));
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn every_variable_has_one_row_and_a_sentence() {
        let rows = || Variables::VARIABLE_GROUPS.iter().copied().flatten();
        for row in rows() {
            assert_eq!(rows().filter(|other| other.name == row.name).count(), 1);
            assert!(row.doc.ends_with('.'), "{}", row.name);
        }
    }
}
