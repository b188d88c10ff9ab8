//! Basic credentials (RFC 7617): `Authorization: Basic dXNlcjpwYXNzd29yZA==`.

/// A name and its password.
#[derive(Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name; never empty.
    pub user: Vec<u8>,
    /// The password, which may hold colons.
    pub password: Vec<u8>,
}

/// What a field value holds; `None` if it is of another scheme or malformed.
pub fn parse(value: &[u8]) -> Option<Credentials> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let mut user = decode(encoded.trim_ascii_start())?;
    let colon = memchr::memchr(b':', &user).filter(|&colon| colon > 0)?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some(Credentials { user, password })
}

/// Base64 with or without padding; like nginx this ignores all that follows a `=`.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
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

    #[test]
    fn credentials() {
        for (value, expected) in [
            ("Basic dXNlcjpwYXNz", Some(("user", "pass"))),
            ("basic   dXNlcjpwYXNzdw==", Some(("user", "passw"))),
            ("Basic dXNlcjpwYXNzdw", Some(("user", "passw"))),
            ("Basic dTpwOnE=", Some(("u", "p:q"))),
            ("Basic dTo=", Some(("u", ""))),
            ("Basic OnA=", None),
            ("Basic dXNlcg==", None),
            ("Basic dXNlc", None),
            ("Basic d-==", None),
            ("Basic ", None),
            ("Bearer dXNlcjpwYXNz", None),
            ("", None),
        ] {
            let expected = expected.map(|(user, password)| Credentials {
                user: user.into(),
                password: password.into(),
            });
            assert_eq!(parse(value.as_bytes()), expected, "{value}");
        }
    }
}
