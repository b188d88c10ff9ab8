//! Base64 (RFC 4648 section 4), as digests and credentials use it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes `bytes`, padded.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, i| {
            bits << 8 | u32::from(group.get(i).copied().unwrap_or(0))
        });
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            let padding = digit > group.len();
            out.push(if padding {
                '='
            } else {
                char::from(ALPHABET[index])
            });
        }
    }
    out
}

/// As [`decode`], for text in the alphabet that is safe in URLs (RFC 4648 section 5).
pub fn decode_url(text: &[u8]) -> Option<Vec<u8>> {
    let plain = text.iter().map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        // These belong to the other alphabet.
        b'+' | b'/' => b' ',
        other => *other,
    });
    decode(&plain.collect::<Vec<_>>())
}

/// Decodes `text`, with or without padding; like nginx this ignores all that follows a `=`.
/// `None` if it is not base64.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let end = memchr::memchr(b'=', text).unwrap_or(text.len());
    let mut decoded = Vec::with_capacity(end / 4 * 3 + 2);
    for group in text[..end].chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let bits = group.iter().try_fold(0, |bits, &byte| {
            digit(byte).map(|digit| bits << 6 | u32::from(digit))
        })?;
        let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
        decoded.extend_from_slice(&bytes[1..group.len()]);
    }
    Some(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rfcs_vectors() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded.as_bytes()).unwrap(), plain.as_bytes());
        }
        for wrong in ["Z", "Z g=", "Zg-_"] {
            assert!(decode(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert_eq!(decode(b"Zg").unwrap(), b"f");
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes: Vec<u8>) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }
    }
}
