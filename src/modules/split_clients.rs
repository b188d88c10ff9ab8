//! `split_clients`: a variable that divides requests into shares, for tests of variants.

use std::rc::Rc;

use super::map::variable_name;
use crate::config::context::HTTP;
use crate::config::{Directive, Mistake, Module, Use, directive, units};
use crate::exchange::{Evaluate, Exchange, Template};

/// Divides requests into shares.
pub struct SplitClients;

/// Shares become variables at once.
#[derive(Clone, Default)]
pub struct Settings;

impl Module for SplitClients {
    type Settings = Settings;
    const NAME: &'static str = "split_clients";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("split_clients")
        .syntax("string $variable { … }")
        .contexts(HTTP)
        .takes(2)
        .doc("Makes a variable that has each of some values for a share of all strings.")
        .raw(|_, d| {
            let name = variable_name(d, 1)?;
            let source = d.template(0)?;
            let shares = shares(d)?;
            d.define(1, name, Rc::new(Split { source, shares }), false)
        })];
}

/// One `split_clients`.
struct Split {
    source: Template,
    /// In order: the first whose number is above a string's hash is the string's.
    shares: Vec<Share>,
}

/// What hashes are below, if it is not for the rest, and the value.
type Share = (Option<u32>, Rc<[u8]>);

/// The whole, in hundredths of a percent.
const WHOLE: u64 = 10_000;

fn shares(d: &Use<'_>) -> Result<Vec<Share>, Mistake> {
    let (mut sum, mut below) = (0, 0_u64);
    let mut shares = Vec::new();
    for entry in d.entries() {
        let share = share(&entry)?;
        sum = share.map_or(WHOLE, |share| sum + share);
        if sum > WHOLE {
            let message = "percent total is greater than 100%";
            return Err(Mistake::emerg(entry.span(), message));
        }
        let limit = share.filter(|_| sum < WHOLE).map(|share| {
            below += share * u64::from(u32::MAX) / WHOLE;
            u32::try_from(below).unwrap_or(u32::MAX)
        });
        shares.push((limit, entry.arg(0).into()));
    }
    Ok(shares)
}

/// A line's share in hundredths of a percent; `None` for the rest.
fn share(entry: &Use<'_>) -> Result<Option<u64>, Mistake> {
    if entry.count() != 1 {
        let message = "invalid number of the split_clients parameters";
        return Err(Mistake::emerg(entry.span(), message));
    }
    if entry.name() == b"*" {
        return Ok(None);
    }
    let digits = entry.name().strip_suffix(b"%");
    let share = digits.and_then(hundredths).filter(|share| *share > 0);
    let invalid = || {
        let name = String::from_utf8_lossy(entry.name());
        Mistake::emerg(entry.span(), format!("invalid percent value \"{name}\""))
    };
    share.map(Some).ok_or_else(invalid)
}

/// A number with up to two decimals, times a hundred.
fn hundredths(digits: &[u8]) -> Option<u64> {
    let (whole, decimals) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &b""[..]),
    };
    let padded = match decimals {
        [] => [b'0', b'0'],
        [tenths] => [*tenths, b'0'],
        [tenths, hundredths] => [*tenths, *hundredths],
        _ => return None,
    };
    let whole = if whole.is_empty() { b"0" } else { whole };
    units::number(whole)?
        .checked_mul(100)?
        .checked_add(units::number(&padded)?)
}

impl Evaluate for Split {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        let hash = murmur2(&self.source.expand(exchange));
        let mut shares = self.shares.iter();
        let found = shares.find(|(below, _)| below.is_none_or(|below| hash < below));
        if let Some((_, value)) = found {
            out.extend_from_slice(value);
        }
        Some(())
    }
}

/// MurmurHash2 of 32 bits, with a seed made of the length alone.
fn murmur2(text: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let scramble = |word: u32| {
        let word = word.wrapping_mul(MIX);
        (word ^ (word >> 24)).wrapping_mul(MIX)
    };
    let mut hash = text.len() as u32;
    let (words, rest) = text.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_mul(MIX) ^ scramble(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::found_in_http;
    use crate::modules::tests::trial::{Site, text};

    #[test]
    fn hashes() {
        for (text, expected) in [
            ("", 0),
            ("a", 0x9268_5f5e),
            ("abcd", 0x2687_3021),
            ("/index.html", 0x7a72_597d),
            ("abcdefg", 0xf9a1_cef3),
        ] {
            assert_eq!(murmur2(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn shares_are_kept() {
        let site = Site::with_http(
            "split_clients $arg_a $half { 50% a; * b; }
             split_clients $arg_a $all { 0.5% x; 99.5% y; }
             split_clients $arg_a $some { 10% x; }",
            "return 200 $half$all$some;",
        );
        let mut halves = 0;
        for number in 0..400 {
            let body = text(&site.get(&format!("/?a={number}"), &[]));
            halves += usize::from(body.starts_with('a'));
            assert!(body.len() == 2 || body.ends_with('x'), "{body}");
        }
        assert!((150..250).contains(&halves), "{halves}");
    }

    #[test]
    fn percentages() {
        for (digits, expected) in [
            ("1", Some(100)),
            ("0.5", Some(50)),
            ("12.34", Some(1234)),
            (".1", Some(10)),
            ("1.234", None),
            ("x", None),
        ] {
            assert_eq!(hundredths(digits.as_bytes()), expected, "{digits}");
        }
    }

    #[test]
    fn mistakes() {
        for (block, message) in [
            ("split_clients a x { }", "invalid variable name \"x\""),
            (
                "split_clients a $x { 60% a; 50% b; }",
                "percent total is greater than 100%",
            ),
            (
                "split_clients a $x { 0% a; }",
                "invalid percent value \"0%\"",
            ),
            (
                "split_clients a $x { 10 a; }",
                "invalid percent value \"10\"",
            ),
        ] {
            assert_eq!(found_in_http(block), [message], "{block}");
        }
    }
}
