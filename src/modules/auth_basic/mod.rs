//! `auth_basic`: names and passwords (RFC 7617), kept in files as Apache's htpasswd makes them.

mod des;
mod password;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use crate::config::context::{HTTP_SERVER_LOCATION, LIMIT_EXCEPT};
use crate::config::tree::bytes_of;
use crate::config::{Directive, Module, directive};
use crate::event;
use crate::exchange::{Exchange, Handler, Location, Phase, Response, Step, Template};
use crate::http::basic::{self, Credentials};
use crate::http::{KnownHeader, Status};
use crate::log::errno::Errno;
use crate::log::level::Level;

/// Asks for a name and a password.
pub struct AuthBasic;

/// What one block says.
#[derive(Clone, Default)]
pub struct Settings {
    realm: Option<Template>,
    file: Option<UserFile>,
}

/// `auth_basic_user_file`.
#[derive(Clone)]
struct UserFile {
    name: Template,
    /// What relative names are relative to.
    folder: Rc<[u8]>,
}

const CONTEXTS: u32 = HTTP_SERVER_LOCATION | LIMIT_EXCEPT;

impl Module for AuthBasic {
    type Settings = Settings;
    const NAME: &'static str = "auth_basic";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("auth_basic")
            .syntax("string | off")
            .default("off")
            .contexts(CONTEXTS)
            .doc("Asks for a name and a password, telling the user what for.")
            .set(|settings, d| {
                settings.realm = Some(d.template(0)?);
                Ok(())
            }),
        directive("auth_basic_user_file")
            .syntax("file")
            .contexts(CONTEXTS)
            .doc("Names the file of names and hashed passwords: crypt, MD5, SHA, bcrypt, {PLAIN}, {SHA}, {SSHA}.")
            .set(|settings, d| {
                settings.file = Some(UserFile {
                    name: d.template(0)?,
                    folder: bytes_of(d.resolve(b"")).into(),
                });
                Ok(())
            }),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if let (Some(realm), Some(file)) = (&settings.realm, &settings.file)
            && realm.literal() != Some(b"off")
        {
            let (realm, file) = (realm.clone(), file.clone());
            location.add_handler(Phase::Access, Rc::new(Guard { realm, file }));
        }
    }
}

struct Guard {
    realm: Template,
    file: UserFile,
}

impl Handler for Guard {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let realm = self.realm.expand(exchange);
        if *realm == *b"off" {
            return Step::Declined;
        }
        let field = exchange.request.known(KnownHeader::Authorization);
        let Some(credentials) = field.and_then(basic::parse) else {
            let message = "no user/password was provided for basic authentication";
            exchange.log(Level::Info, format_args!("{message}"));
            return Step::Respond(ask(&realm));
        };
        let path = self.file.path(exchange);
        let hash = match self.file_entry(exchange, &path, &credentials.user) {
            Ok(Some(hash)) => hash,
            Ok(None) => {
                let (user, path) = (lossy(&credentials.user), lossy(&path));
                let message = format_args!("user \"{user}\" was not found in \"{path}\"");
                exchange.log(Level::Error, message);
                return Step::Respond(ask(&realm));
            }
            Err(status) => return Step::status(status),
        };
        if password::is_slow(&hash) {
            return Step::Await(Box::pin(judge_elsewhere(
                exchange,
                realm,
                credentials,
                hash,
            )));
        }
        let matches = password::verify(&credentials.password, &hash);
        judge(exchange, &realm, &credentials.user, matches)
    }
}

impl Guard {
    /// The user's hash; the file is read for each request, so that changes count at once.
    fn file_entry(
        &self,
        exchange: &Exchange,
        path: &[u8],
        user: &[u8],
    ) -> Result<Option<Vec<u8>>, Status> {
        let failed = |call: &str, level, error: &io::Error| {
            let (path, error) = (lossy(path), Errno(error));
            exchange.log(level, format_args!("{call} \"{path}\" failed {error}"));
        };
        let mut file = File::open(OsStr::from_bytes(path)).map_err(|error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            let (level, status) = match missing {
                true => (Level::Error, Status::FORBIDDEN),
                false => (Level::Crit, Status::INTERNAL_SERVER_ERROR),
            };
            failed("open()", level, &error);
            status
        })?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|error| {
            failed("pread()", Level::Crit, &error);
            Status::INTERNAL_SERVER_ERROR
        })?;
        Ok(entry(&text, user).map(<[u8]>::to_vec))
    }
}

impl UserFile {
    /// The file's path for this request.
    fn path(&self, exchange: &Exchange) -> Vec<u8> {
        let name = self.name.expand(exchange);
        match name.first() {
            Some(b'/') => name.into_owned(),
            _ => [&*self.folder, &*name].concat(),
        }
    }
}

/// The hash of `user` in the text of a file: what stands between a line's first two colons.
fn entry<'a>(text: &'a [u8], user: &[u8]) -> Option<&'a [u8]> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let rest = lines.find_map(|line| match line.first() {
        Some(b'#' | b'\r') | None => None,
        Some(_) => line.strip_prefix(user)?.strip_prefix(b":"),
    })?;
    let end = memchr::memchr2(b':', b'\r', rest).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// Has a thread find out whether the password is right, for hashes that are meant to take long.
async fn judge_elsewhere<'a>(
    exchange: &'a Exchange,
    realm: Cow<'a, [u8]>,
    credentials: Credentials,
    hash: Vec<u8>,
) -> Step<'a> {
    let Credentials { user, password } = credentials;
    let matches = event::offload(event::Work::Hash, move || {
        password::verify(&password, &hash)
    })
    .await;
    match matches {
        Ok(matches) => judge(exchange, &realm, &user, matches),
        Err(error) => {
            let message = format_args!(
                "verifying the password of user \"{}\" failed ({error})",
                lossy(&user)
            );
            exchange.log(Level::Alert, message);
            Step::status(Status::INTERNAL_SERVER_ERROR)
        }
    }
}

fn judge<'a>(exchange: &Exchange, realm: &[u8], user: &[u8], matches: bool) -> Step<'a> {
    if matches {
        // Another location may have proved a name before; the first one counts.
        let _ = exchange.user.set(user.into());
        return Step::Granted;
    }
    let message = format_args!("user \"{}\": password mismatch", lossy(user));
    exchange.log(Level::Error, message);
    Step::Respond(ask(realm))
}

/// Asks the client for a name and a password.
fn ask(realm: &[u8]) -> Response {
    let mut response = Response::page(Status::UNAUTHORIZED);
    let challenge = [b"Basic realm=\"", realm, b"\""].concat();
    response.headers.append("WWW-Authenticate", challenge);
    response
}

fn lossy(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::tests::trial::{Site, field, status};

    const USERS: &str = "\
        # comment:{PLAIN}x\n\
        \r\n\
        plain:{PLAIN}password:more\n\
        slow:$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.\r\n\
        plain2:{PLAIN}first\n\
        plain2:{PLAIN}second\n\
        last:{PLAIN}password";

    #[test]
    fn entries_of_a_file() {
        for (user, expected) in [
            ("plain", Some("{PLAIN}password")),
            ("slow", Some("$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.")),
            ("plain2", Some("{PLAIN}first")),
            ("last", Some("{PLAIN}password")),
            ("plai", None),
            ("# comment", None),
            ("nobody", None),
        ] {
            let found = entry(USERS.as_bytes(), user.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{user}");
        }
    }

    fn login(user: &str, password: &str) -> String {
        use base64::Engine;
        let text = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
        format!("Authorization: Basic {text}")
    }

    #[test]
    fn only_who_knows_the_password_gets_in() {
        let site = Site::new(
            "auth_basic \"for $host\"; auth_basic_user_file FOLDER/users; \
             location /off { auth_basic off; } \
             location /maybe { auth_basic $arg_realm; } \
             location /file { auth_basic_user_file FOLDER/$arg_name; } \
             location /other { auth_basic_user_file other; } \
             location /late { auth_delay 1ms; } \
             location /any { satisfy any; deny all; } \
             location /local { satisfy any; allow 127.0.0.1; deny all; }",
        );
        site.write("users", USERS);
        let cases = [
            ("/a", ("plain", "password"), 404),
            ("/a", ("slow", "password"), 404),
            ("/a", ("plain", "wrong"), 401),
            ("/a", ("slow", "wrong"), 401),
            ("/a", ("nobody", "password"), 401),
            ("/off", ("nobody", ""), 404),
            ("/maybe?realm=off", ("nobody", ""), 404),
            ("/maybe?realm=on", ("nobody", ""), 401),
            ("/file?name=users", ("last", "password"), 404),
            ("/file?name=none", ("last", "password"), 403),
            ("/file?name=", ("last", "password"), 500),
            ("/other", ("last", "password"), 403),
            ("/late", ("last", "wrong"), 401),
            ("/any", ("last", "password"), 404),
            ("/any", ("last", "wrong"), 401),
            ("/local", ("last", "wrong"), 404),
        ];
        for (target, (user, password), expected) in cases {
            let response = site.get(target, &[&login(user, password)]);
            assert_eq!(status(&response), expected, "{target} {user} {password}");
        }
        let log = site.log();
        for message in [
            "user \"slow\": password mismatch, client",
            "user \"nobody\" was not found in \"",
            "none\" failed (2: No such file or directory)",
            "delaying unauthorized request",
        ] {
            assert!(log.contains(message), "{message}: {log}");
        }
    }

    #[test]
    fn the_client_is_told_what_for() {
        let site = Site::new("auth_basic \"for $host\"; auth_basic_user_file none;");
        let response = site.get("/a", &[]);
        assert_eq!(status(&response), 401);
        assert_eq!(
            field(&response, "WWW-Authenticate"),
            Some("Basic realm=\"for site\"")
        );
        assert!(
            site.log()
                .contains("no user/password was provided for basic authentication")
        );
    }
}
