//! The arguments of a URI, `a=1&b=2`.

/// The value of the first argument called `name`, in any letter case; as sent, not decoded.
pub fn find<'a>(args: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    args.split(|&byte| byte == b'&').find_map(|argument| {
        let (found, rest) = argument.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b"=")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_found_by_name() {
        for (args, name, expected) in [
            ("a=1&b=2", "a", Some("1")),
            ("a=1&b=2", "b", Some("2")),
            ("a=1&a=2", "a", Some("1")),
            ("A=1", "a", Some("1")),
            ("ba=1&a=2", "a", Some("2")),
            ("ab=1&a=2", "a", Some("2")),
            ("a&a=", "a", Some("")),
            ("a==b", "a", Some("=b")),
            ("a", "a", None),
            ("b?a=1", "a", None),
            ("", "a", None),
        ] {
            let found = find(args.as_bytes(), name.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{name} in {args}");
        }
    }
}
