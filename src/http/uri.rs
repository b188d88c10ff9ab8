//! Request targets: telling path from arguments, decoding and normalising the path.

use std::borrow::Cow;

use super::Span;
use super::escape::{Unescape, decode, unescape};

/// What a request target was found to consist of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// Where the path as it was sent lies in the target, without `?` and `#`.
    pub raw_path: Span,
    /// Where the arguments lie in the target, without the `?`; empty if there are none.
    pub args: Span,
    /// The path is in its normal form as it was sent.
    pub plain: bool,
    /// There was a `%XX` in the path.
    pub quoted: bool,
    /// There was a `+` in the path.
    pub plus: bool,
}

/// The target cannot be normalised: a wrong `%XX`, `%00`, or `..` leading out of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUri;

/// Splits a target (`/path?args`, or `?args` behind a bare host) and normalises its path.
///
/// The path in its normal form replaces the content of `path`: `%XX` decoded, `.` and `..` resolved,
/// repeated slashes merged unless `merge_slashes` is off, the fragment dropped. One with nothing to
/// decode or resolve costs one scan.
pub fn parse(target: &[u8], merge_slashes: bool, path: &mut Vec<u8>) -> Result<Uri, InvalidUri> {
    let mut uri = inspect(target);
    let raw = uri.raw_path.of(target);
    if uri.plain {
        path.clear();
        path.extend_from_slice(raw);
    } else {
        normalise(raw, merge_slashes, path, &mut uri)?;
    }
    Ok(uri)
}

/// Whether a target can stand in an HTTP/2 or HTTP/3 `:path`: it starts with `/` and has neither
/// spaces nor control bytes.
pub fn is_valid_target(target: &[u8]) -> bool {
    target.first() == Some(&b'/') && !target.iter().any(|&byte| byte <= b' ' || byte == 0x7f)
}

/// Finds the parts of a target and whether the path needs normalising at all.
fn inspect(target: &[u8]) -> Uri {
    let mut uri = Uri {
        plain: target.first() != Some(&b'?'),
        ..Uri::default()
    };
    let (mut end, mut behind_slash) = (0, usize::MAX);
    while let Some(&byte) = target.get(end) {
        match byte {
            b'/' | b'.' if end == behind_slash => uri.plain = false,
            b'/' => behind_slash = end + 1,
            b'%' => (uri.plain, uri.quoted) = (false, true),
            b'+' => uri.plus = true,
            b'?' | b'#' => break,
            _ => {}
        }
        end += 1;
    }
    uri.raw_path = Span::new(0, end);
    if target.get(end) == Some(&b'?') {
        let args = &target[end + 1..];
        let length = memchr::memchr(b'#', args).unwrap_or(args.len());
        uri.args = Span::new(end + 1, end + 1 + length);
    }
    uri
}

/// What the bytes since the last slash look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Usual,
    Empty,
    Dot,
    DotDot,
}

fn normalise(path: &[u8], merge: bool, out: &mut Vec<u8>, uri: &mut Uri) -> Result<(), InvalidUri> {
    out.clear();
    out.reserve(path.len() + 1);
    if path.is_empty() {
        out.push(b'/');
    }
    let mut segment = Segment::Usual;
    let mut rest = path.iter();
    while let Some(&raw) = rest.next() {
        let mut byte = raw;
        if raw == b'%' {
            let (Some(&high), Some(&low)) = (rest.next(), rest.next()) else {
                return Err(InvalidUri);
            };
            byte = decode(high, low)
                .filter(|&byte| byte != 0)
                .ok_or(InvalidUri)?;
        }
        uri.plus |= byte == b'+';
        segment = match (segment, byte) {
            (Segment::Empty, b'/') if merge => Segment::Empty,
            (Segment::Dot, b'/') => {
                out.pop();
                Segment::Empty
            }
            (Segment::DotDot, b'/') => {
                climb(out)?;
                Segment::Empty
            }
            _ => {
                out.push(byte);
                following(segment, byte)
            }
        };
    }
    match segment {
        Segment::Dot => drop(out.pop()),
        Segment::DotDot => climb(out)?,
        Segment::Usual | Segment::Empty => {}
    }
    Ok(())
}

/// The look of a segment after one more byte of it (or the slash that ends it).
fn following(segment: Segment, byte: u8) -> Segment {
    match (byte, segment) {
        (b'/', _) => Segment::Empty,
        (b'.', Segment::Empty) => Segment::Dot,
        (b'.', Segment::Dot) => Segment::DotDot,
        _ => Segment::Usual,
    }
}

/// Removes the `/..` at the end together with the segment before it.
fn climb(out: &mut Vec<u8>) -> Result<(), InvalidUri> {
    let before = out.len().checked_sub(3).ok_or(InvalidUri)?;
    let slash = out[..before]
        .iter()
        .rposition(|&byte| byte == b'/')
        .ok_or(InvalidUri)?;
    out.truncate(slash + 1);
    Ok(())
}

/// The value of an argument as it was sent, its name in any letter case: the first of that name.
pub fn argument<'a>(args: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    args.split(|&byte| byte == b'&').find_map(|pair| {
        let (found, value) = pair.split_at_checked(name.len())?;
        let value = value.strip_prefix(b"=")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Splits and decodes a URI named by an upstream or a client (`X-Accel-Redirect`, `Destination`,
/// an SSI include) and refuses it if it could lead out of the document root.
///
/// Gives the decoded path and the arguments; `None` if the URI is empty, starts with `?`, holds a
/// NUL byte or has `..` as a segment. More careful than nginx in one point: `/..?` is refused too.
pub fn parse_unsafe(uri: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = memchr::memchr(b'?', uri);
    let (path, args) = match end {
        Some(at) => (&uri[..at], &uri[at + 1..]),
        None => (uri, &b""[..]),
    };
    if path.is_empty() || is_unsafe(path) {
        return None;
    }
    if memchr::memchr(b'%', path).is_none() {
        return Some((Cow::Borrowed(path), args));
    }
    let mut decoded = Vec::with_capacity(path.len());
    unescape(path, Unescape::All, &mut decoded);
    (!is_unsafe(&decoded)).then_some((Cow::Owned(decoded), args))
}

fn is_unsafe(path: &[u8]) -> bool {
    path.contains(&0)
        || path
            .split(|&byte| byte == b'/')
            .any(|segment| segment == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(target: &[u8], merge: bool) -> Result<(Vec<u8>, Vec<u8>), InvalidUri> {
        let mut path = Vec::new();
        let uri = parse(target, merge, &mut path)?;
        Ok((path, uri.args.of(target).to_vec()))
    }

    #[test]
    fn paths_are_decoded_and_resolved() {
        let cases = [
            ("/", "/", ""),
            ("/a/b.html", "/a/b.html", ""),
            ("/a?b=c", "/a", "b=c"),
            ("/a?", "/a", ""),
            ("?a", "/", "a"),
            ("/?a?b/../c//d%20", "/", "a?b/../c//d%20"),
            ("/a#f?b", "/a", ""),
            ("/a?b#f", "/a", "b"),
            ("/%61%2Fb", "/a/b", ""),
            ("/a%3Fb%23c%25d", "/a?b#c%d", ""),
            ("/a%2541", "/a%41", ""),
            ("/a//b///c", "/a/b/c", ""),
            ("/a%2f%2fb", "/a/b", ""),
            ("/./a/./b/.", "/a/b/", ""),
            ("/a/b/..", "/a/", ""),
            ("/a/b/../c", "/a/c", ""),
            ("/a/%2e%2E/c", "/c", ""),
            ("/a/.%2e/c", "/c", ""),
            ("/a/..?x", "/", "x"),
            ("/a/.?x", "/a/", "x"),
            ("/a/...", "/a/...", ""),
            ("/.a/..b", "/.a/..b", ""),
            ("/a+b%2b", "/a+b+", ""),
            ("/a/./../b", "/b", ""),
            ("/a/b/../../c", "/c", ""),
            ("/\u{e4}", "/\u{e4}", ""),
        ];
        for (target, path, args) in cases {
            let expected = (path.as_bytes().to_vec(), args.as_bytes().to_vec());
            assert_eq!(normal(target.as_bytes(), true), Ok(expected), "{target}");
        }
    }

    #[test]
    fn slashes_stay_when_not_merged() {
        let cases = [
            ("//a//b", "//a//b"),
            ("/a//../b", "/a/b"),
            ("//..", "/"),
            ("/a///", "/a///"),
        ];
        for (target, path) in cases {
            let got = normal(target.as_bytes(), false).map(|(path, _)| path);
            assert_eq!(got, Ok(path.as_bytes().to_vec()), "{target}");
        }
    }

    #[test]
    fn what_cannot_be_normalised_is_an_error() {
        for target in [
            "/..", "/../", "/../a", "/a/../..", "/%", "/%4", "/%4g", "/%00", "/a%00b", "//..",
        ] {
            assert_eq!(normal(target.as_bytes(), true), Err(InvalidUri), "{target}");
        }
    }

    #[test]
    fn flags_tell_what_was_in_the_path() {
        let flags = |target: &[u8]| {
            let uri = parse(target, true, &mut Vec::new()).unwrap();
            (uri.plain, uri.quoted, uri.plus)
        };
        assert_eq!(flags(b"/a?%20+"), (true, false, false));
        assert_eq!(flags(b"/a+?b"), (true, false, true));
        assert_eq!(flags(b"/%2b"), (false, true, true));
        assert_eq!(flags(b"/a/../b"), (false, false, false));
    }

    #[test]
    fn arguments_are_found_by_name() {
        let args = b"ab=1&A=2&a=3&b&c=";
        let cases: [(&[u8], Option<&[u8]>); 5] = [
            (b"a", Some(b"2")),
            (b"ab", Some(b"1")),
            (b"b", None),
            (b"c", Some(b"")),
            (b"d", None),
        ];
        for (name, value) in cases {
            assert_eq!(argument(args, name), value);
        }
    }

    #[test]
    fn unsafe_uris_are_refused() {
        let cases = [
            ("/a/b?c", Some(("/a/b", "c"))),
            ("a", Some(("a", ""))),
            ("/a%20b?%20", Some(("/a b", "%20"))),
            ("/a..b/..c", Some(("/a..b/..c", ""))),
            ("", None),
            ("?a", None),
            ("..", None),
            ("../a", None),
            ("/a/..", None),
            ("/a/../b", None),
            ("/a/%2e%2e/b", None),
            ("/a%2f..", None),
            ("/a%00", None),
            ("/a/..?b", None),
        ];
        for (uri, expected) in cases {
            let expected = expected.map(|(p, a)| (p.as_bytes().to_vec(), a.as_bytes().to_vec()));
            let got = parse_unsafe(uri.as_bytes()).map(|(p, a)| (p.into_owned(), a.to_vec()));
            assert_eq!(got, expected, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_path_has_no_dot_segments_and_no_double_slashes(
            target in "/([a-c./%+]|%2[ef]|%41){0,24}"
        ) {
            if let Ok((path, _)) = normal(target.as_bytes(), true) {
                prop_assert_eq!(path[0], b'/');
                let segments: Vec<_> = path[1..].split(|&b| b == b'/').collect();
                let (last, others) = segments.split_last().unwrap();
                prop_assert!(others.iter().all(|s| !s.is_empty() && *s != b"." && *s != b".."));
                prop_assert!(*last != b"." && *last != b"..");
            }
        }

        #[test]
        fn normalising_twice_changes_nothing(target in "/([a-c./+]|%2[ef]|%41){0,24}") {
            if let Ok((once, _)) = normal(target.as_bytes(), true) {
                let (twice, _) = normal(&once, true).unwrap();
                prop_assert_eq!(twice, once);
            }
        }

        #[test]
        fn any_bytes_are_survived(target: Vec<u8>, merge: bool) {
            let _ = normal(&target, merge);
            let _ = parse_unsafe(&target);
        }
    }
}
