//! Requests for the tests of modules: a site in a folder of its own, asked through the real
//! phases and filters but without a connection.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;

use crate::config::{Configuration, Options, load_text};
use crate::event::{self, Io};
use crate::exchange::{
    Body, BodyReader, Connection, Exchange, Listener, Moment, Piece, Request, Response, runner,
};
use crate::http::uri;
use crate::modules::{ALL, http};
use crate::net::address::listen_addresses;
use crate::proto::h1::framing::Framing;
use crate::proto::h1::limits::HeadOptions;
use crate::sys::fs::pread;

/// A site to ask.
pub struct Site {
    folder: TempDir,
    listener: Rc<Listener>,
    // Owns the log file.
    _configuration: Configuration,
}

impl Site {
    /// A site whose `server` block holds `server`; its root is a folder of its own.
    pub fn new(server: &str) -> Site {
        Site::with_http("", server)
    }

    /// As [`Site::new`], with directives around the `server` block as well. `FOLDER` stands for
    /// the site's folder.
    pub fn with_http(around: &str, server: &str) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site");
        fs::create_dir(&path).unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        let path = path.to_str().unwrap();
        let log = folder.path().join("error.log");
        let text = format!(
            "error_log {} info; events {{ }} http {{ root {path}; {around} server {{ listen 127.0.0.1:80; server_name site; {server} }} }}",
            log.display()
        );
        let text = text.replace("FOLDER", path);
        let options = Options {
            prefix: folder.path().into(),
            conf_prefix: folder.path().into(),
            ..Options::default()
        };
        let loaded = load_text(ALL, Path::new("t.conf"), text.as_bytes(), &options);
        let configuration = loaded.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        configuration.logs.open().unwrap();
        configuration.zones.open(None).unwrap();
        let mut mistakes = Vec::new();
        let sockets = http::install(&configuration, &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let listener = Rc::clone(&sockets[0].listener);
        Site {
            folder,
            listener,
            _configuration: configuration,
        }
    }

    /// The path of a file of the site.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("site").join(name)
    }

    /// Makes a file and the folders it is in.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// What the error log holds.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap()
    }

    /// The response to `GET target`, with further header lines.
    pub fn get(&self, target: &str, headers: &[&str]) -> Response {
        self.ask("GET", target, headers)
    }

    /// The response to a request, with further header lines.
    pub fn ask(&self, method: &str, target: &str, headers: &[&str]) -> Response {
        self.serve(method, target, headers).1
    }

    /// Has a request answered and logged.
    pub fn visit(&self, target: &str, headers: &[&str]) {
        let (mut exchange, response) = self.serve("GET", target, headers);
        exchange.set_response(response);
        for logger in &exchange.location.loggers {
            logger.log(&exchange);
        }
    }

    /// A request and the response to it.
    pub fn serve(&self, method: &str, target: &str, headers: &[&str]) -> (Exchange, Response) {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: site\r\n");
        for line in headers {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let mut exchange = self.exchange(text.into_bytes());
        event::block_on(async move {
            runner::run(&mut exchange).await;
            let response = exchange.take_response();
            // What it left running in the background has its turn.
            event::yield_now().await;
            (exchange, response)
        })
        .unwrap()
    }

    fn exchange(&self, bytes: Vec<u8>) -> Exchange {
        let mut request = Box::<Request>::default();
        let _ = request.head.parse(&bytes, &HeadOptions::default());
        request.framing = Framing::derive(&request.head, &bytes).unwrap();
        request.bytes = bytes;
        request.host = b"site".to_vec();
        let server = Rc::clone(&self.listener.default);
        let mut exchange = Exchange::new(request, self.connection(), server, Moment(0));
        let target = exchange.request.target().to_vec();
        let uri = uri::parse(&target, true, &mut exchange.path).unwrap();
        exchange.args = uri.args.of(&target).to_vec();
        exchange
    }

    fn connection(&self) -> Rc<Connection> {
        let (socket, _) = UnixStream::pair().unwrap();
        let peer = listen_addresses(b"127.0.0.1:9").unwrap().remove(0);
        let io = Io::new(OwnedFd::from(socket));
        let connection = Connection::new(io, peer, Rc::clone(&self.listener));
        connection.count_request();
        Rc::new(connection)
    }
}

/// The status of a response as a number.
pub fn status(response: &Response) -> u16 {
    response.status.as_u16()
}

/// The body of a response as text.
pub fn text(response: &Response) -> String {
    let mut bytes = Vec::new();
    match &response.body {
        Body::Empty => {}
        Body::Page => panic!("the page is missing"),
        Body::Stream(_) => panic!("a stream"),
        Body::Bytes(text) => bytes.extend_from_slice(text),
        Body::File(file) => append(&Piece::File(file.clone()), &mut bytes),
        Body::Pieces(pieces) => pieces.iter().for_each(|piece| append(piece, &mut bytes)),
    }
    String::from_utf8(bytes).unwrap()
}

fn append(piece: &Piece, out: &mut Vec<u8>) {
    match piece {
        Piece::Bytes(bytes) => out.extend_from_slice(bytes),
        Piece::File(file) => {
            let fd = file.file.fd().unwrap();
            pread(fd, out, file.length as usize, file.offset).unwrap();
        }
    }
}

/// The body of a response, read to its end; streams as well.
pub fn bytes(response: &mut Response) -> Vec<u8> {
    let mut body = BodyReader::new(std::mem::take(&mut response.body));
    event::block_on(async move {
        let mut bytes = Vec::new();
        while let Some(part) = body.next().await {
            bytes.extend_from_slice(&part.unwrap());
        }
        bytes
    })
    .unwrap()
}

/// The value of a header field that is not among the response's own.
pub fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    if response.accepts_ranges && name == "Accept-Ranges" {
        return Some("bytes");
    }
    let value = response.headers.get(name.as_bytes())?;
    Some(std::str::from_utf8(value).unwrap())
}
