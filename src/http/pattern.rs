//! Regular expressions: PCRE's syntax and meaning, matched in linear time wherever possible.
//!
//! Most patterns mean the same to the `regex` crate, which never backtracks. What does not, or what
//! the crate refuses (look-around, back-references, possessive and atomic groups …), is PCRE2's, with
//! a limit on its work.

use std::cell::RefCell;
use std::fmt;

use super::Span;

/// How many steps PCRE2 may take for one match.
const STEP_LIMIT: &str = "(*LIMIT_MATCH=1000000)";

/// How large PCRE2's stack for compiled code may grow, in bytes.
const STACK_LIMIT: usize = 512 * 1024;

/// A compiled pattern.
///
/// PCRE2 compiles every pattern, so that what is valid, and how groups are counted, is what it says.
pub struct Pattern {
    linear: Option<Linear>,
    exact: Exact,
    names: Vec<(String, usize)>,
}

/// The pattern as the `regex` crate compiled it.
struct Linear {
    regex: regex::bytes::Regex,
    slots: RefCell<regex::bytes::CaptureLocations>,
    /// `$` occurs, which in PCRE also matches before a line feed at the end of the subject.
    dollar: bool,
    ignore_case: bool,
}

/// The pattern as PCRE2 compiled it.
struct Exact {
    regex: pcre2::bytes::Regex,
    slots: RefCell<pcre2::bytes::CaptureLocations>,
}

/// The pattern cannot be compiled; the text is nginx's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PatternError {}

/// A backtracking pattern took more steps than it may; whether it matches is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded;

impl Pattern {
    /// Compiles a pattern, with or without regard to letter case.
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Pattern, PatternError> {
        let linear = translate(pattern).and_then(|pattern| Linear::new(&pattern, ignore_case));
        let exact = Exact::new(pattern, ignore_case, linear.is_none())?;
        let linear = linear.filter(|linear| linear.regex.captures_len() == exact.groups());
        let names = exact.regex.capture_names().iter().enumerate();
        let names = names
            .filter_map(|(number, name)| Some((name.clone()?, number)))
            .collect();
        Ok(Pattern {
            linear,
            exact,
            names,
        })
    }

    /// Whether matching may take more than linear time.
    pub fn is_backtracking(&self) -> bool {
        self.linear.is_none()
    }

    /// What the linear engine looks for, as part of a larger pattern; `None` if it can't.
    pub(super) fn linear_source(&self) -> Option<String> {
        let linear = self.linear.as_ref()?;
        let flags = if linear.ignore_case { "i" } else { "" };
        Some(format!("(?{flags}:{})", linear.regex.as_str()))
    }

    /// The names of named groups with their numbers.
    pub fn names(&self) -> &[(String, usize)] {
        &self.names
    }

    /// The number of groups, the whole match (group 0) included.
    pub fn groups(&self) -> usize {
        self.exact.groups()
    }

    /// Whether the pattern is found in `subject`; a match that takes too many steps is none.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        match self.linear_for(subject) {
            Some(linear) => linear.regex.is_match(subject),
            None => self.exact.regex.is_match(subject).unwrap_or(false),
        }
    }

    /// Like [`Pattern::try_captures`], where a match that takes too many steps is none.
    pub fn captures(&self, subject: &[u8], captures: &mut Captures) -> bool {
        self.try_captures(subject, captures).unwrap_or(false)
    }

    /// Looks for the pattern in `subject`; only if it is found, its groups are written to
    /// `captures`. Where access depends on the answer, [`LimitExceeded`] must not pass for "no".
    pub fn try_captures(
        &self,
        subject: &[u8],
        captures: &mut Captures,
    ) -> Result<bool, LimitExceeded> {
        match self.linear_for(subject) {
            Some(linear) => {
                let mut slots = linear.slots.borrow_mut();
                let found = linear.regex.captures_read(&mut slots, subject).is_some();
                if found {
                    captures.fill(self.groups(), |group| slots.get(group));
                }
                Ok(found)
            }
            None => {
                let mut slots = self.exact.slots.borrow_mut();
                let found = self.exact.regex.captures_read(&mut slots, subject);
                let found = found.map_err(|_| LimitExceeded)?.is_some();
                if found {
                    captures.fill(self.groups(), |group| slots.get(group));
                }
                Ok(found)
            }
        }
    }

    /// The linear engine, unless there is none or it would read a final line feed differently.
    fn linear_for(&self, subject: &[u8]) -> Option<&Linear> {
        let linear = self.linear.as_ref()?;
        let differs = linear.dollar && subject.last() == Some(&b'\n');
        (!differs).then_some(linear)
    }
}

impl Linear {
    fn new(pattern: &str, ignore_case: bool) -> Option<Linear> {
        let mut builder = regex::bytes::RegexBuilder::new(pattern);
        let regex = builder
            .unicode(false)
            .case_insensitive(ignore_case)
            .build()
            .ok()?;
        let slots = RefCell::new(regex.capture_locations());
        Some(Linear {
            regex,
            slots,
            dollar: pattern.contains('$'),
            ignore_case,
        })
    }
}

impl Exact {
    /// Compiles the pattern, to machine code as well if PCRE2 has to do all the work.
    fn new(pattern: &str, ignore_case: bool, all_the_work: bool) -> Result<Exact, PatternError> {
        let mut builder = pcre2::bytes::RegexBuilder::new();
        builder.caseless(ignore_case);
        if all_the_work {
            builder
                .jit_if_available(true)
                .max_jit_stack_size(Some(STACK_LIMIT));
        }
        let limited = format!("{STEP_LIMIT}{pattern}");
        let regex = builder
            .build(&limited)
            .map_err(|error| compile_error(pattern, &error))?;
        let slots = RefCell::new(regex.capture_locations());
        Ok(Exact { regex, slots })
    }

    fn groups(&self) -> usize {
        self.regex.captures_len()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = self.exact.regex.as_str();
        write!(
            f,
            "Pattern({})",
            pattern.strip_prefix(STEP_LIMIT).unwrap_or(pattern)
        )
    }
}

fn compile_error(pattern: &str, error: &pcre2::Error) -> PatternError {
    let text = error.to_string();
    let reason = text
        .split_once(": ")
        .map_or(text.as_str(), |(_, rest)| rest);
    let reason = reason.split_once(": ").map_or(reason, |(_, rest)| rest);
    let offset = error.offset().unwrap_or(0).saturating_sub(STEP_LIMIT.len());
    PatternError(match pattern.get(offset..) {
        None | Some("") => format!("pcre2_compile() failed: {reason} in \"{pattern}\""),
        Some(at) => format!("pcre2_compile() failed: {reason} in \"{pattern}\" at \"{at}\""),
    })
}

/// Where the groups of a match lie in its subject; reusable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    groups: Vec<Option<Span>>,
}

impl Captures {
    /// No match yet.
    pub fn new() -> Captures {
        Captures::default()
    }

    /// Where a group matched, as offsets of its first byte and behind its last; 0 is the whole match.
    pub fn get(&self, group: usize) -> Option<(usize, usize)> {
        let span = (*self.groups.get(group)?)?;
        Some((span.start as usize, span.end as usize))
    }

    /// What a group matched; `subject` is what was matched against.
    pub fn text<'a>(&self, group: usize, subject: &'a [u8]) -> Option<&'a [u8]> {
        let (start, end) = self.get(group)?;
        subject.get(start..end)
    }

    /// The number of groups, the whole match included; zero before the first match.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether nothing has matched.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Forgets the match and keeps the memory.
    pub fn clear(&mut self) {
        self.groups.clear();
    }

    fn fill(&mut self, groups: usize, slot: impl Fn(usize) -> Option<(usize, usize)>) {
        self.groups.clear();
        let spans = (0..groups).map(|group| slot(group).map(|(start, end)| Span::new(start, end)));
        self.groups.extend(spans);
    }
}

/// The pattern as the `regex` crate has to see it; `None` if the two would read it differently
/// without the crate noticing.
fn translate(pattern: &str) -> Option<String> {
    if !pattern.is_ascii() {
        return None;
    }
    let mut translated = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut after_quantifier = false;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\\' => escape_length(rest)?,
            '[' => class_length(rest)?,
            '(' if rest.starts_with("(?'") => {
                let (name, behind) = rest[3..].split_once('\'')?;
                translated.extend(["(?<", name, ">"]);
                rest = behind;
                after_quantifier = false;
                continue;
            }
            '(' if has_other_flags(rest) => return None,
            // A quantifier behind a quantifier is possessive in PCRE, a repetition in the crate.
            '+' if after_quantifier => return None,
            _ => 1,
        };
        after_quantifier = matches!(first, '*' | '+' | '?' | '}');
        let (piece, behind) = rest.split_at(length);
        translated.push_str(piece);
        rest = behind;
    }
    Some(translated)
}

/// The length of an escape outside a class, unless it means something else to the crate.
fn escape_length(rest: &str) -> Option<usize> {
    match rest.as_bytes() {
        [_, b'<' | b'>' | b'v' | b'z', ..] | [_, b'b', b'{', ..] | [_] => None,
        _ => Some(2),
    }
}

/// The length of a class, unless it holds what the crate takes for nested classes or set
/// operations, or is not closed.
fn class_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 1 + usize::from(bytes.get(1) == Some(&b'^'));
    // A bracket in the first place is itself a member.
    at += usize::from(bytes.get(at) == Some(&b']'));
    loop {
        match bytes.get(at..)? {
            [b']', ..] => return Some(at + 1),
            [b'\\', b'v', ..] => return None,
            [b'\\', _, ..] => at += 2,
            [b'[', b':', ..] => at += rest[at..].find(":]")? + 2,
            [b'[', ..] | [b'&', b'&', ..] | [b'-', b'-', ..] | [b'~', b'~', ..] | [] => {
                return None;
            }
            _ => at += 1,
        }
    }
}

/// Whether a group starts with flags whose letters mean different things to the two engines.
fn has_other_flags(rest: &str) -> bool {
    let Some(flags) = rest.strip_prefix("(?") else {
        return false;
    };
    let flags = flags
        .split(|byte: char| !byte.is_ascii_alphabetic() && byte != '-')
        .next();
    !rest.starts_with("(?P") && flags.is_some_and(|flags| flags.contains(['R', 'u', 'x', 'U', 'n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pattern: &str, subject: &str) -> Option<Vec<Option<String>>> {
        let pattern = Pattern::new(pattern, false).unwrap();
        let mut captures = Captures::new();
        if !pattern.captures(subject.as_bytes(), &mut captures) {
            assert!(captures.is_empty());
            return None;
        }
        assert!(pattern.is_match(subject.as_bytes()));
        let text = |group| captures.text(group, subject.as_bytes());
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(
            (0..captures.len())
                .map(|group| text(group).map(owned))
                .collect(),
        )
    }

    #[test]
    fn groups_of_both_engines() {
        type Case<'a> = (&'a str, &'a str, Option<&'a [Option<&'a str>]>);
        let cases: [Case; 11] = [
            (r"^/(a)(b)?$", "/a", Some(&[Some("/a"), Some("a"), None])),
            (r"^/(a)(b)?$", "/a\n", Some(&[Some("/a"), Some("a"), None])),
            (r"^/(a)(b)?$", "/a\nx", None),
            (r"\.php$", "/x.php", Some(&[Some(".php")])),
            (r"/(?!b)(.)", "/b/c", Some(&[Some("/c"), Some("c")])),
            (r"(a)\1", "aa", Some(&[Some("aa"), Some("a")])),
            (r"^a++b$", "aab\n", Some(&[Some("aab")])),
            (r"a($|\n)", "a\n", Some(&[Some("a"), Some("")])),
            (r"$", "\n", Some(&[Some("")])),
            ("\u{e9}(.)", "\u{e9}x", Some(&[Some("\u{e9}x"), Some("x")])),
            (r"[a[b]+", "[b", Some(&[Some("[b")])),
        ];
        for (pattern, subject, expected) in cases {
            let expected = expected.map(|groups| {
                groups
                    .iter()
                    .map(|group| group.map(str::to_owned))
                    .collect::<Vec<_>>()
            });
            assert_eq!(
                groups(pattern, subject),
                expected,
                "{pattern} in {subject:?}"
            );
        }
    }

    #[test]
    fn the_engine_is_chosen_by_meaning() {
        let linear = [
            r"\.(gif|jpg|png)$",
            r"^/(?<user>\w+)/(?P<rest>.*)$",
            r"(?'name'a)",
            r"(?i)a",
            r"[]a]",
            r"[^]a]",
            r"[[:alpha:]-]+",
            r"a{2,3}?",
            r"[\w\-+]+",
            r"\++",
            r"/\/",
        ];
        let backtracking = [
            r"(?=a)",
            r"(?<!a)b",
            r"(a)\1",
            r"a++",
            r"a*+",
            r"a{2}+",
            r"(?>a)",
            r"[a&&b]",
            r"[a[b]",
            r"\<a",
            r"\va",
            r"[\v]",
            r"a\Z",
            r"a\z$",
            r"\Qa.b\E",
            r"(?x) a # b",
            r"(?R)?a",
            r"\h",
            r"{a",
        ];
        for (patterns, expected) in [(&linear[..], false), (&backtracking, true)] {
            for pattern in patterns {
                let compiled = Pattern::new(pattern, false).unwrap();
                assert_eq!(compiled.is_backtracking(), expected, "{pattern}");
            }
        }
    }

    #[test]
    fn bytes_not_characters() {
        let matches = |pattern, subject| Pattern::new(pattern, true).unwrap().is_match(subject);
        assert!(matches(r"^.$", b"\xff"));
        assert!(!matches(r"^.$", b"\n"));
        assert!(!matches(r"\w", "\u{e4}".as_bytes()));
        assert!(!matches(r"\d", "\u{0663}".as_bytes()));
        assert!(matches(r"^A\x41$", b"aa"));
        assert!(matches(r"(?=a)A", b"a"));
    }

    #[test]
    fn names_come_with_their_numbers() {
        for pattern in [r"(a)(?<x>b)(?'y'c)", r"(a)(?<x>b)(?'y'c)(?=d)"] {
            let compiled = Pattern::new(pattern, false).unwrap();
            assert_eq!(compiled.names(), [("x".to_owned(), 2), ("y".to_owned(), 3)]);
            assert_eq!(compiled.groups(), 4);
        }
    }

    #[test]
    fn errors_have_nginx_words() {
        let error = |pattern| Pattern::new(pattern, false).unwrap_err().to_string();
        assert_eq!(
            error("(a"),
            "pcre2_compile() failed: missing closing parenthesis in \"(a\""
        );
        assert_eq!(
            error("a)b"),
            "pcre2_compile() failed: unmatched closing parenthesis in \"a)b\" at \")b\""
        );
    }

    #[test]
    fn what_pcre_refuses_is_refused() {
        for pattern in [
            "a**",
            "(?u)a",
            "[",
            r"\p{Nonsense}",
            "(?<a>.)(?<a>.)",
            "(?P<1>a)",
        ] {
            assert!(Pattern::new(pattern, false).is_err(), "{pattern}");
        }
    }

    #[test]
    fn backtracking_is_limited() {
        let pattern = Pattern::new(r"^(?=a)(a+)+$", false).unwrap();
        let subject = [&[b'a'; 64][..], b"!"].concat();
        let mut captures = Captures::new();
        assert_eq!(
            pattern.try_captures(&subject, &mut captures),
            Err(LimitExceeded)
        );
        assert!(!pattern.captures(&subject, &mut captures));
    }
}
