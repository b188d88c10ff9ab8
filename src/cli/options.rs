//! The options: nginx's, and the commands that are not nginx's.

use std::ffi::{OsStr, OsString};
use std::fmt;

use lexopt::{Arg, Parser};

/// What the program is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// What nginx does.
    Serve(Options),
    /// `directives`, with the words behind it.
    Directives(Vec<OsString>),
}

/// nginx's options.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-h`, `-?`.
    pub help: bool,
    /// `-v` and the options that imply it.
    pub version: bool,
    /// `-V`.
    pub build: bool,
    /// `-t`, `-T`.
    pub test: bool,
    /// `-T`.
    pub dump: bool,
    /// `-q`.
    pub quiet: bool,
    /// `-s`.
    pub signal: Option<Signal>,
    /// `-p`.
    pub prefix: Option<OsString>,
    /// `-c`.
    pub configuration: Option<OsString>,
    /// `-e`.
    pub error_log: Option<OsString>,
    /// `-g`.
    pub globals: Option<OsString>,
}

/// What `-s` sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `stop`.
    Stop,
    /// `quit`.
    Quit,
    /// `reopen`.
    Reopen,
    /// `reload`.
    Reload,
}

/// A command line that means nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Mistake {
    /// No such option or value.
    Invalid(String),
    /// Nothing follows this option.
    Missing(char, &'static str),
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(option) => write!(f, "invalid option: \"{option}\""),
            Self::Missing(option, what) => write!(f, "option \"-{option}\" requires {what}"),
        }
    }
}

/// Reads the command line, without the program's name.
///
/// # Errors
/// The first mistake, in nginx's words.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Mistake> {
    let mut arguments = arguments.into_iter().peekable();
    if arguments.next_if(|first| first == "directives").is_some() {
        return Ok(Command::Directives(arguments.collect()));
    }
    let mut parser = Parser::from_args(arguments);
    parser.set_short_equals(false);
    let mut options = Options::default();
    while let Some(argument) = parser
        .next()
        .map_err(|error| Mistake::Invalid(error.to_string()))?
    {
        match argument {
            Arg::Short(letter) => options.apply(letter, &mut parser)?,
            Arg::Long(name) => return Err(Mistake::Invalid(format!("--{name}"))),
            Arg::Value(value) => return Err(Mistake::Invalid(lossy(&value))),
        }
    }
    Ok(Command::Serve(options))
}

impl Options {
    fn apply(&mut self, letter: char, parser: &mut Parser) -> Result<(), Mistake> {
        let mut value = |what| parser.value().map_err(|_| Mistake::Missing(letter, what));
        match letter {
            '?' | 'h' => (self.version, self.help) = (true, true),
            'v' => self.version = true,
            'V' => (self.version, self.build) = (true, true),
            't' => self.test = true,
            'T' => (self.test, self.dump) = (true, true),
            'q' => self.quiet = true,
            'p' => self.prefix = Some(value("directory name")?),
            'e' => self.error_log = Some(value("file name")?),
            'c' => self.configuration = Some(value("file name")?),
            'g' => self.globals = Some(value("parameter")?),
            's' => self.signal = Some(signal(&value("parameter")?)?),
            other => return Err(Mistake::Invalid(other.into())),
        }
        Ok(())
    }
}

fn signal(name: &OsStr) -> Result<Signal, Mistake> {
    match name.to_str() {
        Some("stop") => Ok(Signal::Stop),
        Some("quit") => Ok(Signal::Quit),
        Some("reopen") => Ok(Signal::Reopen),
        Some("reload") => Ok(Signal::Reload),
        _ => Err(Mistake::Invalid(format!("-s {}", lossy(name)))),
    }
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let words = line.split_whitespace().map(OsString::from);
        parse(words).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn options() {
        let some = |text: &str| Some(OsString::from(text));
        let none = Options::default;
        let version = Options {
            version: true,
            ..none()
        };
        for (line, expected) in [
            ("", none()),
            ("-v", version),
            (
                "-V",
                Options {
                    version: true,
                    build: true,
                    ..none()
                },
            ),
            (
                "-?",
                Options {
                    version: true,
                    help: true,
                    ..none()
                },
            ),
            (
                "-h",
                Options {
                    version: true,
                    help: true,
                    ..none()
                },
            ),
            (
                "-tq",
                Options {
                    test: true,
                    quiet: true,
                    ..none()
                },
            ),
            (
                "-T -t",
                Options {
                    test: true,
                    dump: true,
                    ..none()
                },
            ),
            (
                "-p /a -cb",
                Options {
                    prefix: some("/a"),
                    configuration: some("b"),
                    ..none()
                },
            ),
            (
                "-tc -t",
                Options {
                    test: true,
                    configuration: some("-t"),
                    ..none()
                },
            ),
            (
                "-p=a",
                Options {
                    prefix: some("=a"),
                    ..none()
                },
            ),
            (
                "-e stderr",
                Options {
                    error_log: some("stderr"),
                    ..none()
                },
            ),
            (
                "-g x; -s reload",
                Options {
                    globals: some("x;"),
                    signal: Some(Signal::Reload),
                    ..none()
                },
            ),
            (
                "-sstop",
                Options {
                    signal: Some(Signal::Stop),
                    ..none()
                },
            ),
            (
                "-s quit",
                Options {
                    signal: Some(Signal::Quit),
                    ..none()
                },
            ),
            (
                "-s reopen",
                Options {
                    signal: Some(Signal::Reopen),
                    ..none()
                },
            ),
        ] {
            assert_eq!(parsed(line), Ok(Command::Serve(expected)), "{line}");
        }
    }

    #[test]
    fn mistakes() {
        for (line, expected) in [
            ("-x", "invalid option: \"x\""),
            ("-tx", "invalid option: \"x\""),
            ("start", "invalid option: \"start\""),
            ("-t directives", "invalid option: \"directives\""),
            ("--help", "invalid option: \"--help\""),
            ("-s now", "invalid option: \"-s now\""),
            ("-s", "option \"-s\" requires parameter"),
            ("-tp", "option \"-p\" requires directory name"),
            ("-e", "option \"-e\" requires file name"),
            ("-c", "option \"-c\" requires file name"),
            ("-g", "option \"-g\" requires parameter"),
        ] {
            assert_eq!(parsed(line), Err(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn commands() {
        let words = |line: &str| line.split_whitespace().map(OsString::from).collect();
        for line in ["", "listen", "--man"] {
            let expected = Ok(Command::Directives(words(line)));
            assert_eq!(parsed(&format!("directives {line}")), expected);
        }
    }
}
