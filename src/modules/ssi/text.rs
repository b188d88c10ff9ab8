//! Text in parameters: variables, backslashes, and the expressions of `if`.

use super::page::{Failed, Page};
use crate::http::{Captures, Pattern};

impl Page {
    /// A variable's value: one that a command set, or one of the server's.
    pub(super) fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        let name = name.to_ascii_lowercase();
        self.shared.value(&name).or_else(|| {
            let mut value = Vec::new();
            let name = std::str::from_utf8(&name).ok()?;
            let names = &self.exchange.server.variables;
            names.append(name, &self.exchange, &mut value)?;
            Some(value)
        })
    }

    /// The text with the values of its variables, and without the backslashes that quote.
    pub(super) fn evaluate(&self, text: &[u8]) -> Result<Vec<u8>, Failed> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            match (byte, behind.split_first()) {
                (b'\\', Some((&quoted, behind))) => {
                    if !matches!(quoted, b'\\' | b'\'' | b'"' | b'$') {
                        out.push(b'\\');
                    }
                    out.push(quoted);
                    rest = behind;
                }
                (b'\\', None) => {}
                (b'$', _) => {
                    let (name, behind) = self.name(rest, text)?;
                    out.extend(self.variable(name).unwrap_or_default());
                    rest = behind;
                }
                _ => out.push(byte),
            }
        }
        Ok(out)
    }

    /// The variable's name at the start of `rest`, which follows a `$`, and what is behind it.
    fn name<'a>(&self, rest: &'a [u8], whole: &[u8]) -> Result<(&'a [u8], &'a [u8]), Failed> {
        let inner = rest.strip_prefix(b"{").unwrap_or(rest);
        let braced = inner.len() < rest.len();
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let end = inner
            .iter()
            .position(|byte| !is_name(byte))
            .unwrap_or(inner.len());
        let (name, behind) = inner.split_at(end);
        let behind = match (braced, behind.strip_prefix(b"}")) {
            (false, _) => behind,
            (true, Some(behind)) => behind,
            (true, None) => {
                let name = String::from_utf8_lossy(name);
                let message = format!("the closing bracket in \"{name}\" variable is missing");
                return Err(self.fail(message));
            }
        };
        if name.is_empty() {
            let whole = String::from_utf8_lossy(whole);
            return Err(self.fail(format!("invalid variable name in \"{whole}\"")));
        }
        Ok((name, behind))
    }

    /// Whether an expression holds: `$a`, `$a = text`, `$a != /regex/`.
    pub(super) fn holds(&self, expression: &[u8]) -> Result<bool, Failed> {
        let is_left = |byte: &u8| byte.is_ascii_alphanumeric() || b"${}_\"'".contains(byte);
        let end = expression.iter().position(|byte| !is_left(byte));
        let (left, rest) = expression.split_at(end.unwrap_or(expression.len()));
        let left = self.evaluate(&left.to_ascii_lowercase())?;
        let rest = without_spaces(rest);
        let (negative, right) = match rest {
            [] => return Ok(!left.is_empty()),
            [b'=', right @ ..] => (false, right),
            [b'!', b'=', right @ ..] => (true, right),
            _ => return Err(self.bad_expression(expression)),
        };
        let equal = match without_spaces(right) {
            [b'/', pattern @ .., b'/'] => self.matches(&self.evaluate(pattern)?, &left)?,
            [b'/', _, ..] => return Err(self.bad_expression(expression)),
            // A backslash before a slash has it not begin a regex.
            text => {
                self.evaluate(
                    text.strip_prefix(b"\\")
                        .filter(|rest| rest.starts_with(b"/"))
                        .unwrap_or(text),
                )? == left
            }
        };
        Ok(equal != negative)
    }

    fn bad_expression(&self, expression: &[u8]) -> Failed {
        let expression = String::from_utf8_lossy(expression);
        self.fail(format!("invalid expression in \"{expression}\""))
    }

    /// Whether the text matches; if so, what its groups matched is remembered.
    fn matches(&self, pattern: &[u8], text: &[u8]) -> Result<bool, Failed> {
        let source = std::str::from_utf8(pattern);
        let source = source.map_err(|_| self.fail("invalid UTF-8 in a regex".into()))?;
        let pattern = Pattern::new(source, false).map_err(|error| self.fail(error.to_string()))?;
        let mut captures = Captures::new();
        if !pattern.captures(text, &mut captures) {
            return Ok(false);
        }
        let group = |number| captures.text(number, text).unwrap_or_default().to_vec();
        let groups = (0..captures.len()).map(group).collect();
        self.shared.captures.replace(groups);
        for (name, number) in pattern.names() {
            self.shared.set(name.as_bytes(), group(*number));
        }
        Ok(true)
    }
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte != b' ');
    &text[end.unwrap_or(text.len())..]
}
