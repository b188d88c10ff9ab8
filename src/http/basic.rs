//! Basic credentials (RFC 7617): `Authorization: Basic dXNlcjpwYXNzd29yZA==`.

use super::base64;

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
    let mut user = base64::decode(encoded.trim_ascii_start())?;
    let colon = memchr::memchr(b':', &user).filter(|&colon| colon > 0)?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some(Credentials { user, password })
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
