//! Escaping and unescaping text for URIs, HTML and JSON, by nginx's rules.

/// Which bytes a percent-escaping replaces by `%XX`.
///
/// All of the URI sets replace control bytes, space, `"`, `<`, `>`, `\`, `^`, `` ` ``, `{`, `|` and
/// every byte from 0x7F on; the variants say what comes on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// A path: also `#`, `%`, `?` and `}`.
    Uri,
    /// A query argument: also `#`, `%`, `&`, `+`, `;`, `?` and `}`.
    Args,
    /// One component: everything but letters, digits, `-`, `.`, `_` and `~`.
    UriComponent,
    /// A link inside an HTML page: also `#`, `%`, `'` and `}`.
    Html,
    /// A link in a refresh header: also `'` and `~`.
    Refresh,
    /// A memcached key: only control bytes, space and `%`.
    Memcached,
}

type Set = [bool; 256];

static SETS: [Set; 6] = [
    uri_set(b"#%?}"),
    uri_set(b"#%&+;?}"),
    uri_set(b"#%?}!$&'()*+,/:;=@[]"),
    uri_set(b"#%'}"),
    uri_set(b"'~"),
    with(b" %", 256),
];

const fn uri_set(extra: &[u8]) -> Set {
    let mut set = with(extra, 0x7f);
    let common = b" \"<>\\^`{|";
    let mut i = 0;
    while i < common.len() {
        set[common[i] as usize] = true;
        i += 1;
    }
    set
}

/// The control bytes, the bytes from `high` on, and `extra`.
const fn with(extra: &[u8], high: usize) -> Set {
    let mut set = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        set[byte] = byte < 0x20 || byte >= high;
        byte += 1;
    }
    let mut i = 0;
    while i < extra.len() {
        set[extra[i] as usize] = true;
        i += 1;
    }
    set
}

impl Escape {
    /// Whether this byte is replaced.
    pub fn replaces(self, byte: u8) -> bool {
        SETS[self as usize][byte as usize]
    }
}

/// Appends `text` to `out`, with the bytes of the set as `%XX` in upper-case hexadecimal.
pub fn escape(text: &[u8], set: Escape, out: &mut Vec<u8>) {
    out.reserve(text.len());
    for &byte in text {
        if set.replaces(byte) {
            out.extend([b'%', upper_hex(byte >> 4), upper_hex(byte & 15)]);
        } else {
            out.push(byte);
        }
    }
}

/// How far [`unescape`] goes and what it leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unescape {
    /// Decodes everything.
    All,
    /// Decodes a path: stops behind the first `?`, raw or escaped.
    Uri,
    /// Like `Uri`, but keeps what must stay escaped in a redirect: bytes up to `%` and from 0x7F.
    Redirect,
}

/// Appends `text` to `out` with `%XX` decoded; gives the number of bytes of `text` used.
///
/// An incomplete or wrong escape loses its `%` and the digits read so far, as in nginx.
pub fn unescape(text: &[u8], mode: Unescape, out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte != b'%' {
            out.push(byte);
            if byte == b'?' && mode != Unescape::All {
                break;
            }
            continue;
        }
        let digits = (text.get(at).copied(), text.get(at + 1).copied());
        at += 2;
        match digits {
            (Some(high), Some(low)) if high.is_ascii_hexdigit() => {
                let Some(decoded) = decode(high, low) else {
                    continue;
                };
                if decoded == b'?' && mode != Unescape::All {
                    out.push(decoded);
                    break;
                }
                if mode == Unescape::Redirect && !(decoded > b'%' && decoded < 0x7f) {
                    out.extend([b'%', high, low]);
                } else {
                    out.push(decoded);
                }
            }
            (Some(wrong), _) if !wrong.is_ascii_hexdigit() => {
                out.push(wrong);
                at -= 1;
            }
            _ => {}
        }
    }
    at.min(text.len())
}

/// The byte two hexadecimal digits stand for.
pub(crate) fn decode(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

fn upper_hex(nibble: u8) -> u8 {
    b"0123456789ABCDEF"[(nibble & 15) as usize]
}

/// Appends `text` to `out` with `<`, `>`, `&` and `"` as character references.
pub fn escape_html(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'<' => out.extend(b"&lt;"),
            b'>' => out.extend(b"&gt;"),
            b'&' => out.extend(b"&amp;"),
            b'"' => out.extend(b"&quot;"),
            _ => out.push(byte),
        }
    }
}

/// Appends `text` to `out` as the inside of a JSON string; bytes from 0x7F on stay as they are.
pub fn escape_json(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            8 => out.extend(b"\\b"),
            12 => out.extend(b"\\f"),
            0..0x20 => out.extend([b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), upper_hex(byte)]),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str, set: Escape) -> String {
        let mut out = Vec::new();
        escape(text.as_bytes(), set, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_set_replaces_its_own_bytes() {
        let punctuation = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
        let expected = [
            (
                Escape::Uri,
                "%20!%22%23$%25&'()*+,-./:;%3C=%3E%3F@[%5C]%5E_%60%7B%7C%7D~",
            ),
            (
                Escape::Args,
                "%20!%22%23$%25%26'()*%2B,-./:%3B%3C=%3E%3F@[%5C]%5E_%60%7B%7C%7D~",
            ),
            (
                Escape::Html,
                "%20!%22%23$%25&%27()*+,-./:;%3C=%3E?@[%5C]%5E_%60%7B%7C%7D~",
            ),
            (
                Escape::Refresh,
                "%20!%22#$%&%27()*+,-./:;%3C=%3E?@[%5C]%5E_%60%7B%7C}%7E",
            ),
            (Escape::Memcached, "%20!\"#$%25&'()*+,-./:;<=>?@[\\]^_`{|}~"),
            (
                Escape::UriComponent,
                "%20%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E_%60%7B%7C%7D~",
            ),
        ];
        for (set, text) in expected {
            assert_eq!(escaped(punctuation, set), text, "{set:?}");
        }
        assert_eq!(escaped("aZ09é\x7f\x01", Escape::Uri), "aZ09%C3%A9%7F%01");
    }

    #[test]
    fn unescaping_stops_and_forgives_as_nginx_does() {
        let cases = [
            ("a%20b", Unescape::All, "a b", 5),
            ("a%2fb?c%20", Unescape::Uri, "a/b?", 6),
            ("a%3Fb", Unescape::Uri, "a?", 4),
            ("a?%41", Unescape::All, "a?A", 5),
            ("%zz%1z%", Unescape::All, "zz", 7),
            ("%4", Unescape::All, "", 2),
            ("%20%41%7f", Unescape::Redirect, "%20A%7f", 9),
        ];
        for (text, mode, expected, used) in cases {
            let mut out = Vec::new();
            assert_eq!(unescape(text.as_bytes(), mode, &mut out), used, "{text}");
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text}");
        }
    }

    #[test]
    fn html_and_json() {
        let mut out = Vec::new();
        escape_html(b"<a href=\"x\">&</a>", &mut out);
        assert_eq!(out, b"&lt;a href=&quot;x&quot;&gt;&amp;&lt;/a&gt;");
        out.clear();
        escape_json(b"a\"\\\n\r\t\x08\x0c\x01\x1f\xff", &mut out);
        assert_eq!(out, b"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001F\xff");
    }

    proptest! {
        #[test]
        fn unescaping_undoes_escaping(text: Vec<u8>) {
            for set in [Escape::Uri, Escape::Args, Escape::UriComponent, Escape::Memcached] {
                let (mut there, mut back) = (Vec::new(), Vec::new());
                escape(&text, set, &mut there);
                unescape(&there, Unescape::All, &mut back);
                prop_assert_eq!(&back, &text);
            }
        }
    }
}
