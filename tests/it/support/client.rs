//! A client that says exactly what it is told, and understands what it hears.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::PATIENCE;
use rowhouse::sys::socket::receive_buffer;

/// One connection.
pub struct Client {
    stream: TcpStream,
    /// What came and was not taken yet.
    received: Vec<u8>,
}

/// One response, its body decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Status line and header fields, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Client {
    #[track_caller]
    pub fn tcp(address: impl ToSocketAddrs) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// A connection to a socket in the file system.
    #[track_caller]
    pub fn unix(path: &Path) -> Client {
        // The calls a `TcpStream` makes are the same for every kind of stream socket.
        Client::over(OwnedFd::from(UnixStream::connect(path).unwrap()).into())
    }

    fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.set_nodelay(true);
        Client {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends bytes. That the server may have closed by now is no error: what it said shows.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends until the server has taken nothing more for a while; how much that was.
    #[track_caller]
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        let pause = Duration::from_millis(200);
        self.stream.set_write_timeout(Some(pause)).unwrap();
        let mut sent = 0;
        while let Ok(count) = self.stream.write(&bytes[sent..])
            && count > 0
        {
            sent += count;
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    /// Has the kernel take in little ahead of what is read here.
    pub fn read_slowly(&mut self) -> &mut Client {
        receive_buffer(self.stream.as_fd(), 4096).unwrap();
        self
    }

    /// The same connection, to send on it while somebody else takes what comes.
    #[track_caller]
    pub fn sender(&self) -> Client {
        Client::over(self.stream.try_clone().unwrap())
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> &mut Client {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Asks for a path, and leaves the connection open.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, &[])
    }

    /// Asks for a path with more header lines; `Host` is there if they don't bring one.
    #[track_caller]
    pub fn request(&mut self, method: &str, path: &str, headers: &[&str]) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let is_host = |line: &&str| line.to_ascii_lowercase().starts_with("host:");
        if !headers.iter().any(is_host) {
            head += "Host: localhost\r\n";
        }
        for line in headers {
            head += line;
            head += "\r\n";
        }
        self.send(head + "\r\n");
        self.response_to(method)
    }

    /// The next response to a request that was no HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// The next response.
    #[track_caller]
    pub fn response_to(&mut self, method: &str) -> Response {
        let head = String::from_utf8(self.take_through(b"\r\n\r\n")).unwrap();
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let mut response = Response {
            status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
            head,
            body: Vec::new(),
        };
        let has_body = method != "HEAD" && !matches!(response.status, 100..=199 | 204 | 304);
        if has_body {
            response.body = self.body(&response);
        }
        response
    }

    #[track_caller]
    fn body(&mut self, response: &Response) -> Vec<u8> {
        if response.header("Transfer-Encoding") == Some("chunked") {
            self.chunked()
        } else if let Some(length) = response.header("Content-Length") {
            self.take(length.parse().unwrap())
        } else {
            self.rest()
        }
    }

    #[track_caller]
    fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.take_through(b"\r\n")).unwrap();
            let length = usize::from_str_radix(line.trim(), 16).unwrap();
            body.extend(self.take(length));
            assert_eq!(self.take(2), b"\r\n");
            if length == 0 {
                return body;
            }
        }
    }

    /// Everything until the server closes the connection.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.receive() {}
        std::mem::take(&mut self.received)
    }

    /// The next bytes, exactly that many.
    #[track_caller]
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            self.receive_more();
        }
        self.received.drain(..length).collect()
    }

    #[track_caller]
    fn take_through(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let found = self.received.windows(end.len()).position(|at| at == end);
            if let Some(at) = found {
                return self.take(at + end.len());
            }
            self.receive_more();
        }
    }

    #[track_caller]
    fn receive_more(&mut self) {
        if !self.receive() {
            panic!("closed in the middle of {:?}", self.excerpt());
        }
    }

    /// What came, as far as a message needs it.
    fn excerpt(&self) -> String {
        let end = self.received.len().min(2000);
        String::from_utf8_lossy(&self.received[..end]).into_owned()
    }

    /// Waits for more; `false` once the server has closed the connection.
    #[track_caller]
    fn receive(&mut self) -> bool {
        let mut piece = [0; 65536];
        let received = loop {
            match self.stream.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received,
            }
        };
        match received {
            Ok(length) => {
                self.received.extend_from_slice(&piece[..length]);
                length > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error} after {:?}", self.excerpt()),
        }
    }
}

impl Response {
    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// All fields of that name.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.head.split("\r\n").skip(1);
        let fields = fields.filter_map(|line| line.split_once(':'));
        fields
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
