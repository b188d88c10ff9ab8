//! How grave a message is: the levels of nginx's `error_log`.

use std::fmt;

/// A level, the gravest first: a log with level *x* keeps messages of *x* and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The server cannot run.
    Emerg = 1,
    /// Something must be mended at once.
    Alert,
    /// A serious failure outside the server's control.
    Crit,
    /// A request failed.
    Error,
    /// Something may be wrong.
    Warn,
    /// Something that matters happened.
    Notice,
    /// Good to know.
    Info,
    /// For those who look for a fault.
    Debug,
}

/// All levels in their order.
pub const LEVELS: [Level; 8] = [
    Level::Emerg,
    Level::Alert,
    Level::Crit,
    Level::Error,
    Level::Warn,
    Level::Notice,
    Level::Info,
    Level::Debug,
];

/// Names that narrow debugging down in nginx. Here each means all of `debug`.
const DEBUG_PARTS: [&[u8]; 7] = [
    b"debug_core",
    b"debug_alloc",
    b"debug_mutex",
    b"debug_event",
    b"debug_http",
    b"debug_mail",
    b"debug_stream",
];

impl Level {
    /// The name used in the configuration and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emerg => "emerg",
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level called `name`.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        LEVELS
            .into_iter()
            .find(|level| level.name().as_bytes() == name)
    }

    /// The level that the arguments of `error_log` behind the file ask for; none mean `error`.
    ///
    /// # Errors
    /// What is wrong with them, in nginx's words.
    pub fn from_arguments<'a>(
        arguments: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, String> {
        let mut chosen = None;
        for argument in arguments {
            let is_part = DEBUG_PARTS.contains(&argument);
            let fault = match Self::from_name(argument) {
                Some(_) if chosen.is_some() => "duplicate",
                Some(level) => {
                    chosen = Some(level);
                    continue;
                }
                None if is_part && matches!(chosen, None | Some(Self::Debug)) => {
                    chosen = Some(Self::Debug);
                    continue;
                }
                None => "invalid",
            };
            let argument = String::from_utf8_lossy(argument);
            return Err(format!("{fault} log level \"{argument}\""));
        }
        Ok(chosen.unwrap_or(Self::Error))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_error_log() {
        for (arguments, expected) in [
            ("", Ok(Level::Error)),
            ("warn", Ok(Level::Warn)),
            ("debug_http debug_event", Ok(Level::Debug)),
            ("warn info", Err("duplicate log level \"info\"")),
            ("warn debug_http", Err("invalid log level \"debug_http\"")),
            ("loud", Err("invalid log level \"loud\"")),
        ] {
            let words = arguments.split_whitespace().map(str::as_bytes);
            let expected = expected.map_err(str::to_owned);
            assert_eq!(Level::from_arguments(words), expected, "{arguments}");
        }
    }

    #[test]
    fn names_lead_back_to_their_levels() {
        for level in LEVELS {
            assert_eq!(Level::from_name(level.to_string().as_bytes()), Some(level));
        }
    }
}
