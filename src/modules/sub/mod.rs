//! `sub_filter`: text in bodies that is replaced by other text.

mod search;

use std::io;
use std::rc::Rc;

use self::search::{Found, Patterns};
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, Outcome, Use, directive};
use crate::exchange::{Exchange, Filter, Location, Response, Template, Transform};
use crate::http::MediaTypes;

/// How many replacements one block may list.
const MAX_PAIRS: usize = 255;

/// Replaces text in bodies.
pub struct Sub;

/// What a block replaces.
#[derive(Clone)]
pub struct Settings {
    pairs: Vec<Pair>,
    /// The patterns, if no variable occurs in them.
    fixed: Option<Rc<Patterns>>,
    /// Whether each pattern is replaced once only.
    once: bool,
    /// Whether `Last-Modified` stays.
    last_modified: bool,
    types: MediaTypes,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            pairs: Vec::new(),
            fixed: None,
            once: true,
            last_modified: false,
            types: MediaTypes::default(),
        }
    }
}

/// One `sub_filter`.
#[derive(Clone)]
struct Pair {
    pattern: Template,
    replacement: Template,
}

impl Module for Sub {
    type Settings = Settings;
    const NAME: &'static str = "sub";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("sub_filter")
            .syntax("string replacement")
            .contexts(HTTP_SERVER_LOCATION)
            .takes(2)
            .doc("Replaces a text in bodies, whatever its letter case, by another; both may hold variables.")
            .append(|s| s.pairs.clear(), pair),
        directive("sub_filter_once")
            .syntax("on | off")
            .default("on")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Replaces each text where it is found first only, instead of everywhere.")
            .set(|s, d| d.flag().map(|on| s.once = on)),
        directive("sub_filter_last_modified")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Keeps \"Last-Modified\" and a weak \"ETag\" with bodies that may have been changed.")
            .set(|s, d| d.flag().map(|on| s.last_modified = on)),
        directive("sub_filter_types")
            .syntax("mime-type ...")
            .default("text/html")
            .contexts(HTTP_SERVER_LOCATION)
            .at_least(1)
            .doc("Lists the media types in which text is replaced; text/html always is one, and * stands for all.")
            .repeat(|s, d| {
                d.media_types(&mut s.types);
                Ok(())
            }),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.pairs.is_empty() {
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
    }
}

fn pair(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    if d.arg(0).is_empty() {
        return Err(d.mistake(0, "empty search pattern"));
    }
    if settings.pairs.len() == MAX_PAIRS {
        return Err(d.mistake(0, format!("number of search patterns exceeds {MAX_PAIRS}")));
    }
    settings.pairs.push(Pair {
        pattern: d.template(0)?,
        replacement: d.template(1)?,
    });
    let literal = settings.pairs.iter().map(|pair| pair.pattern.literal());
    let literal: Option<Vec<_>> = literal.collect();
    settings.fixed = literal.map(|all| Rc::new(Patterns::new(all)));
    Ok(())
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        if !self.types.contains(response.entity.content_type.as_deref()) || response.body.is_empty()
        {
            return;
        }
        let evaluate = || self.replacing(exchange);
        let Some(replace) = exchange.speaking_of(response, evaluate) else {
            return;
        };
        if self.last_modified {
            response.weaken_etag();
        } else {
            (response.entity.last_modified, response.entity.etag) = (None, None);
        }
        response.body = std::mem::take(&mut response.body).transformed(replace);
    }

    fn sees_subrequests(&self) -> bool {
        true
    }
}

impl Settings {
    /// What is to be replaced for this exchange; nothing if all patterns turn out to be empty.
    fn replacing(&self, exchange: &Exchange) -> Option<Replace> {
        let mut replacements = Vec::with_capacity(self.pairs.len());
        let mut expanded = Vec::new();
        for pair in &self.pairs {
            let pattern = pair.pattern.expand(exchange);
            if !pattern.is_empty() {
                expanded.push(pattern);
                replacements.push(pair.replacement.expand(exchange).into_owned());
            }
        }
        if replacements.is_empty() {
            return None;
        }
        let patterns = match &self.fixed {
            Some(fixed) => Rc::clone(fixed),
            None => Rc::new(Patterns::new(expanded.iter().map(|text| &**text))),
        };
        Some(Replace {
            used: vec![false; replacements.len()],
            patterns,
            replacements,
            once: self.once,
            held: Vec::new(),
        })
    }
}

/// Replaces text in one body.
struct Replace {
    patterns: Rc<Patterns>,
    replacements: Vec<Vec<u8>>,
    once: bool,
    /// The patterns that are not looked for any more.
    used: Vec<bool>,
    /// The end of the input so far, which may be the beginning of a match.
    held: Vec<u8>,
}

impl Transform for Replace {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        out.reserve(input.len());
        if self.held.is_empty() {
            let rest = self.replace(input, out);
            self.held.extend_from_slice(&input[rest..]);
        } else {
            let mut all = std::mem::take(&mut self.held);
            all.extend_from_slice(input);
            let rest = self.replace(&all, out);
            all.drain(..rest);
            self.held = all;
        }
        Ok(input.len())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        // As in nginx, what only began like a pattern is not searched again for shorter ones.
        out.append(&mut self.held);
        Ok(())
    }
}

impl Replace {
    /// Appends what `text` becomes, as far as that is certain; returns where the rest begins.
    fn replace(&mut self, text: &[u8], out: &mut Vec<u8>) -> usize {
        let mut done = 0;
        loop {
            match self.patterns.find(text, done, &self.used) {
                Found::Nothing => {
                    out.extend_from_slice(&text[done..]);
                    return text.len();
                }
                Found::Begun(at) => {
                    out.extend_from_slice(&text[done..at]);
                    return at;
                }
                Found::Match { range, number } => {
                    out.extend_from_slice(&text[done..range.start]);
                    out.extend_from_slice(&self.replacements[number]);
                    self.used[number] = self.once;
                    done = range.end;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::{Site, bytes};

    fn replace(pairs: &[(&str, &str)], once: bool) -> Replace {
        Replace {
            patterns: Rc::new(Patterns::new(pairs.iter().map(|(from, _)| from.as_bytes()))),
            replacements: pairs.iter().map(|(_, to)| to.as_bytes().to_vec()).collect(),
            once,
            used: vec![false; pairs.len()],
            held: Vec::new(),
        }
    }

    /// What a body that comes in parts becomes.
    fn run(mut replace: Replace, parts: &[&[u8]]) -> String {
        let mut out = Vec::new();
        for part in parts {
            assert_eq!(replace.feed(part, &mut out).unwrap(), part.len());
        }
        replace.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replacements() {
        type Case = (
            &'static [(&'static str, &'static str)],
            bool,
            &'static str,
            &'static str,
        );
        let cases: [Case; 9] = [
            (&[("a", "X")], false, "banana", "bXnXnX"),
            (&[("a", "X")], true, "banana", "bXnana"),
            (&[("AN", "x")], false, "bAnaNa", "bxxa"),
            (&[("a", "1"), ("n", "2")], true, "banana", "b12ana"),
            (&[("ana", "<$>")], false, "bananana", "b<$>n<$>"),
            (&[("abc", "1"), ("ab", "2")], false, "abcabd", "12d"),
            (&[("ab", "2"), ("abc", "1")], false, "abcabd", "2c2d"),
            (&[("abcd", "1"), ("ab", "2")], false, "xabc", "xabc"),
            (&[("a", "")], false, "banana", "bnn"),
        ];
        for (pairs, once, text, expected) in cases {
            assert_eq!(
                run(replace(pairs, once), &[text.as_bytes()]),
                expected,
                "{pairs:?}"
            );
        }
    }

    /// The same, the slow way: at each place the first pattern that is there, unless one that is
    /// listed before it runs into the end.
    fn naive(pairs: &[(&str, &str)], once: bool, text: &str) -> String {
        let (mut out, mut at) = (String::new(), 0);
        let mut used = vec![false; pairs.len()];
        while at < text.len() {
            let rest = &text[at..];
            let begun = |from: &str| from.starts_with(rest) || rest.starts_with(from);
            let first = (0..pairs.len()).find(|i| !used[*i] && begun(pairs[*i].0));
            match first {
                Some(i) if rest.len() >= pairs[i].0.len() => {
                    out.push_str(pairs[i].1);
                    used[i] = once;
                    at += pairs[i].0.len();
                }
                Some(_) => return out + rest,
                None => {
                    out.push_str(&rest[..1]);
                    at += 1;
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_body_is_cut(
            text in "[abc]{0,40}",
            patterns in prop::collection::vec("[abc]{1,4}", 1..5),
            cuts in prop::collection::vec(0usize..40, 0..6),
            once: bool,
        ) {
            let pairs: Vec<_> = patterns.iter().zip(["<1>", "<2>", "", "<4>"]).collect();
            let pairs: Vec<_> = pairs.into_iter().map(|(from, to)| (from.as_str(), to)).collect();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|two| &text.as_bytes()[two[0]..two[1]]).collect();
            prop_assert_eq!(run(replace(&pairs, once), &parts), naive(&pairs, once, &text));
        }
    }

    #[test]
    fn through_requests() {
        let site = Site::new(
            "default_type text/html; sub_filter one $uri; sub_filter '$arg_x' (x);
             location /off { sub_filter three 3; }
             location /all { sub_filter_once off; sub_filter_last_modified on; }
             location /plain { default_type text/plain; }
             location /types { default_type text/plain; sub_filter_types text/plain; }",
        );
        for name in ["a", "off", "all", "plain", "types"] {
            site.write(name, "One two three one");
        }
        let cases = [
            ("/a", "/a two three one"),
            ("/a?x=Two", "/a (x) three one"),
            ("/off", "One two 3 one"),
            ("/all", "/all two three /all"),
            ("/plain", "One two three one"),
            ("/types", "/types two three one"),
        ];
        for (target, expected) in cases {
            let mut response = site.get(target, &[]);
            let kept = matches!(target, "/all" | "/plain");
            assert_eq!(response.entity.last_modified.is_some(), kept, "{target}");
            assert_eq!(response.entity.etag.is_some(), kept, "{target}");
            assert_eq!(bytes(&mut response), expected.as_bytes(), "{target}");
        }
    }

    #[test]
    fn mistakes() {
        assert_eq!(
            found_in_server("sub_filter '' x;"),
            ["empty search pattern"]
        );
        let many = "sub_filter a b; ".repeat(256);
        assert_eq!(
            found_in_server(&many),
            ["number of search patterns exceeds 255"]
        );
    }
}
