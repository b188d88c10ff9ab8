//! Content codings a client takes (RFC 9110 section 12.5.3), read as nginx reads them.

/// How much the client likes `coding`, in thousandths; 0 if it does not take it.
///
/// Only the name itself counts, not `*`; a weight that is malformed makes it 0.
pub fn quality(accept_encoding: &[u8], coding: &[u8]) -> u16 {
    let Some(rest) = behind(accept_encoding, coding) else {
        return 0;
    };
    let rest = rest.trim_ascii_start();
    match rest.first() {
        None | Some(b',') => 1000,
        Some(b';') => weight(rest[1..].trim_ascii_start()),
        Some(_) => 0,
    }
}

/// What follows the first `name` that begins a word.
fn behind<'a>(list: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = list
        .windows(name.len())
        .enumerate()
        .position(|(at, word)| {
            word.eq_ignore_ascii_case(name) && (at == 0 || matches!(list[at - 1], b',' | b' '))
        })?;
    Some(&list[at + name.len()..])
}

/// The weight at the start of `parameter`: `q=0.5`.
fn weight(parameter: &[u8]) -> u16 {
    let Some((b'q' | b'Q', rest)) = parameter.split_first() else {
        return if parameter.is_empty() { 1000 } else { 0 };
    };
    let Some(number) = rest.strip_prefix(b"=") else {
        return 0;
    };
    let end = number.iter().position(|byte| matches!(byte, b',' | b' '));
    thousandths(&number[..end.unwrap_or(number.len())]).unwrap_or(0)
}

fn thousandths(number: &[u8]) -> Option<u16> {
    let (whole, fraction) = match number {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut value = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, unit) in fraction.iter().zip([100, 10, 1]) {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        value += digit * unit;
    }
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        let cases = [
            ("", 0),
            ("gzip", 1000),
            ("GZIP", 1000),
            ("gzip, deflate", 1000),
            ("deflate,gzip", 1000),
            ("deflate, gzip;q=0.5, br", 500),
            ("gzip ; q=1.000", 1000),
            ("gzip;Q=0.001", 1),
            ("gzip;q=0", 0),
            ("gzip;q=0.000", 0),
            ("gzip;q=1.001", 0),
            ("gzip;q=0.0001", 0),
            ("gzip;q=2", 0),
            ("gzip;q=", 0),
            ("gzip;q=x", 0),
            ("gzip;", 1000),
            ("gzip;x", 0),
            ("gzipped", 0),
            ("x-gzip", 0),
            ("x-gzip, gzip", 1000),
            ("*", 0),
        ];
        for (header, expected) in cases {
            assert_eq!(quality(header.as_bytes(), b"gzip"), expected, "{header}");
        }
        assert_eq!(quality(b"gzip, br;q=0.2", b"br"), 200);
    }
}
