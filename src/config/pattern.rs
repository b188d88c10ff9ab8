//! Arguments that are regular expressions.

use std::rc::Rc;

use super::diagnostics::Mistake;
use super::usage::Use;
use crate::http::pattern::Pattern;

impl Use<'_> {
    /// Argument `i` as a regular expression.
    ///
    /// # Errors
    /// What the compiler says against it, in nginx's words.
    pub fn pattern(&self, i: usize, ignore_case: bool) -> Result<Rc<Pattern>, Mistake> {
        self.pattern_of(i, self.arg(i), ignore_case)
    }

    /// `source`, which comes from argument `i`, as a regular expression.
    ///
    /// # Errors
    /// As [`Use::pattern`].
    pub fn pattern_of(
        &self,
        i: usize,
        source: &[u8],
        ignore_case: bool,
    ) -> Result<Rc<Pattern>, Mistake> {
        let source = std::str::from_utf8(source)
            .map_err(|_| self.mistake(i, format!("invalid UTF-8 in \"{}\"", self.lossy(i))))?;
        Pattern::new(source, ignore_case)
            .map(Rc::new)
            .map_err(|error| self.mistake(i, error.to_string()))
    }
}
