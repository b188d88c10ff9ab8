//! `map`: a variable whose value depends on that of another.

use std::borrow::Cow;
use std::rc::Rc;

use crate::config::context::HTTP;
use crate::config::{Directive, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{Evaluate, Exchange, Template};
use crate::http::pattern::Captures;
use crate::http::patterns::Patterns;
use crate::routing::hosts::{Hosts, NameError};

/// Makes variables of others by tables.
pub struct Map;

/// Tables become variables at once.
#[derive(Clone, Default)]
pub struct Settings;

impl Module for Map {
    type Settings = Settings;
    const NAME: &'static str = "map";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("map")
            .syntax("string $variable { … }")
            .contexts(HTTP)
            .takes(2)
            .doc("Makes a variable whose value is looked up by the string: by text, host name or pattern.")
            .raw(|_, d| {
                let name = variable_name(d, 1)?;
                let (table, volatile) = Table::parse(d)?;
                d.define(1, name, Rc::new(table), volatile)
            }),
        directive("map_hash_max_size")
            .syntax("number")
            .default("2048")
            .contexts(HTTP)
            .doc("Limits a hash table that here grows as needed.")
            .tunes(),
        directive("map_hash_bucket_size")
            .syntax("number")
            .default("64")
            .contexts(HTTP)
            .doc("Sets the buckets of a hash table that here has none.")
            .tunes(),
    ];
}

/// The name of the variable that argument `i` introduces.
///
/// # Errors
/// It lacks the `$`.
pub fn variable_name<'a>(d: &Use<'a>, i: usize) -> Result<&'a str, Mistake> {
    let name = d.text(i)?.strip_prefix('$').filter(|name| !name.is_empty());
    name.ok_or_else(|| d.mistake(i, format!("invalid variable name \"{}\"", d.lossy(i))))
}

/// One `map`.
#[derive(Default)]
struct Table {
    source: Template,
    texts: std::collections::HashMap<Box<[u8]>, Template>,
    /// Keys that may be wildcards, with `hostnames`.
    hosts: Option<Hosts<Template>>,
    patterns: Patterns,
    /// What the patterns lead to.
    matched: Vec<Search>,
    default: Option<Template>,
}

struct Search {
    names: Rc<[(usize, usize)]>,
    value: Template,
}

impl Table {
    /// Reads the block; tells as well whether the value is looked up anew at each use.
    fn parse(d: &Use<'_>) -> Result<(Table, bool), Mistake> {
        let mut volatile = false;
        let mut table = Table {
            source: d.template(0)?,
            ..Table::default()
        };
        for entry in d.entries() {
            let outcome = match (entry.name(), entry.count()) {
                (b"hostnames", 0) => {
                    table.hosts.get_or_insert_default();
                    Ok(())
                }
                (b"volatile", 0) => {
                    volatile = true;
                    Ok(())
                }
                (_, 1) => table.add(&entry),
                _ => Err(Mistake::emerg(
                    entry.span(),
                    "invalid number of the map parameters",
                )),
            };
            if let Err(mistake) = outcome {
                d.report(mistake);
            }
        }
        Ok((table, volatile))
    }

    fn add(&mut self, entry: &Use<'_>) -> Outcome {
        let value = entry.template(0)?;
        let complain = |what: &str| {
            let key = String::from_utf8_lossy(entry.name()).to_ascii_lowercase();
            Err(Mistake::emerg(entry.span(), format!("{what} \"{key}\"")))
        };
        match entry.name() {
            b"default" if self.default.is_some() => Err(Mistake::emerg(
                entry.span(),
                "duplicate default map parameter",
            )),
            b"default" => {
                self.default = Some(value);
                Ok(())
            }
            [b'~', rest @ ..] => {
                let bare = rest.strip_prefix(b"*");
                let pattern = entry.pattern_of(0, bare.unwrap_or(rest), bare.is_some());
                let pattern = pattern.map_err(|mistake| Mistake {
                    at: Some(entry.span()),
                    ..mistake
                })?;
                let names = entry.capture_slots(0, &pattern)?;
                self.patterns.push(pattern);
                self.matched.push(Search { names, value });
                Ok(())
            }
            key => match self.add_text(key.strip_prefix(b"\\").unwrap_or(key), value) {
                Ok(()) => Ok(()),
                Err(NameError::Invalid) => complain("invalid hostname or wildcard"),
                Err(NameError::Conflict) => complain("conflicting parameter"),
            },
        }
    }

    fn add_text(&mut self, key: &[u8], value: Template) -> Result<(), NameError> {
        let key = key.to_ascii_lowercase();
        match &mut self.hosts {
            Some(hosts) => hosts.add(&key, value),
            None => match self.texts.insert(key.into(), value) {
                None => Ok(()),
                Some(_) => Err(NameError::Conflict),
            },
        }
    }

    /// The value for a text.
    fn find(&self, text: &[u8], exchange: &Exchange) -> Option<&Template> {
        let mut key = Cow::from(text);
        if text.iter().any(u8::is_ascii_uppercase) {
            key.to_mut().make_ascii_lowercase();
        }
        if let Some(value) = self.texts.get(&*key) {
            return Some(value);
        }
        // Without patterns, no search can take too long.
        let host = self.hosts.as_ref();
        let host = host.and_then(|hosts| hosts.find(&key, &mut Captures::new()).ok()?);
        if let Some(found) = host {
            return Some(found.value);
        }
        if !text.is_empty() {
            let found = self.patterns.first(text, |number, pattern| {
                exchange.find_pattern(pattern, &self.matched[number].names, text)
            });
            if let Ok(Some(number)) = found {
                return Some(&self.matched[number].value);
            }
        }
        self.default.as_ref()
    }
}

impl Evaluate for Table {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        let text = self.source.expand(exchange);
        let text = match self.hosts {
            Some(_) => text.strip_suffix(b".").unwrap_or(&text),
            None => &text,
        };
        if let Some(value) = self.find(text, exchange) {
            value.append(exchange, out);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::modules::fixture::found_in_http;
    use crate::modules::tests::trial::{Site, text};

    #[test]
    fn values_are_looked_up() {
        let site = Site::with_http(
            "map $arg_a $plain { default none; x X; \\default d; Y y; '' empty; ~^r(?<rest>.*) \"$rest-$1\"; ~*^Z z; rx rx; }
             map $arg_a $site { hostnames; default -; example.com exact; .b.com dot; *.c.com star; d.* tail; ~^d regex; }
             map $arg_a $nothing { map_hash_max_size 1; }
             map $arg_a-$arg_b $cached { a- first; default second; }
             map $uri $moving { volatile; /a a; /b b; }
             map_hash_max_size 100; map_hash_bucket_size 64;",
            "location / { return 200 \"$plain|$site|$nothing|$cached\"; }
             location /a { set $seen $moving; rewrite ^ /b; }
             location /b { return 200 $seen$moving; }",
        );
        for (target, expected) in [
            ("/", "empty|-||second"),
            ("/?a=x", "X|-||second"),
            ("/?a=DEFAULT", "d|-||second"),
            ("/?a=y", "y|-||second"),
            ("/?a=rx", "rx|-||second"),
            ("/?a=rest", "est-est|-||second"),
            ("/?a=z1", "z|-||second"),
            ("/?a=a", "none|-||first"),
            ("/?a=example.com", "none|exact||second"),
            ("/?a=Example.com.", "none|exact||second"),
            ("/?a=b.com", "none|dot||second"),
            ("/?a=a.b.com", "none|dot||second"),
            ("/?a=a.c.com", "none|star||second"),
            ("/?a=c.com", "none|-||second"),
            ("/?a=d.org", "none|tail||second"),
            ("/?a=d", "none|regex||second"),
            ("/a", "ab"),
        ] {
            assert_eq!(text(&site.get(target, &[])), expected, "{target}");
        }
    }

    /// What the documentation of `map` says, one rule after the other: text, the longest mask in
    /// front, the longest mask behind, the first pattern.
    fn naive<'a>(table: &'a [(String, String)], text: &str) -> &'a str {
        let is_text = |key: &str| !key.starts_with(['*', '.', '~']) && !key.ends_with('*');
        let front = |key: &str| match key.strip_prefix('*') {
            Some(end) => text.ends_with(end) && text.len() > end.len(),
            None => key.starts_with('.') && (text == &key[1..] || text.ends_with(key)),
        };
        let behind = |key: &str| {
            let start = key.strip_suffix('*');
            start.is_some_and(|start| text.starts_with(start) && text.len() > start.len())
        };
        let pattern = |key: &str| {
            key.strip_prefix("~")
                .is_some_and(|part| text.contains(part))
        };
        let longest = |fits: &dyn Fn(&str) -> bool| {
            let fitting = table.iter().filter(|(key, _)| fits(key));
            fitting.max_by_key(|(key, _)| key.trim_start_matches('*').len())
        };
        let exact = table.iter().find(|(key, _)| is_text(key) && key == text);
        let found = exact
            .or_else(|| longest(&front))
            .or_else(|| longest(&behind))
            .or_else(|| table.iter().find(|(key, _)| pattern(key)));
        found.map_or("-", |(_, value)| value)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn agrees_with_a_naive_search(
            keys in prop::collection::btree_set("([ab]\\.){1,2}[ab]|\\*(\\.[ab]){1,2}|(\\.[ab]){2}|([ab]\\.){1,2}\\*|~[ab]\\.?[ab]", 1..10),
            texts in prop::collection::vec("([ab]\\.){0,3}[ab]", 1..10),
        ) {
            // A mask that starts with a dot stands for two others.
            let clashes = |key: &str| key.starts_with('.')
                && (keys.contains(&format!("*{key}")) || keys.contains(&key[1..]));
            let table: Vec<_> = keys.iter().filter(|key| !clashes(key)).enumerate()
                .map(|(number, key)| (key.clone(), format!("v{number}")))
                .collect();
            let lines: String = table.iter().map(|(key, value)| format!("{key} {value}; ")).collect();
            let site = Site::with_http(
                &format!("map $arg_a $x {{ hostnames; default -; {lines} }}"),
                "return 200 $x;",
            );
            for asked in texts {
                let found = text(&site.get(&format!("/?a={asked}"), &[]));
                prop_assert_eq!(found, naive(&table, &asked), "{} in {:?}", asked, table);
            }
        }
    }

    #[test]
    fn the_last_of_several_tables_counts() {
        let site = Site::with_http(
            "map $uri $x { default first; } map $arg_a $x { default second; } geo $x { default third; }
             split_clients $uri $y { * first; } map $arg_a $y { 1 second; }",
            "return 200 $x$y;",
        );
        assert_eq!(text(&site.get("/?a=1", &[])), "thirdsecond");
    }

    #[test]
    fn what_needs_itself_has_no_value() {
        let site = Site::with_http(
            "map $self $self { default x; } map $b $a { default a$b; } map $a $b { default b$a; }",
            "location / { return 200 $self; } location /two { return 200 $a; }",
        );
        assert_eq!(text(&site.get("/", &[])), "x");
        assert!(
            site.log()
                .contains("cycle while evaluating variable \"self\"")
        );
        assert!(text(&site.get("/two", &[])).starts_with("abab"));
    }

    #[test]
    fn mistakes() {
        for (block, message) in [
            ("map $uri x { }", "invalid variable name \"x\""),
            ("map $uri $args { }", "the duplicate \"args\" variable"),
            (
                "map $uri $x { a b c; }",
                "invalid number of the map parameters",
            ),
            ("map $uri $x { a b; A b; }", "conflicting parameter \"a\""),
            (
                "map $uri $x { default a; default b; }",
                "duplicate default map parameter",
            ),
            (
                "map $uri $x { hostnames; a.*.b b; }",
                "invalid hostname or wildcard \"a.*.b\"",
            ),
            ("map $uri $x { a $none; }", "unknown \"none\" variable"),
        ] {
            assert_eq!(found_in_http(block), [message], "{block}");
        }
    }
}
