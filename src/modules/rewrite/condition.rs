//! The condition of an `if`.

use std::rc::Rc;

use super::program::Run;
use super::set::evaluate;
use crate::config::{Mistake, Use};
use crate::exchange::{Exchange, Template, VariableRef};
use crate::files::Want;
use crate::http::pattern::{LimitExceeded, Pattern};
use crate::log::level::Level;

/// The owner's right to run a file, in its mode.
const OWNER_MAY_RUN: u32 = 0o100;

/// What is asked, and whether the opposite is meant.
pub struct Condition {
    test: Test,
    negated: bool,
}

enum Test {
    /// The variable is neither empty nor `0`.
    True(Rc<VariableRef>),
    Equals(Rc<VariableRef>, Template),
    Matches(Rc<VariableRef>, Match),
    File(FileTest, Template),
}

struct Match {
    pattern: Rc<Pattern>,
    /// The pattern as written, for the log.
    source: String,
    names: Rc<[(usize, usize)]>,
}

/// What is asked of a file.
#[derive(Clone, Copy)]
enum FileTest {
    Plain,
    Folder,
    Exists,
    Runs,
}

impl Condition {
    /// Reads what stands between `if (` and `)`.
    ///
    /// # Errors
    /// `invalid condition`, as nginx.
    pub fn parse(d: &Use<'_>) -> Result<Condition, Mistake> {
        let words = words(d)?;
        let Some(&(at, first)) = words.first() else {
            return Err(invalid(d, 0));
        };
        match first {
            [b'$', name @ ..] if !name.is_empty() => of_variable(d, &words, name),
            [b'-', letter] => of_file(d, &words, *letter, false),
            [b'!', b'-', letter] => of_file(d, &words, *letter, true),
            _ => Err(invalid(d, at)),
        }
    }

    /// Whether it holds for the exchange.
    ///
    /// # Errors
    /// The search for a pattern took too long.
    pub fn holds(&self, run: &Run, exchange: &Exchange) -> Result<bool, LimitExceeded> {
        let holds = match &self.test {
            Test::True(variable) => !matches!(&*value(variable, exchange), b"" | b"0"),
            Test::Equals(variable, text) => {
                value(variable, exchange) == evaluate(text, run.escape, exchange)
            }
            Test::Matches(variable, pattern) => {
                pattern.search(&value(variable, exchange), run, exchange)?
            }
            Test::File(test, path) => test.ask(&evaluate(path, run.escape, exchange), exchange),
        };
        Ok(holds != self.negated)
    }
}

/// The words between the parentheses, which may stick to them, each with the number of its
/// argument.
fn words<'a>(d: &Use<'a>) -> Result<Vec<(usize, &'a [u8])>, Mistake> {
    let last = d.count() - 1;
    if d.arg(0).first() != Some(&b'(') {
        return Err(invalid(d, 0));
    }
    if d.arg(last).last() != Some(&b')') {
        return Err(invalid(d, last));
    }
    let trimmed = (0..=last).map(|i| {
        let mut word = d.arg(i);
        if i == 0 {
            word = &word[1..];
        }
        if i == last {
            word = word.strip_suffix(b")").unwrap_or(word);
        }
        (i, word)
    });
    // A parenthesis that stands alone is no word, but an empty one in quotes is.
    Ok(trimmed
        .filter(|(i, word)| !word.is_empty() || *i != 0 && *i != last)
        .collect())
}

fn invalid(d: &Use<'_>, i: usize) -> Mistake {
    d.mistake(i, format!("invalid condition \"{}\"", d.lossy(i)))
}

fn of_variable(d: &Use<'_>, words: &[(usize, &[u8])], name: &[u8]) -> Result<Condition, Mistake> {
    let at = words[0].0;
    let name = std::str::from_utf8(name).map_err(|_| invalid(d, at))?;
    let variable = d.variable(at, name);
    let (operator, operand) = match words {
        [_] => return Ok(plain(Test::True(variable))),
        [_, operator, operand] => (operator, operand),
        _ => return Err(invalid(d, at)),
    };
    let (negated, kind) = match operator.1 {
        [b'!', kind @ ..] => (true, kind),
        kind => (false, kind),
    };
    let test = match kind {
        b"=" => Test::Equals(variable, d.template_of(operand.0, operand.1)?),
        b"~" | b"~*" => {
            let pattern = d.pattern_of(operand.0, operand.1, kind == b"~*")?;
            let names = d.capture_slots(operand.0, &pattern)?;
            let source = String::from_utf8_lossy(operand.1).into_owned();
            let search = Match {
                pattern,
                source,
                names,
            };
            Test::Matches(variable, search)
        }
        _ => {
            let message = format!("unexpected \"{}\" in condition", d.lossy(operator.0));
            return Err(d.mistake(operator.0, message));
        }
    };
    Ok(Condition { test, negated })
}

fn plain(test: Test) -> Condition {
    Condition {
        test,
        negated: false,
    }
}

fn of_file(
    d: &Use<'_>,
    words: &[(usize, &[u8])],
    letter: u8,
    negated: bool,
) -> Result<Condition, Mistake> {
    let [(at, _), (i, path)] = words else {
        return Err(invalid(d, words[0].0));
    };
    let test = match letter {
        b'f' => FileTest::Plain,
        b'd' => FileTest::Folder,
        b'e' => FileTest::Exists,
        b'x' => FileTest::Runs,
        _ => return Err(invalid(d, *at)),
    };
    let test = Test::File(test, d.template_of(*i, path)?);
    Ok(Condition { test, negated })
}

fn value(variable: &VariableRef, exchange: &Exchange) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = variable.append(exchange, &mut out);
    out
}

impl Match {
    fn search(
        &self,
        subject: &[u8],
        run: &Run,
        exchange: &Exchange,
    ) -> Result<bool, LimitExceeded> {
        let found = exchange.find_pattern(&self.pattern, &self.names, subject)?;
        run.log_match(exchange, &self.source, subject, found);
        if !found {
            exchange.clear_captures();
        }
        Ok(found)
    }
}

impl FileTest {
    fn ask(self, path: &[u8], exchange: &Exchange) -> bool {
        match exchange.look_up(path, Want::Info) {
            Ok(file) => match self {
                FileTest::Plain => file.stat.is_file(),
                FileTest::Folder => file.stat.is_dir(),
                FileTest::Exists => true,
                FileTest::Runs => file.stat.mode & OWNER_MAY_RUN != 0,
            },
            Err(error) => {
                if !error.is_not_found() {
                    exchange.log_file_error(Level::Crit, path, &error);
                }
                false
            }
        }
    }
}
