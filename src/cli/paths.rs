//! Where things are: the prefix, the configuration, the first error log.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::options::Options;

/// The configuration, relative to the prefix, when none is named.
pub(super) const CONFIGURATION: &str = "conf/server.conf";

/// The configuration when there is none below the prefix either.
const SYSTEM_CONFIGURATION: &str = "/etc/rowhouse/server.conf";

/// The default folder of logs, relative to the prefix.
const LOGS: &str = "logs";

/// The error log, relative to the prefix, when none is named.
pub(super) const ERROR_LOG: &str = "logs/error.log";

/// Where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// What relative paths are relative to, with a slash at its end.
    pub prefix: PathBuf,
    /// The main file of the configuration.
    pub configuration: PathBuf,
    /// The error log until a configuration names another; `None` is standard error.
    pub error_log: Option<PathBuf>,
}

impl Paths {
    /// What the options say.
    ///
    /// # Errors
    /// The current directory is not known.
    pub fn of(options: &Options) -> io::Result<Self> {
        let prefix = match &options.prefix {
            Some(prefix) => prefix.clone(),
            None => env::current_dir()?.into(),
        };
        let prefix = with_slash(prefix);
        let configuration = match &options.configuration {
            Some(name) => full(&prefix, name),
            None => default_configuration(&prefix),
        };
        let error_log = match &options.error_log {
            Some(name) if name == "stderr" || name.is_empty() => None,
            Some(name) => Some(full(&prefix, name)),
            None => Some(full(&prefix, OsStr::new(ERROR_LOG))),
        };
        Ok(Self {
            prefix: prefix.into(),
            configuration,
            error_log,
        })
    }

    /// The folder of the configuration, with a slash at its end.
    pub fn configuration_folder(&self) -> PathBuf {
        let name = self.configuration.as_os_str().as_bytes();
        match memchr::memrchr(b'/', name) {
            Some(slash) => OsStr::from_bytes(&name[..=slash]).into(),
            None => self.prefix.clone(),
        }
    }

    /// The default folder of logs.
    pub fn logs(&self) -> PathBuf {
        full(self.prefix.as_os_str(), OsStr::new(LOGS))
    }
}

fn default_configuration(prefix: &OsStr) -> PathBuf {
    let own = full(prefix, OsStr::new(CONFIGURATION));
    let system = Path::new(SYSTEM_CONFIGURATION);
    if !own.exists() && system.exists() {
        system.into()
    } else {
        own
    }
}

/// A folder's name that others can be put behind.
fn with_slash(name: OsString) -> OsString {
    let mut name = name.into_vec();
    if !name.is_empty() && !name.ends_with(b"/") {
        name.push(b'/');
    }
    OsString::from_vec(name)
}

/// Puts a relative name behind the prefix, byte by byte, as nginx does.
fn full(prefix: &OsStr, name: &OsStr) -> PathBuf {
    if name.as_bytes().starts_with(b"/") {
        return name.into();
    }
    let mut full = prefix.to_owned();
    full.push(name);
    full.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_options() {
        let paths = |prefix: &str, configuration: &str, error_log: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
            let options = Options {
                prefix: some(prefix),
                configuration: some(configuration),
                error_log: some(error_log),
                ..Options::default()
            };
            let paths = Paths::of(&options).unwrap();
            let log = paths
                .error_log
                .as_ref()
                .map(|log| log.display().to_string());
            let folder = paths.configuration_folder().display().to_string();
            (
                paths.configuration.display().to_string(),
                folder,
                log.unwrap_or_default(),
            )
        };
        for (given, expected) in [
            (("/p", "c", ""), ("/p/c", "/p/", "/p/logs/error.log")),
            (("/p/", "a/c", "e"), ("/p/a/c", "/p/a/", "/p/e")),
            (("p", "/a/c", "/e"), ("/a/c", "/a/", "/e")),
            (("p", "c", "stderr"), ("p/c", "p/", "")),
        ] {
            let (prefix, configuration, log) = given;
            let got = paths(prefix, configuration, log);
            assert_eq!((&*got.0, &*got.1, &*got.2), expected, "{given:?}");
        }
    }

    #[test]
    fn without_options_all_is_below_the_current_directory() {
        let paths = Paths::of(&Options::default()).unwrap();
        let here = env::current_dir().unwrap();
        assert_eq!(paths.prefix, here);
        assert_eq!(paths.logs(), here.join("logs"));
    }
}
