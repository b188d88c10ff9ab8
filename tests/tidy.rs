//! Keeps the tree in the shape ARCHITECTURE.md draws: which layer may use which, where `unsafe` may
//! live, how long a function may grow. It reads text, not syntax trees: comments and strings are
//! blanked out, the rest is matched by words. That is quick and has been exact enough.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Declares the folders under `src/`, lowest first: each may use itself and those before it.
const CRATE_ROOT: &str = include_str!("../src/lib.rs");

/// Pairs (user, used) that the order alone would allow: connections and processes are driven without
/// knowing any capability, so that a new capability never touches them.
const STRANGERS: [(&str, &str); 4] = [
    ("worker", "config"),
    ("worker", "upstream"),
    ("worker", "modules"),
    ("master", "modules"),
];

/// The one folder that may hold `unsafe` blocks and `libc` calls.
const UNSAFE_HOME: &str = "src/sys/";

/// Lines of code (no comments, no blank lines) that a function may have.
const MAX_FUNCTION: usize = 80;

/// Lines of code that a file may have outside its tests.
const MAX_FILE: usize = 500;

/// Calls that end the process where an error should have been returned, and leftovers of debugging.
const BANNED: [&str; 7] = [
    ".unwrap()",
    ".unwrap_err()",
    ".expect(",
    ".expect_err(",
    "todo!",
    "unimplemented!",
    "dbg!",
];

/// Traces of whoever worked on the tree: paths of a machine, and references to a tracker, neither of which
/// says anything to a reader. Spelled in two halves so that this file does not name them itself.
const TRACES: [(&str, &str); 4] = [
    ("/wo", "rk/"),
    ("/opt", "/ref"),
    ("/opt", "/wt"),
    ("issue", " #"),
];

/// Folders and files that are not part of the source.
const IGNORED: [&str; 7] = [
    ".git",
    "target",
    "logs",
    "corpus",
    "artifacts",
    "coverage",
    "proptest-regressions",
];

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    list(root, root, &mut files);
    assert!(
        files.iter().any(|file| file == "src/lib.rs"),
        "found no source under {root:?}"
    );

    let mut report = String::new();
    for path in &files {
        let bytes = fs::read(root.join(path)).unwrap();
        for (line, what) in check(path, &String::from_utf8_lossy(&bytes)) {
            writeln!(report, "{path}:{line}: {what}").unwrap();
        }
    }
    assert!(report.is_empty(), "the tree is not tidy:\n{report}");
}

/// Collects the paths below `folder`, relative to `root`, in a stable order.
fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path
            .file_name()
            .is_some_and(|name| IGNORED.iter().any(|ignored| name == *ignored))
        {
            continue;
        }
        if path.is_dir() {
            list(root, &path, files);
        } else if path.is_file() {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            files.push(relative.to_string_lossy().into_owned());
        }
    }
}

/// A line number, counted from 1, and what is wrong there.
type Violation = (usize, String);

/// Everything wrong with one file, in the order of its lines.
fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = traces(text);
    if path.ends_with(".rs") {
        if !text.starts_with("//!") {
            found.push((
                1,
                "does not open with `//!` saying what the file is for".into(),
            ));
        }
        if path.starts_with("src/") {
            let source = Source::new(path, text);
            found.extend(layering(&source));
            found.extend(banned_calls(&source));
            found.extend(unsafety(&source));
            found.extend(lengths(&source));
        }
    }
    found.sort();
    found
}

// ---------------------------------------------------------------------------------------------
// The rules
// ---------------------------------------------------------------------------------------------

/// Names of a developer's machine or tracker.
fn traces(text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for (head, tail) in TRACES {
        let trace = format!("{head}{tail}");
        for (at, _) in text.match_indices(&trace) {
            if !ends_in_word(&text[..at]) {
                found.push((line_of(text, at), format!("names `{trace}`")));
            }
        }
    }
    found
}

/// Uses of a layer that the file's own layer must not know.
fn layering(source: &Source) -> Vec<Violation> {
    let Some(user) = source.layer() else {
        let crate_root = matches!(source.path, "src/lib.rs" | "src/main.rs");
        return if crate_root {
            vec![]
        } else {
            vec![(1, "lies in no layer's folder".into())]
        };
    };
    let mut found = Vec::new();
    for (at, used) in source.crate_paths() {
        let line = line_of(&source.code, at);
        // What has no rank is a macro or a constant of the crate's root.
        if rank(&used).is_some_and(|used| rank(user) < Some(used)) {
            found.push((line, format!("`{user}` is below `{used}`")));
        } else if STRANGERS.contains(&(user, &used)) {
            found.push((line, format!("`{user}` must not know `{used}`")));
        }
    }
    found
}

/// The layer's place in the order, counted from the lowest.
fn rank(layer: &str) -> Option<usize> {
    let modules = CRATE_ROOT
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    modules
        .map(|line| line.trim_end_matches(';'))
        .position(|module| module == layer)
}

/// Panics and leftovers outside tests.
fn banned_calls(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, code) in source.product_lines() {
        for call in BANNED {
            if code
                .match_indices(call)
                .any(|(at, _)| call.starts_with('.') || !ends_in_word(&code[..at]))
            {
                found.push((number, format!("`{call}` outside tests")));
            }
        }
    }
    found
}

/// `unsafe` and `libc` outside their home, and unsafe blocks that do not say why they are sound.
fn unsafety(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    let at_home = source.path.starts_with(UNSAFE_HOME);
    for word in ["unsafe", "libc"] {
        for at in words(&source.code, word) {
            let line = line_of(&source.code, at);
            let next = source.code[at + word.len()..].trim_start();
            if !at_home {
                found.push((line, format!("`{word}` outside {UNSAFE_HOME}")));
            } else if word == "unsafe"
                && (next.starts_with('{') || next.starts_with("impl"))
                && !source.is_justified(line)
            {
                found.push((line, "`unsafe` without a `// SAFETY:` comment above".into()));
            }
        }
    }
    if !at_home && let Some(at) = source.code.find("allow(unsafe_code") {
        found.push((
            line_of(&source.code, at),
            format!("allows unsafe code outside {UNSAFE_HOME}"),
        ));
    }
    found
}

/// Functions and files that grew too long.
fn lengths(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    let code_lines = |first: usize, last: usize| {
        source
            .product_lines()
            .filter(|(number, _)| (first..=last).contains(number))
            .count()
    };
    for at in words(&source.code, "fn") {
        // `fn(u8)` is a type, `fn name` an item.
        let is_item = source.code[at + 2..].trim_start().starts_with(is_word);
        let (first, last) = (
            line_of(&source.code, at),
            line_of(&source.code, item_end(&source.code, at)),
        );
        let length = code_lines(first, last);
        if is_item && length > MAX_FUNCTION {
            found.push((
                first,
                format!("a function of {length} lines of code, {MAX_FUNCTION} allowed"),
            ));
        }
    }
    let length = code_lines(1, usize::MAX);
    if length > MAX_FILE {
        found.push((
            1,
            format!("a file of {length} lines of code, {MAX_FILE} allowed"),
        ));
    }
    found
}

// ---------------------------------------------------------------------------------------------
// Reading a file
// ---------------------------------------------------------------------------------------------

/// One Rust file, read closely enough for the rules.
struct Source<'a> {
    /// Relative to the repository, with forward slashes.
    path: &'a str,
    text: &'a str,
    /// The text with comments turned to spaces and literals to quotes, every byte in its place.
    code: String,
    /// For each line: whether it belongs to a test.
    tests: Vec<bool>,
}

impl<'a> Source<'a> {
    fn new(path: &'a str, text: &'a str) -> Self {
        let code = scrub(text);
        let whole = path.ends_with("/tests.rs") || path.contains("/tests/");
        let mut tests = vec![whole; code.lines().count() + 1];
        for (at, _) in code.match_indices("#[cfg(test)]") {
            let lines = line_of(&code, at) - 1..line_of(&code, item_end(&code, at));
            tests[lines].fill(true);
        }
        Source {
            path,
            text,
            code,
            tests,
        }
    }

    /// The folder under `src/` that holds the file.
    fn layer(&self) -> Option<&'a str> {
        let (folder, _) = self.path.strip_prefix("src/")?.split_once('/')?;
        rank(folder).map(|_| folder)
    }

    /// The lines that hold code which is not a test's: number and code.
    fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self
            .code
            .lines()
            .enumerate()
            .map(|(index, code)| (index + 1, code));
        lines.filter(|(number, code)| !self.tests[number - 1] && !code.trim().is_empty())
    }

    /// Every first name after `crate::` (or after as many `super::` as lead there), with its place.
    fn crate_paths(&self) -> Vec<(usize, String)> {
        let mut paths = Vec::new();
        for at in words(&self.code, "crate") {
            paths.extend(names_after(&self.code, at + "crate".len()));
        }
        let folders = self.path.matches('/').count();
        let depth = if self.path.ends_with("/mod.rs") {
            folders - 1
        } else {
            folders
        };
        let climb = vec!["super"; depth].join("::");
        for at in words(&self.code, &climb) {
            // A test's own module is one deeper, so there the same climb ends inside the layer.
            if !self.tests[line_of(&self.code, at) - 1] {
                paths.extend(names_after(&self.code, at + climb.len()));
            }
        }
        paths
    }

    /// Whether the statement on `line` has a `// SAFETY:` comment on it or directly above it.
    fn is_justified(&self, line: usize) -> bool {
        let lines: Vec<(&str, &str)> = self.text.lines().zip(self.code.lines()).collect();
        // Upwards until an earlier statement ends, or the function begins.
        let ends =
            |code: &str| code.trim_end().ends_with([';', '}']) || !words(code, "fn").is_empty();
        let above = lines[..line - 1]
            .iter()
            .rev()
            .take_while(|(_, code)| !ends(code));
        above
            .chain([&lines[line - 1]])
            .any(|(text, _)| text.contains("// SAFETY:"))
    }
}

/// The names after `::` at `at`: one, or those of a `{…}` group.
fn names_after(code: &str, at: usize) -> Vec<(usize, String)> {
    let Some(rest) = code[at..].strip_prefix("::") else {
        return vec![];
    };
    let start = at + 2;
    if !rest.starts_with('{') {
        let name = rest.split(|c| !is_word(c)).next().unwrap_or_default();
        return vec![(start, name.to_owned())];
    }
    let mut names = Vec::new();
    let (mut depth, mut expecting) = (0, true);
    for (offset, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' => expecting = depth == 1,
            c if is_word(c) && depth == 1 && expecting => {
                let name = rest[offset..]
                    .split(|c| !is_word(c))
                    .next()
                    .unwrap_or_default();
                names.push((start + offset, name.to_owned()));
                expecting = false;
            }
            _ => {}
        }
    }
    names
}

/// Where the item that starts at `from` ends: after its `;`, or after the `}` of its body.
fn item_end(code: &str, from: usize) -> usize {
    let (mut nested, mut braces) = (0_i32, 0_i32);
    for (offset, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        if nested == 0 && braces == 0 && matches!(c, ';' | '}') {
            return from + offset;
        }
    }
    code.len()
}

/// Blanks comments with spaces and literals with quotes, keeping line breaks and every other byte in place.
fn scrub(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let Some((end, blank)) = opaque(text.as_bytes(), at) else {
            at += 1;
            continue;
        };
        for byte in code[at..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = blank;
        }
        at = end;
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// If a comment or a literal starts at `at`: where it ends, and the byte to blank it with.
fn opaque(text: &[u8], at: usize) -> Option<(usize, u8)> {
    let rest = &text[at..];
    let length = |length: Option<usize>| length.map_or(text.len(), |length| at + length);
    match rest {
        [b'/', b'/', ..] => Some((length(rest.iter().position(|byte| *byte == b'\n')), b' ')),
        [b'/', b'*', ..] => Some((at + block_comment(rest), b' ')),
        [b'"', ..] => Some((length(closing_quote(rest, b'"')), b'"')),
        [b'\'', b'\\', ..] => Some((length(closing_quote(rest, b'\'')), b'"')),
        // One character, of up to four bytes, between quotes; anything else is a lifetime.
        [b'\'', next, ..] if *next != b'\'' => {
            let width = 1 + rest[2..]
                .iter()
                .take_while(|byte| **byte & 0xc0 == 0x80)
                .count();
            (rest.get(1 + width) == Some(&b'\'')).then_some((at + width + 2, b'"'))
        }
        [b'r' | b'b' | b'c', ..] if at == 0 || !is_word(text[at - 1].into()) => {
            raw_string(rest).map(|length| (at + length, b'"'))
        }
        _ => None,
    }
}

/// The length of the literal that `rest` opens with, up to and with its closing `quote`.
fn closing_quote(rest: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at < rest.len()).then_some(at + 1)
}

/// The length of the block comment that `rest` opens with; they nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of the raw string (`r"…"`, `br#"…"#`, `cr"…"`) that `rest` opens with, if it is one.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = if rest[0] == b'r' { 1 } else { 2 };
    if rest.get(prefix - 1) != Some(&b'r') {
        return None;
    }
    let hashes = rest[prefix..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = &rest[open + 1..];
    let end = body
        .windows(close.len())
        .position(|window| window == close)
        .unwrap_or(body.len());
    Some((open + 1 + end + close.len()).min(rest.len()))
}

/// The places where `word` stands by itself.
fn words(code: &str, word: &str) -> Vec<usize> {
    let alone =
        |at: &usize| !ends_in_word(&code[..*at]) && !code[at + word.len()..].starts_with(is_word);
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(alone)
        .collect()
}

/// Whether a character may be part of a Rust name.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether `text` ends in a character that may be part of a name.
fn ends_in_word(text: &str) -> bool {
    text.ends_with(is_word)
}

/// The number, counted from 1, of the line that holds the byte at `at`.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}

// ---------------------------------------------------------------------------------------------
// The rules can fail
// ---------------------------------------------------------------------------------------------

/// The violations of `body` put under a proper first line, so that the body starts on line 2.
fn complaints(path: &str, body: &str) -> Vec<Violation> {
    check(path, &format!("//! A file.\n{body}"))
}

#[track_caller]
fn complains(path: &str, body: &str, line: usize, what: &str) {
    let found = complaints(path, body);
    assert!(
        matches!(&found[..], [(at, text)] if *at == line && text.contains(what)),
        "{path}: {body:?} gave {found:?}"
    );
}

#[track_caller]
fn passes(path: &str, body: &str) {
    assert_eq!(complaints(path, body), [], "{path}: {body:?}");
}

#[test]
fn layers_are_enforced() {
    complains(
        "src/http/uri.rs",
        "use crate::net::Buffer;",
        2,
        "`http` is below `net`",
    );
    complains("src/net/mod.rs", "use super::worker::X;", 2, "below");
    complains(
        "src/net/tcp/a.rs",
        "use super::super::super::cli::X;",
        2,
        "below",
    );
    complains(
        "src/sys/a.rs",
        "use crate::{\n  sys::{X, cli},\n  log,\n};",
        4,
        "`sys` is below `log`",
    );
    complains(
        "src/worker/a.rs",
        "fn f() { crate::modules::all() }",
        2,
        "must not know `modules`",
    );
    complains(
        "src/master/a.rs",
        "use crate::modules::ALL;",
        2,
        "must not know `modules`",
    );
    complains("src/helpers.rs", "", 1, "no layer");
    complains("src/helpers/mod.rs", "", 1, "no layer");

    passes(
        "src/net/mod.rs",
        "use crate::sys::X;\nuse crate::{http::Y, net::Z};",
    );
    passes(
        "src/net/mod.rs",
        "/// See [`crate::cli::X`].\npub fn f() {}",
    );
    passes(
        "src/net/mod.rs",
        "#[cfg(test)]\nmod tests { use super::config::X; }",
    );
    passes("src/net/tcp.rs", "use super::config::X;");
    passes("src/lib.rs", "use crate::cli::X;");
    passes("src/main.rs", "use crate::cli::X;");
}

#[test]
fn unsafe_code_stays_at_home() {
    complains(
        "src/net/a.rs",
        "fn f() { libc::close(1) }",
        2,
        "`libc` outside",
    );
    complains("src/net/a.rs", "use libc as c;", 2, "`libc` outside");
    complains(
        "src/net/a.rs",
        "// SAFETY: no.\nunsafe impl Send for X {}",
        3,
        "`unsafe` outside",
    );
    complains("src/net/a.rs", "#![allow(unsafe_code)]", 2, "allows");
    complains("src/sys/a.rs", "fn f() {\n unsafe { g() }\n}", 3, "SAFETY");
    complains(
        "src/sys/a.rs",
        "fn f() {\n // SAFETY: one.\n a();\n unsafe { b() };\n}",
        5,
        "SAFETY",
    );

    passes(
        "src/sys/a.rs",
        "fn f() {\n // SAFETY: so\n // and so.\n let x =\n  unsafe { libc::g() };\n}",
    );
    passes(
        "src/sys/a.rs",
        "fn f() {\n // SAFETY: so.\n retry(|| {\n  g(unsafe { libc::g() })\n })\n}",
    );
    passes("src/sys/a.rs", "unsafe fn f() {}");
    passes(
        "src/net/a.rs",
        "// Here unsafe and libc:: are words.\nconst A: &str = r#\"unsafe \"libc::\"#;",
    );
}

#[test]
fn panics_and_leftovers_are_reported() {
    complains("src/net/a.rs", "fn f() {\n  x.unwrap()\n}", 3, ".unwrap()");
    complains("src/net/a.rs", "fn f() { x.expect(\"y\") }", 2, ".expect(");
    complains("src/net/a.rs", "fn f() { todo!() }", 2, "todo!");
    complains("src/net/a.rs", "fn f() { dbg!(1) }", 2, "dbg!");
    complains(
        "src/net/a.rs",
        "#[cfg(test)]\nmod tests;\nfn f() { x.unwrap() }",
        4,
        ".unwrap()",
    );

    passes(
        "src/net/a.rs",
        "fn f<'a>(x: &'a u8) { x.unwrap_or(b'\"'); }\n// x.unwrap()",
    );
    passes(
        "src/net/a.rs",
        "#[cfg(test)]\nmod tests {\n fn f() { if a { b } x.unwrap() }\n}\n",
    );
    passes("src/net/tests.rs", "fn f() { x.unwrap() }");
    passes("benches/a.rs", "fn f() { x.unwrap() }");
}

#[test]
fn lengths_are_limited() {
    let function = |lines: usize| {
        format!(
            "fn f(x: [u8; 2]) {{\n{}}}\n",
            "    g();\n\n // Why.\n".repeat(lines)
        )
    };
    complains(
        "src/net/a.rs",
        &function(MAX_FUNCTION - 1),
        2,
        "a function of 81 lines",
    );
    passes("src/net/a.rs", &function(MAX_FUNCTION - 2));
    passes(
        "src/net/a.rs",
        &format!("#[cfg(test)]\n{}", function(MAX_FUNCTION)),
    );

    complains(
        "src/net/a.rs",
        &"use std::io;\n".repeat(MAX_FILE + 1),
        1,
        "a file of 501 lines",
    );
    passes(
        "src/net/a.rs",
        &"use std::io;\n\n// Why.\n".repeat(MAX_FILE),
    );
    let tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}",
        "use std::io;\n".repeat(MAX_FILE)
    );
    passes("src/net/a.rs", &tests);
}

#[test]
fn every_file_says_what_it_is_for_and_names_no_machine() {
    assert_eq!(check("tests/it/a.rs", "use std::io;").len(), 1);
    for (head, tail) in TRACES {
        complains(
            "src/net/a.rs",
            &format!("// See {head}{tail}1."),
            2,
            "names",
        );
        complains(
            "tests/a.rs",
            &format!("\nconst A: &str = \"{head}{tail}\";"),
            3,
            "names",
        );
        assert_eq!(check("README.md", &format!("x\n{head}{tail}")).len(), 1);
    }
    passes(
        "tests/a.rs",
        &format!("// https://example.com{}{}", TRACES[0].0, TRACES[0].1),
    );
}

#[test]
fn scrubbing_keeps_places() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c\n */ */ d", "a          \n       d"),
        (r#"f("\"{", '"', '\'')"#, r#"f(""""", """, """")"#),
        ("r#\"}\"#x", "\"\"\"\"\"\"x"),
        ("br\"}\" r#fn b'x'", "\"\"\"\"\" r#fn b\"\"\""),
        ("fn f<'a>(c: &'a str)", "fn f<'a>(c: &'a str)"),
    ] {
        assert_eq!(scrub(text), code, "{text:?}");
    }
}
