//! A directory's listing as HTML, XML, JSON or JSONP, in the syntax nginx gives them.

use std::io::Write as _;

use crate::http::escape::{Escape, escape, escape_html, escape_json};

/// One file of the directory; `.`, `..` and hidden files are not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without a path.
    pub name: Vec<u8>,
    /// Whether it is a directory, or a link to one.
    pub is_dir: bool,
    /// Whether it is a regular file, or a link to one; what is neither counts as "other".
    pub is_file: bool,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last modified, in seconds since 1970.
    pub mtime: i64,
}

/// The directories first, then the files, each by name.
pub fn sort(entries: &mut [Entry]) {
    entries.sort_unstable_by(|a, b| b.is_dir.cmp(&a.is_dir).then_with(|| a.name.cmp(&b.name)));
}

/// How `autoindex_format html` shows times and sizes.
#[derive(Clone, Copy, Debug)]
pub struct HtmlStyle {
    /// Seconds to add to UTC: those of the local time zone if `autoindex_localtime` is on.
    pub utc_offset: i64,
    /// Whether sizes are in bytes (`autoindex_exact_size`) or rounded to K, M and G.
    pub exact_size: bool,
}

/// The longest name shown whole, in characters; a link's `href` and `title` always are.
const NAME_WIDTH: usize = 50;

const HTML_HEAD: &str =
    "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Index of ";

/// The list stays the preformatted text that scripts read from nginx's pages: a link, spaces, a date,
/// a size. As a grid it becomes a table, whose cells are the links and the texts between them; texts
/// are aligned by their ends, so the spaces before the dates hang out unseen.
const HTML_STYLE: &str = "</title>
<meta name=\"viewport\" content=\"width=device-width\">
<style>
:root{color-scheme:light dark;--line:light-dark(#e3ddd4,#383430);--link:light-dark(#a33f28,#f0957a);--dim:light-dark(#6b635b,#a8a097)}
body{max-width:60rem;margin:0 auto;padding:4vh 5vw;font:1rem/1.5 system-ui,sans-serif;background:light-dark(#faf8f5,#1b1a19);color:light-dark(#2b2622,#e8e3dc)}
h1{font-size:1.5rem;font-weight:600;overflow-wrap:anywhere}
hr{display:none}
pre{display:grid;grid-template-columns:1fr 38ch;justify-items:end;overflow:hidden;margin:0;border-bottom:1px solid var(--line);font:.85rem/2.75 ui-monospace,monospace;color:var(--dim)}
a{grid-column:1;justify-self:start;position:relative;z-index:1;padding:.4rem 0 .4rem 2rem;font:1rem/1.5 system-ui,sans-serif;white-space:normal;overflow-wrap:anywhere;color:var(--link);text-decoration:none}
a:hover,a:focus-visible{text-decoration:underline}
a::before{content:\"\";position:absolute;left:.4rem;top:.65rem;width:.8rem;height:1rem;box-sizing:border-box;border:1.5px solid var(--dim);border-radius:1px 5px 1px 1px}
a[href$=\"/\"]::before{left:.25rem;top:.75rem;width:1.1rem;height:.8rem;border-color:var(--link);border-radius:2px 5px 2px 2px;background:var(--link)}
a[href=\"../\"]::before{background:none}
a::after{content:\"\";position:absolute;left:0;top:0;width:100vw;border-top:1px solid var(--line)}
@media(max-width:44rem){pre{grid-template-columns:1fr;justify-items:start;padding-left:2rem;white-space:pre-line;line-height:2}a{margin-left:-2rem;padding-bottom:0}}
</style>
</head>
<body>
<h1>Index of ";

/// The page of `path`, the decoded URI of the directory.
pub fn html(path: &[u8], entries: &[Entry], style: HtmlStyle) -> Vec<u8> {
    let mut page = Vec::with_capacity(HTML_STYLE.len() + 256 + 160 * entries.len());
    page.extend_from_slice(HTML_HEAD.as_bytes());
    escape_html(path, &mut page);
    page.extend_from_slice(HTML_STYLE.as_bytes());
    escape_html(path, &mut page);
    page.extend_from_slice(b"</h1><hr><pre><a href=\"../\">../</a>\r\n");
    for entry in entries {
        html_line(&mut page, entry, style);
    }
    page.extend_from_slice(b"</pre><hr>\n</body>\n</html>\n");
    page
}

fn html_line(page: &mut Vec<u8>, entry: &Entry, style: HtmlStyle) {
    let slash = if entry.is_dir { "/" } else { "" };
    let (name, omitted) = shortened(&entry.name);
    page.extend_from_slice(b"<a href=\"");
    escape(&entry.name, Escape::UriComponent, page);
    page.extend_from_slice(slash.as_bytes());
    if omitted {
        page.extend_from_slice(b"\" title=\"");
        escape_html(&entry.name, page);
    }
    page.extend_from_slice(b"\">");
    escape_html(name, page);
    page.extend_from_slice(if omitted { b"..&gt;" } else { slash.as_bytes() });
    page.extend_from_slice(b"</a>");
    let shown = if omitted {
        NAME_WIDTH
    } else {
        width(name) + slash.len()
    };
    let padding = (NAME_WIDTH + 1).saturating_sub(shown).max(1);
    let time = Calendar::of(entry.mtime.saturating_add(style.utc_offset));
    let size = size_column(entry, style.exact_size);
    append(
        page,
        format_args!("{:padding$}{} {size}\r\n", "", time.listed()),
    );
}

/// The name as shown, and whether its end was cut off.
fn shortened(name: &[u8]) -> (&[u8], bool) {
    if width(name) <= NAME_WIDTH {
        return (name, false);
    }
    let kept = NAME_WIDTH - "..>".len();
    let end = match str::from_utf8(name) {
        Ok(text) => text
            .char_indices()
            .nth(kept)
            .map_or(name.len(), |(at, _)| at),
        Err(_) => kept,
    };
    (&name[..end], true)
}

/// The name's length in characters, or in bytes if it is not UTF-8.
fn width(name: &[u8]) -> usize {
    str::from_utf8(name).map_or(name.len(), |text| text.chars().count())
}

/// The size, right-aligned; directories have none to show.
fn size_column(entry: &Entry, exact: bool) -> String {
    match (exact, entry.is_dir) {
        (true, true) => format!("{:>19}", "-"),
        (true, false) => format!("{:>19}", entry.size),
        (false, true) => format!("{:>7}", "-"),
        (false, false) => rounded(entry.size),
    }
}

/// A size in bytes up to 9999, then in whole K, M or G, rounded.
fn rounded(size: u64) -> String {
    const K: u64 = 1 << 10;
    const M: u64 = 1 << 20;
    const G: u64 = 1 << 30;
    let (unit, letter) = match size {
        0..=9999 => return format!(" {size:>6}"),
        10_000..M => (K, 'K'),
        M..G => (M, 'M'),
        _ => (G, 'G'),
    };
    // Half a unit rounds up.
    let whole = size / unit + u64::from(size % unit >= unit / 2);
    format!("{whole:>6}{letter}")
}

/// `autoindex_format xml`: a `directory`, `file` or `other` element each.
pub fn xml(entries: &[Entry]) -> Vec<u8> {
    let mut text = b"<?xml version=\"1.0\"?>\r\n<list>\r\n".to_vec();
    for entry in entries {
        let kind = kind(entry);
        append(
            &mut text,
            format_args!("<{kind} mtime=\"{}\"", Calendar::of(entry.mtime).iso()),
        );
        if entry.is_file {
            append(&mut text, format_args!(" size=\"{}\"", entry.size));
        }
        text.push(b'>');
        escape_html(&entry.name, &mut text);
        append(&mut text, format_args!("</{kind}>\r\n"));
    }
    text.extend_from_slice(b"</list>\r\n");
    text
}

/// `autoindex_format json`: an array of objects.
pub fn json(entries: &[Entry]) -> Vec<u8> {
    let mut text = vec![b'['];
    for (index, entry) in entries.iter().enumerate() {
        text.extend_from_slice(if index == 0 {
            b"\r\n{ \"name\":\""
        } else {
            b",\r\n{ \"name\":\""
        });
        escape_json(&entry.name, &mut text);
        let (kind, time) = (kind(entry), Calendar::of(entry.mtime).http());
        append(
            &mut text,
            format_args!("\", \"type\":\"{kind}\", \"mtime\":\"{time}\""),
        );
        if entry.is_file {
            append(&mut text, format_args!(", \"size\":{}", entry.size));
        }
        text.extend_from_slice(b" }");
    }
    text.extend_from_slice(b"\r\n]");
    text
}

/// `autoindex_format jsonp`: the same, handed to a function that [`is_callback`] accepts.
pub fn jsonp(entries: &[Entry], callback: &[u8]) -> Vec<u8> {
    [b"/* callback */\r\n", callback, b"(", &json(entries), b");"].concat()
}

/// Whether a client's `callback` argument is a name of a function and nothing else. An empty one is not
/// asked about: then the answer is plain JSON.
pub fn is_callback(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    name.len() <= 128 && name.iter().all(allowed)
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry { is_dir: true, .. } => "directory",
        Entry { is_file: true, .. } => "file",
        _ => "other",
    }
}

fn append(text: &mut Vec<u8>, arguments: std::fmt::Arguments) {
    // Writing to a vector cannot fail.
    let _ = text.write_fmt(arguments);
}

/// A time of day on a date of the Gregorian calendar. Unlike a date of HTTP, it takes whatever times a
/// file system holds; as in nginx's listings, no time is before 1970.
struct Calendar {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Calendar {
    /// The date `time` seconds after the start of 1970. Years are counted from a first of March, so that
    /// a leap day is the last day of its year; the calendar repeats every 400 years, or 146,097 days.
    fn of(time: i64) -> Calendar {
        let (days, second) = (time.max(0) / 86_400, time.max(0) % 86_400);
        let since_march_0 = days + 719_468;
        let (era, day) = (since_march_0 / 146_097, since_march_0 % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        // Months from March have 31, 30, 31, 30, 31 days, over and over: 153 in five.
        let month = (5 * day_of_year + 2) / 153;
        Calendar {
            year: era * 400 + year + i64::from(month >= 10),
            month: ((month + 2) % 12) as usize,
            day: day_of_year - (153 * month + 2) / 5 + 1,
            // 1 January 1970 was a Thursday.
            weekday: ((days + 4) % 7) as usize,
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }

    /// `02-Jan-2006 15:04`, as HTML listings have it.
    fn listed(&self) -> String {
        let Calendar {
            year,
            month,
            day,
            hour,
            minute,
            ..
        } = self;
        format!("{day:02}-{}-{year} {hour:02}:{minute:02}", MONTHS[*month])
    }

    /// `2006-01-02T15:04:05Z`.
    fn iso(&self) -> String {
        let Calendar {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!(
            "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z",
            month + 1
        )
    }

    /// `Mon, 02 Jan 2006 15:04:05 GMT` (RFC 9110 section 5.6.7).
    fn http(&self) -> String {
        let Calendar {
            year,
            month,
            day,
            weekday,
            hour,
            minute,
            second,
        } = self;
        let (weekday, month) = (WEEKDAYS[*weekday], MONTHS[*month]);
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: HtmlStyle = HtmlStyle {
        utc_offset: 0,
        exact_size: true,
    };
    const TIME: i64 = 1_136_214_245; // Mon, 02 Jan 2006 15:04:05 GMT

    fn file(name: &str, size: u64) -> Entry {
        Entry {
            name: name.into(),
            is_dir: false,
            is_file: true,
            size,
            mtime: TIME,
        }
    }

    fn dir(name: &str) -> Entry {
        Entry {
            name: name.into(),
            is_dir: true,
            is_file: false,
            size: 4096,
            mtime: TIME,
        }
    }

    fn socket(name: &str) -> Entry {
        Entry {
            name: name.into(),
            is_dir: false,
            is_file: false,
            size: 0,
            mtime: TIME,
        }
    }

    fn string(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    fn line(entry: Entry, style: HtmlStyle) -> String {
        let page = string(html(b"/", &[entry], style));
        page.split("\r\n").nth(1).unwrap().to_owned()
    }

    #[test]
    fn directories_come_first() {
        let mut entries = [file("b", 1), dir("z"), file("B", 1), socket("a"), dir("c")];
        sort(&mut entries);
        let names: Vec<_> = entries
            .iter()
            .map(|entry| string(entry.name.clone()))
            .collect();
        assert_eq!(names, ["c", "z", "B", "a", "b"]);
    }

    #[test]
    fn html_lines_read_as_nginx_writes_them() {
        let pad = |name: &str| " ".repeat(51 - name.len());
        for (entry, expected) in [
            (
                file("a.txt", 42),
                format!(
                    "<a href=\"a.txt\">a.txt</a>{}02-Jan-2006 15:04 {:>19}",
                    pad("a.txt"),
                    42
                ),
            ),
            (
                dir("sub"),
                format!(
                    "<a href=\"sub/\">sub/</a>{}02-Jan-2006 15:04 {:>19}",
                    pad("sub/"),
                    "-"
                ),
            ),
            (
                file("a:b?%\"é", 0),
                format!(
                    "<a href=\"a%3Ab%3F%25%22%C3%A9\">a:b?%&quot;é</a>{}02-Jan-2006 15:04 {:>19}",
                    pad("1234567"),
                    0
                ),
            ),
        ] {
            assert_eq!(line(entry, STYLE), expected);
        }
        let local = HtmlStyle {
            utc_offset: 3_600,
            ..STYLE
        };
        assert!(line(file("a", 1), local).contains("02-Jan-2006 16:04"));
    }

    #[test]
    fn html_cuts_long_names_by_characters() {
        let long = "ф".repeat(51);
        let shown = format!("title=\"{long}\">{}..&gt;</a> 02-Jan", "ф".repeat(47));
        assert!(line(file(&long, 1), STYLE).contains(&shown));
        let fits = "ф".repeat(50);
        assert!(line(file(&fits, 1), STYLE).contains(&format!("\">{fits}</a> 02-Jan")));
        let latin = Entry {
            name: vec![0xe9; 51],
            ..file("", 1)
        };
        let page = html(b"/", &[latin], STYLE);
        assert!(
            page.windows(54)
                .any(|part| part[..47] == [0xe9; 47] && part[47..] == *b"..&gt;<")
        );
    }

    #[test]
    fn html_escapes_the_path() {
        let page = string(html(b"/<&>/", &[], STYLE));
        assert_eq!(page.matches("Index of /&lt;&amp;&gt;/<").count(), 2);
    }

    #[test]
    fn sizes_are_rounded_as_nginx_rounds_them() {
        for (size, expected) in [
            (0, "      0"),
            (9_999, "   9999"),
            (10_000, "    10K"),
            (10_751, "    10K"),
            (10_752, "    11K"),
            (1_048_575, "  1024K"),
            (1_048_576, "     1M"),
            (1_572_864, "     2M"),
            (1_073_741_823, "  1024M"),
            (1_073_741_824, "     1G"),
        ] {
            assert_eq!(rounded(size), expected);
        }
        assert_eq!(size_column(&dir("d"), false), "      -");
    }

    #[test]
    fn xml_names_what_each_is() {
        assert_eq!(
            string(xml(&[dir("d"), file("<a>", 7), socket("s")])),
            "<?xml version=\"1.0\"?>\r\n<list>\r\n\
             <directory mtime=\"2006-01-02T15:04:05Z\">d</directory>\r\n\
             <file mtime=\"2006-01-02T15:04:05Z\" size=\"7\">&lt;a&gt;</file>\r\n\
             <other mtime=\"2006-01-02T15:04:05Z\">s</other>\r\n\
             </list>\r\n"
        );
    }

    #[test]
    fn json_lists_objects() {
        assert_eq!(string(json(&[])), "[\r\n]");
        assert_eq!(
            string(json(&[dir("d"), file("a\"\\\n\u{1f}é", 7)])),
            "[\r\n{ \"name\":\"d\", \"type\":\"directory\", \"mtime\":\"Mon, 02 Jan 2006 15:04:05 GMT\" },\r\n\
             { \"name\":\"a\\\"\\\\\\n\\u001Fé\", \"type\":\"file\", \
             \"mtime\":\"Mon, 02 Jan 2006 15:04:05 GMT\", \"size\":7 }\r\n]"
        );
        assert_eq!(string(jsonp(&[], b"a.b")), "/* callback */\r\na.b([\r\n]);");
    }

    #[test]
    fn callbacks_are_plain_names() {
        for (name, allowed) in [
            ("a.B_1", true),
            ("", true),
            ("a(", false),
            ("a-b", false),
            ("é", false),
        ] {
            assert_eq!(is_callback(name.as_bytes()), allowed, "{name}");
        }
        assert!(is_callback(&[b'a'; 128]));
        assert!(!is_callback(&[b'a'; 129]));
    }

    #[test]
    fn any_time_has_a_date() {
        for (time, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (253_402_300_800, "Sat, 01 Jan 10000 00:00:00 GMT"),
        ] {
            assert_eq!(Calendar::of(time).http(), expected);
        }
        for time in [i64::MIN, i64::MAX] {
            assert!(!Calendar::of(time).listed().is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn dates_are_those_of_httpdate(time in 0_u64..253_402_300_800) {
            let known = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time);
            assert_eq!(Calendar::of(time as i64).http(), httpdate::fmt_http_date(known));
        }
    }
}
