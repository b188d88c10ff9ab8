//! What a stored file is called: what the client proposes, made harmless.

use std::borrow::Cow;

use crate::http::escape::{Unescape, unescape};
use crate::http::hex;
use crate::proto::multipart::Parameters;
use crate::sys::random;

/// The longest name in bytes; file systems allow 255, and a number may still be added.
const MAX_LENGTH: usize = 240;

/// Names that some systems take for devices, whatever their extension.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A name that is no path, is not hidden, has nothing invisible in it and is not reserved on any
/// system the file may be copied to; `None` if nothing is left of it. Unicode is kept.
pub fn clean(proposed: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(proposed);
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible = last.chars().filter(|c| !is_invisible(*c));
    let name: String = visible
        .map(|c| if "<>:\"|?*".contains(c) { '_' } else { c })
        .collect();
    let name = name.trim_start_matches(|c: char| c == '.' || c.is_whitespace());
    let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if name.is_empty() {
        return None;
    }
    let (stem, extension) = split(name);
    let mark = if is_reserved(stem) { "_" } else { "" };
    let room = MAX_LENGTH - mark.len();
    let extension = cut(extension, room / 2);
    let stem = cut(stem, room - extension.len());
    let whole = format!("{mark}{stem}{extension}");
    Some(
        whole
            .trim_end_matches(|c: char| c == '.' || c.is_whitespace())
            .to_owned(),
    )
}

/// Control characters, and those that change the direction of text or take no room: with them
/// a name can pretend to be another.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{ad}' | '\u{fff9}'..='\u{fffb}'
        )
}

/// `con`, `lpt1` and their like.
fn is_reserved(stem: &str) -> bool {
    let first = stem.split('.').next().unwrap_or_default().trim_end();
    let lower = first.to_ascii_lowercase();
    let port = lower.strip_prefix("com").or(lower.strip_prefix("lpt"));
    RESERVED.contains(&&*lower)
        || port.is_some_and(|number| {
            matches!(number.chars().next(), Some('0'..='9' | '¹' | '²' | '³'))
                && number.chars().count() == 1
        })
}

/// A name as what stands in front of its extension, and the extension with its dot.
fn split(name: &str) -> (&str, &str) {
    let dot = name.rfind('.').filter(|dot| *dot > 0);
    name.split_at(dot.unwrap_or(name.len()))
}

/// The first bytes of a text, whole characters only.
fn cut(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The same name with a number in front of its extension: `a-2.txt`.
pub fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = split(name);
    format!("{stem}-{number}{extension}")
}

/// A name nobody else has.
pub fn generated() -> String {
    format!("upload-{}", hex(&random::bytes::<8>()))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    hex::digits(bytes).map(char::from).collect()
}

/// The file name that a `Content-Disposition` field proposes (RFC 6266); `filename*` counts more.
pub fn of_disposition(value: &[u8]) -> Option<String> {
    let mut parameters = Parameters::new(value);
    parameters.kind();
    let mut plain = None;
    for (name, value) in parameters {
        if name.eq_ignore_ascii_case(b"filename*") {
            if let Some(name) = extended(&value).and_then(|name| clean(&name)) {
                return Some(name);
            }
        } else if name.eq_ignore_ascii_case(b"filename") {
            plain = Some(value);
        }
    }
    clean(&plain?)
}

/// A value of the form `UTF-8'en'a%20b` (RFC 8187).
fn extended(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut fields = value.splitn(3, |byte| *byte == b'\'');
    let charset = fields.next()?;
    let text = fields.nth(1)?;
    let mut name = Vec::with_capacity(text.len());
    unescape(text, Unescape::All, &mut name);
    charset
        .eq_ignore_ascii_case(b"utf-8")
        .then_some(Cow::Owned(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_made_harmless() {
        for (proposed, expected) in [
            ("a.txt", "a.txt"),
            ("Überraschung 日本.tar.gz", "Überraschung 日本.tar.gz"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Documents\\Picture.jpg", "Picture.jpg"),
            (".htaccess", "htaccess"),
            ("...", ""),
            ("..", ""),
            ("", ""),
            ("a/", ""),
            (" . a . ", "a"),
            ("a\0b\r\nc\x7f", "abc"),
            ("evil\u{202e}gpj.exe", "evilgpj.exe"),
            ("what?<is>|it*:\"", "what__is__it___"),
            ("con", "_con"),
            ("NUL.tar.gz", "_NUL.tar.gz"),
            ("lpt1.txt", "_lpt1.txt"),
            ("com¹", "_com¹"),
            ("com10", "com10"),
            ("console", "console"),
        ] {
            let found = clean(proposed.as_bytes()).unwrap_or_default();
            assert_eq!(found, expected, "{proposed:?}");
        }
        assert_eq!(clean(b"a\xff.txt").as_deref(), Some("a\u{fffd}.txt"));
        let long = clean(format!("{}.jpeg", "ä".repeat(300)).as_bytes()).unwrap();
        assert!(long.len() <= MAX_LENGTH && long.ends_with(".jpeg"));
    }

    #[test]
    fn numbers_stand_in_front_of_the_extension() {
        assert_eq!(numbered("a.txt", 2), "a-2.txt");
        assert_eq!(numbered("a", 10), "a-10");
    }

    #[test]
    fn dispositions() {
        for (value, expected) in [
            ("attachment; filename=a.txt", Some("a.txt")),
            ("attachment; filename=\"a b.txt\"", Some("a b.txt")),
            (
                "inline; filename=x; filename*=UTF-8''%e2%82%ac.txt",
                Some("€.txt"),
            ),
            ("inline; filename*=latin1''%a3; filename=x", Some("x")),
            ("inline; filename*=UTF-8''..%2f..%2Fa", Some("a")),
            ("inline; filename=\"..\"", None),
            ("inline", None),
        ] {
            assert_eq!(
                of_disposition(value.as_bytes()).as_deref(),
                expected,
                "{value}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_name_is_safe_and_stays_as_it_is(proposed: Vec<u8>) {
            if let Some(name) = clean(&proposed) {
                prop_assert!(!name.starts_with('.') && name.len() <= MAX_LENGTH + 1);
                prop_assert!(!name.contains(['/', '\\', '\0', '\n']));
                prop_assert_eq!(clean(name.as_bytes()), Some(name));
            }
        }
    }
}
