//! From a name or a path to whatever was registered for it: virtual hosts and locations.
//!
//! Both tables are built once, while the configuration is installed, and only read afterwards.
//! They are generic over what they lead to, so they know nothing of servers or requests.

pub mod hosts;
pub mod locations;
mod trie;

/// A compiled pattern (`~ …`): what routing needs to know of a regular expression.
pub trait Matcher {
    /// Where the groups of a match are kept.
    type Captures;

    /// Whether `subject` matches; only then are the groups written to `captures`.
    fn captures(&self, subject: &[u8], captures: &mut Self::Captures) -> bool;
}

#[cfg(test)]
pub(crate) mod tests {
    //! A matcher for the tests of both tables.

    use super::Matcher;

    /// A regular expression that notes its source when it matches.
    #[derive(Debug, Clone)]
    pub struct Regex(regex::bytes::Regex);

    impl Regex {
        pub fn new(source: &str) -> Self {
            Self(regex::bytes::Regex::new(source).unwrap())
        }
    }

    impl Matcher for Regex {
        type Captures = Vec<String>;

        fn captures(&self, subject: &[u8], captures: &mut Vec<String>) -> bool {
            let matched = self.0.is_match(subject);
            if matched {
                captures.push(self.0.as_str().to_owned());
            }
            matched
        }
    }
}
