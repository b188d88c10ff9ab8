//! `syslog:server=…`: messages in datagrams, in the format of RFC 3164 that nginx uses.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::OnceLock;

use super::clock;
use super::complaint::Complaints;
use super::errno::Errno;
use super::level::{LEVELS, Level};
use crate::sys::process;

/// The facilities of RFC 3164, section 4.1.1, in the order of their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv",
    "ftp", "ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// RFC 3164, section 4.1.3.
const MAX_TAG: usize = 32;

/// Where a syslog server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// Over UDP.
    Udp(SocketAddr),
    /// On a datagram socket of this machine.
    Unix(PathBuf),
}

/// What follows `syslog:` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// `server=`.
    pub server: Server,
    /// `facility=`, as its number; `local7` if not given.
    pub facility: u8,
    /// `severity=`, for access logs; `info` if not given.
    pub severity: Level,
    /// `tag=`; `nginx` if not given.
    pub tag: String,
    /// `nohostname`: messages do not name this machine.
    pub nohostname: bool,
}

impl Parameters {
    /// Reads `server=…,facility=…,tag=…,severity=…,nohostname`.
    ///
    /// `resolve` turns the server's address into where to send, or says what is wrong with it.
    ///
    /// # Errors
    /// What is wrong, in nginx's words.
    pub fn parse(
        text: &str,
        resolve: impl Fn(&str) -> Result<Server, String>,
    ) -> Result<Self, String> {
        let (mut server, mut facility, mut severity, mut tag) = (None, None, None, None);
        let mut nohostname = false;
        for parameter in text.split(',') {
            match parameter.split_once('=') {
                Some(("server", address)) => once(&mut server, "server", || {
                    resolve(address)
                        .map_err(|fault| format!("{fault} in syslog server \"{address}\""))
                })?,
                Some(("facility", name)) => {
                    once(&mut facility, "facility", || parse_facility(name))?
                }
                Some(("severity", name)) => once(&mut severity, "severity", || {
                    Level::from_name(name.as_bytes())
                        .ok_or_else(|| format!("unknown syslog severity \"{name}\""))
                })?,
                Some(("tag", text)) => once(&mut tag, "tag", || parse_tag(text))?,
                None if parameter == "nohostname" => nohostname = true,
                _ => return Err(format!("unknown syslog parameter \"{parameter}\"")),
            }
        }
        Ok(Self {
            server: server.ok_or("no syslog server specified")?,
            facility: facility.unwrap_or(23),
            severity: severity.unwrap_or(Level::Info),
            tag: tag.unwrap_or_else(|| "nginx".to_owned()),
            nohostname,
        })
    }
}

/// Sets a parameter that may be given once.
fn once<T>(
    place: &mut Option<T>,
    name: &str,
    parse: impl FnOnce() -> Result<T, String>,
) -> Result<(), String> {
    if place.is_some() {
        return Err(format!("duplicate syslog \"{name}\""));
    }
    *place = Some(parse()?);
    Ok(())
}

fn parse_facility(name: &str) -> Result<u8, String> {
    let number = (0u8..)
        .zip(FACILITIES)
        .find(|(_, facility)| *facility == name)
        .map(|(number, _)| number);
    number.ok_or_else(|| format!("unknown syslog facility \"{name}\""))
}

fn parse_tag(tag: &str) -> Result<String, String> {
    if tag.len() > MAX_TAG {
        return Err("syslog tag length exceeds 32".to_owned());
    }
    if !tag
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Err("syslog \"tag\" only allows alphanumeric characters and underscore".to_owned());
    }
    Ok(tag.to_owned())
}

/// A syslog server and the socket that leads to it.
#[derive(Debug)]
pub struct Syslog {
    parameters: Parameters,
    /// Opened by the first message, and anew after a failure.
    socket: RefCell<Option<Socket>>,
    complaints: Complaints,
}

impl Syslog {
    /// A server nothing was sent to yet.
    pub fn new(parameters: Parameters) -> Rc<Self> {
        Rc::new(Self {
            parameters,
            socket: RefCell::new(None),
            complaints: Complaints::default(),
        })
    }

    /// The severity its access-log messages have.
    pub fn severity(&self) -> Level {
        self.parameters.severity
    }

    /// Sends `message`, which has no line feed, without waiting.
    ///
    /// # Errors
    /// It was not sent; the next message makes another attempt. Of the failures within a minute
    /// only the first is told.
    pub fn send(&self, level: Level, message: &[u8]) -> Result<(), Failure<'_>> {
        let result = self.deliver(&self.datagram(level, message));
        match result {
            Err((call, error)) if self.complaints.allowed(clock::now().unix) => Err(Failure {
                call,
                error,
                server: &self.parameters.server,
            }),
            _ => Ok(()),
        }
    }

    /// Sends over the socket, which is opened if need be; a failure tells the call.
    fn deliver(&self, datagram: &[u8]) -> Result<(), (&'static str, io::Error)> {
        let mut place = self.socket.borrow_mut();
        let socket = match place.take() {
            Some(socket) => socket,
            None => {
                Socket::connect(&self.parameters.server).map_err(|error| ("connect()", error))?
            }
        };
        let result = socket.send(datagram);
        // A full queue loses this message and nothing else; after any other failure, start anew.
        if result
            .as_ref()
            .map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |_| true)
        {
            *place = Some(socket);
        }
        result.map(drop).map_err(|error| ("send()", error))
    }

    /// `<PRI>Mon DD HH:MM:SS host tag: message`.
    fn datagram(&self, level: Level, message: &[u8]) -> Vec<u8> {
        let Parameters {
            facility,
            tag,
            nohostname,
            ..
        } = &self.parameters;
        let priority = facility * 8 + (level as u8 - LEVELS[0] as u8);
        let mut datagram = format!("<{priority}>").into_bytes();
        datagram.extend(clock::now().syslog);
        if !nohostname {
            datagram.push(b' ');
            datagram.extend(host_name().as_bytes());
        }
        datagram.push(b' ');
        datagram.extend(tag.as_bytes());
        datagram.extend(b": ");
        datagram.extend(message);
        datagram
    }
}

/// A message that was not sent: nginx's words for it.
#[derive(Debug)]
pub struct Failure<'a> {
    call: &'static str,
    error: io::Error,
    server: &'a Server,
}

impl Failure<'_> {
    /// How bad it is: a server that does not listen is less than one that cannot be reached at all.
    pub fn level(&self) -> Level {
        match self.call {
            "send()" => Level::Error,
            _ => Level::Alert,
        }
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call,
            error,
            server,
        } = self;
        write!(
            f,
            "{call} failed {} while logging to syslog, server: {server}",
            Errno(error)
        )
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The socket that leads to a server.
#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Socket {
    fn connect(server: &Server) -> io::Result<Self> {
        match server {
            Server::Udp(address) => {
                let any = match address {
                    SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                    SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
                };
                let socket = UdpSocket::bind(any)?;
                socket.set_nonblocking(true)?;
                socket.connect(address)?;
                Ok(Self::Udp(socket))
            }
            Server::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(path)?;
                Ok(Self::Unix(socket))
            }
        }
    }

    fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => socket.send(datagram),
            Self::Unix(socket) => socket.send(datagram),
        }
    }
}

/// This machine's name in lower case, asked for once.
pub fn host_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = process::hostname().unwrap_or_default();
        name.to_ascii_lowercase()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn resolve(address: &str) -> Result<Server, String> {
        match address.strip_prefix("unix:") {
            Some(path) => Ok(Server::Unix(path.into())),
            None => address
                .parse()
                .map(Server::Udp)
                .map_err(|_| "invalid port".to_owned()),
        }
    }

    #[test]
    fn parameters() {
        let parsed = Parameters::parse(
            "server=unix:/s,facility=daemon,tag=t_1,severity=warn,nohostname",
            resolve,
        );
        let expected = Parameters {
            server: Server::Unix("/s".into()),
            facility: 3,
            severity: Level::Warn,
            tag: "t_1".into(),
            nohostname: true,
        };
        assert_eq!(parsed, Ok(expected));
        let defaults = Parameters::parse("server=127.0.0.1:514", resolve).unwrap();
        assert_eq!(
            (defaults.facility, defaults.severity, &*defaults.tag),
            (23, Level::Info, "nginx")
        );
    }

    #[test]
    fn mistakes_are_told_in_nginxs_words() {
        let long = format!("server=unix:/s,tag={}", "x".repeat(33));
        for (text, expected) in [
            ("tag=x", "no syslog server specified"),
            (
                "server=unix:/a,server=unix:/b",
                "duplicate syslog \"server\"",
            ),
            ("server=x", "invalid port in syslog server \"x\""),
            ("facility=local8", "unknown syslog facility \"local8\""),
            (
                "facility=user,facility=user",
                "duplicate syslog \"facility\"",
            ),
            ("severity=err", "unknown syslog severity \"err\""),
            (
                "tag=a-b",
                "syslog \"tag\" only allows alphanumeric characters and underscore",
            ),
            (&long, "syslog tag length exceeds 32"),
            (
                "server=unix:/s,hostname",
                "unknown syslog parameter \"hostname\"",
            ),
            ("server=unix:/s,", "unknown syslog parameter \"\""),
        ] {
            assert_eq!(
                Parameters::parse(text, resolve).unwrap_err(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_message_over_udp() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let text = format!(
            "server={},tag=seo,nohostname",
            receiver.local_addr().unwrap()
        );
        let syslog = Syslog::new(Parameters::parse(&text, resolve).unwrap());
        syslog.send(Level::Error, b"text").unwrap();
        let mut datagram = [0; 64];
        let length = receiver.recv(&mut datagram).unwrap();
        let datagram = String::from_utf8_lossy(&datagram[..length]);
        // local7 is 23, error 3.
        assert!(datagram.starts_with("<187>"), "{datagram}");
        assert_eq!(&datagram[20..], " seo: text");
    }

    #[test]
    fn a_server_that_comes_back_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text = format!("server=unix:{}", path.display());
        let syslog = Syslog::new(Parameters::parse(&text, resolve).unwrap());
        let failure = syslog.send(Level::Info, b"lost").unwrap_err().to_string();
        let expected = "connect() failed (2: No such file or directory) while logging to syslog, \
            server: unix:";
        assert!(failure.starts_with(expected), "{failure}");
        assert!(
            syslog.send(Level::Info, b"lost, too").is_ok(),
            "told a moment ago"
        );
        for _ in 0..2 {
            let receiver = UnixDatagram::bind(&path).unwrap();
            receiver.set_nonblocking(true).unwrap();
            let mut datagram = [0; 128];
            // The first attempt may find that the receiver it knew is gone.
            let length = (0..2).find_map(|_| {
                syslog.send(Level::Info, b"found").unwrap();
                receiver.recv(&mut datagram).ok()
            });
            assert!(datagram[..length.unwrap()].ends_with(b" nginx: found"));
            std::fs::remove_file(&path).unwrap();
        }
    }
}
