//! Cookies as requests send them (RFC 6265 section 4.2), read as leniently as nginx does.

/// The value of the cookie `name` in the value of a `Cookie` field; the name may have any letter
/// case.
pub fn find<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = field;
    while !rest.is_empty() {
        if let Some((found, after)) = rest.split_at_checked(name.len())
            && found.eq_ignore_ascii_case(name)
        {
            match skip_spaces(after).split_first() {
                Some((b'=', value)) => return Some(up_to_semicolon(skip_spaces(value)).0),
                Some((_, after)) => rest = after,
                None => return None,
            }
        }
        rest = skip_spaces(up_to_semicolon(rest).1);
    }
    None
}

/// What is before the first semicolon and what is behind it.
fn up_to_semicolon(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b';', text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|&&byte| byte == b' ').count();
    &text[spaces..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cookies_are_found_by_name() {
        for (field, name, expected) in [
            ("a=1; b=2", "a", Some("1")),
            ("a=1; b=2", "b", Some("2")),
            ("a=1;b=2", "B", Some("2")),
            ("a =  1 ; b", "a", Some("1 ")),
            ("a=1=2", "a", Some("1=2")),
            ("a=", "a", Some("")),
            ("ab=1; a=2", "a", Some("2")),
            ("xa=1;   a=2", "a", Some("2")),
            ("a", "a", None),
            ("a; c=1; a=2", "a", Some("2")),
            ("b=1", "a", None),
            ("", "a", None),
        ] {
            let found = find(field.as_bytes(), name.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{name} in {field}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(field: Vec<u8>, name: Vec<u8>) {
            find(&field, &name);
        }
    }
}
