//! Errors of the system in nginx's form: `(2: No such file or directory)`.

use std::fmt;
use std::io;

/// Shows an error with its number in front, in parentheses.
pub struct Errno<'a>(pub &'a io::Error);

impl fmt::Display for Errno<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match self.0.raw_os_error() {
            Some(number) => {
                let text = text
                    .strip_suffix(&format!(" (os error {number})"))
                    .unwrap_or(&text);
                write!(f, "({number}: {text})")
            }
            None => write!(f, "({text})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_first() {
        let missing = io::Error::from_raw_os_error(2);
        assert_eq!(
            Errno(&missing).to_string(),
            "(2: No such file or directory)"
        );
        assert_eq!(Errno(&io::Error::other("odd")).to_string(), "(odd)");
    }
}
