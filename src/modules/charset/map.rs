//! Tables between two charsets (`charset_map`), and how bodies are recoded by them.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use crate::config::{Mistake, Outcome, Use};
use crate::exchange::Transform;

/// How many bytes a character of UTF-8 may have.
const MAX_CHARACTER: usize = 4;

/// One direction of a `charset_map`.
#[derive(Clone)]
pub(super) struct Map {
    pub source: Rc<[u8]>,
    pub target: Rc<[u8]>,
    pub table: Rc<Table>,
}

/// What becomes of characters. ASCII stays; what has no counterpart becomes `?`, or from UTF-8 a
/// numeric reference.
pub(super) enum Table {
    /// From one byte to one.
    Bytes(Box<[u8; 256]>),
    /// From one byte to a character of UTF-8.
    ToUtf8(Vec<Rc<[u8]>>),
    /// From UTF-8 to one byte, by code point.
    FromUtf8(HashMap<u32, u8>),
}

/// Reads a `charset_map` block: its two directions.
pub(super) fn parse(d: &Use<'_>) -> Result<[Map; 2], Mistake> {
    let [source, target] = [0, 1].map(|i| Rc::<[u8]>::from(d.arg(i)));
    let is_utf8 = |name: &[u8]| name.eq_ignore_ascii_case(b"utf-8");
    if source.eq_ignore_ascii_case(&target) {
        let (source, target) = (d.lossy(0), d.lossy(1));
        let message =
            format!("\"charset_map\" between the same charsets \"{source}\" and \"{target}\"");
        return Err(d.mistake(1, message));
    }
    if is_utf8(&source) {
        let message = "\"charset_map\" with \"utf-8\" charset should be given in the second column";
        return Err(d.mistake(0, message));
    }
    let (there, back) = match is_utf8(&target) {
        true => with_utf8(d)?,
        false => between_bytes(d)?,
    };
    Ok([
        Map {
            source: Rc::clone(&source),
            target: Rc::clone(&target),
            table: Rc::new(there),
        },
        Map {
            source: target,
            target: source,
            table: Rc::new(back),
        },
    ])
}

fn between_bytes(d: &Use<'_>) -> Result<(Table, Table), Mistake> {
    let ascii = || {
        Box::new(std::array::from_fn(|byte| {
            if byte < 128 { byte as u8 } else { b'?' }
        }))
    };
    let (mut there, mut back): (Box<[u8; 256]>, Box<[u8; 256]>) = (ascii(), ascii());
    each(d, |from, to| {
        let [to] = to else {
            return false;
        };
        there[usize::from(from)] = *to;
        back[usize::from(*to)] = from;
        true
    })?;
    Ok((Table::Bytes(there), Table::Bytes(back)))
}

fn with_utf8(d: &Use<'_>) -> Result<(Table, Table), Mistake> {
    let ascii = |byte: u8| Rc::from([if byte < 128 { byte } else { b'?' }]);
    let mut there: Vec<Rc<[u8]>> = (0..=255).map(ascii).collect();
    let mut back = HashMap::new();
    each(d, |from, to| {
        there[usize::from(from)] = to.into();
        let character = match to {
            [ascii @ ..=127] => u32::from(*ascii),
            _ => match decode(to) {
                Decoded::Character(code, _) if code <= 0xffff => code,
                _ => return false,
            },
        };
        back.insert(character, from);
        true
    })?;
    Ok((Table::ToUtf8(there), Table::FromUtf8(back)))
}

/// Hands each line to `add`, which says whether its second column is right.
fn each(d: &Use<'_>, mut add: impl FnMut(u8, &[u8]) -> bool) -> Outcome {
    for entry in d.entries() {
        if entry.count() != 1 {
            return Err(entry.mistake(0, "invalid parameters number"));
        }
        let from = match hex(entry.name()).as_deref() {
            Some([from]) => *from,
            _ => {
                let name = String::from_utf8_lossy(entry.name());
                return Err(entry.mistake(0, format!("invalid value \"{name}\"")));
            }
        };
        let to = hex(entry.arg(0)).filter(|to| (1..=MAX_CHARACTER).contains(&to.len()));
        if !to.is_some_and(|to| add(from, &to)) {
            return Err(entry.mistake(0, format!("invalid value \"{}\"", entry.lossy(0))));
        }
    }
    Ok(())
}

/// The bytes that hexadecimal digits stand for; a first digit may be alone.
fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let odd = digits.len() % 2;
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let first = digits[..odd].iter().map(|byte| digit(*byte));
    let pairs = digits[odd..]
        .chunks(2)
        .map(|two| Some(digit(two[0])? << 4 | digit(two[1])?));
    first.chain(pairs).collect()
}

enum Decoded {
    /// A code point, and how many bytes it has.
    Character(u32, usize),
    /// So many bytes are none.
    Invalid(usize),
    /// The rest may follow.
    Incomplete,
}

/// The character at the start of `bytes`, which is not of ASCII.
fn decode(bytes: &[u8]) -> Decoded {
    let Some((&first, rest)) = bytes.split_first() else {
        return Decoded::Incomplete;
    };
    let (bits, most_shorter, count) = match first {
        0xf0..=0xf7 => (first & 0x07, 0xffff, 3),
        0xe0..=0xef => (first & 0x0f, 0x7ff, 2),
        0xc2..=0xdf => (first & 0x1f, 0x7f, 1),
        _ => return Decoded::Invalid(1),
    };
    let Some(rest) = rest.get(..count) else {
        return Decoded::Incomplete;
    };
    let mut code = u32::from(bits);
    for (number, byte) in rest.iter().enumerate() {
        if *byte < 0x80 {
            return Decoded::Invalid(number + 2);
        }
        code = code << 6 | u32::from(byte & 0x3f);
    }
    match code > most_shorter && code <= u32::from(char::MAX) {
        true => Decoded::Character(code, count + 1),
        false => Decoded::Invalid(count + 1),
    }
}

/// Recodes one body.
pub(super) struct Recode {
    table: Rc<Table>,
    /// The beginning of a character whose rest has not come yet.
    held: Vec<u8>,
}

impl Recode {
    pub(super) fn new(table: Rc<Table>) -> Recode {
        Recode {
            table,
            held: Vec::new(),
        }
    }
}

impl Transform for Recode {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        match &*self.table {
            Table::Bytes(table) => out.extend(input.iter().map(|byte| table[usize::from(*byte)])),
            Table::ToUtf8(table) => {
                input
                    .iter()
                    .for_each(|byte| out.extend_from_slice(&table[usize::from(*byte)]));
            }
            Table::FromUtf8(table) => {
                let mut all = std::mem::take(&mut self.held);
                all.extend_from_slice(input);
                let rest = from_utf8(table, &all, out);
                self.held = all.split_off(rest);
            }
        }
        Ok(input.len())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        // Half a character stands for nothing.
        Ok(())
    }

    fn keeps_length(&self) -> bool {
        matches!(*self.table, Table::Bytes(_))
    }
}

/// Appends what UTF-8 becomes; returns where an incomplete character begins, or the end.
fn from_utf8(table: &HashMap<u32, u8>, text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while at < text.len() {
        if text[at] < 0x80 {
            out.push(text[at]);
            at += 1;
            continue;
        }
        at += match decode(&text[at..]) {
            Decoded::Incomplete => return at,
            Decoded::Invalid(length) => {
                out.push(b'?');
                length
            }
            Decoded::Character(code, length) => {
                match table.get(&code) {
                    Some(byte) => out.push(*byte),
                    None => out.extend_from_slice(format!("&#{code};").as_bytes()),
                }
                length
            }
        };
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_body_is_cut(
            text in prop::collection::vec(
                prop::sample::select(&[b'a', 0x82, 0xac, 0xc2, 0xd0, 0xe2, 0xf0, 0xff][..]),
                0..40,
            ),
            cuts in prop::collection::vec(0usize..40, 0..6),
        ) {
            let table = Rc::new(Table::FromUtf8(HashMap::from([(0x20ac, 0x80), (0x2c, b',')])));
            let run = |parts: &[&[u8]]| {
                let (mut recode, mut out) = (Recode::new(Rc::clone(&table)), Vec::new());
                for part in parts {
                    recode.feed(part, &mut out).unwrap();
                }
                recode.finish(&mut out).unwrap();
                out
            };
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|two| &text[two[0]..two[1]]).collect();
            prop_assert_eq!(run(&parts), run(&[&text]));
        }
    }
}
