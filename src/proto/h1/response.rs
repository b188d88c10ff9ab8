//! Writing the head of a response: the pieces it is put together from.

use crate::http::{Headers, Status};

/// What goes out when a client waits for it before it sends the body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends the status line. The version is always 1.1, which is the server's own.
pub fn status_line(status: Status, out: &mut Vec<u8>) {
    let status = status.on_the_wire();
    if let Some(line) = status.line() {
        return out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&status.digits());
    out.extend_from_slice(b" \r\n");
}

/// Appends a status line with the code and reason another server gave (`404 Nowhere to be found`).
pub fn foreign_status_line(code_and_reason: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(code_and_reason);
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: value`. Inlined, since a name that is known is then copied in one go.
#[inline(always)]
pub fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends all headers in order.
pub fn fields(headers: &Headers, out: &mut Vec<u8>) {
    for header in headers {
        field(&header.name, &header.value, out);
    }
}

/// Appends the empty line that ends the head.
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head() {
        let mut out = Vec::new();
        let mut headers = Headers::new();
        headers.append("X", "y");
        status_line(Status::MOVED_TEMPORARILY, &mut out);
        field(b"X-Name", b"value", &mut out);
        fields(&headers, &mut out);
        end(&mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "HTTP/1.1 302 Moved Temporarily\r\n\
             X-Name: value\r\nX: y\r\n\r\n"
        );
    }

    #[test]
    fn status_lines() {
        let line = |status| {
            let mut out = Vec::new();
            status_line(status, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        assert_eq!(line(Status(599)), "HTTP/1.1 599 \r\n");
        assert_eq!(
            line(Status::REQUEST_HEADER_TOO_LARGE),
            "HTTP/1.1 400 Bad Request\r\n"
        );
        let mut out = Vec::new();
        foreign_status_line(b"404 Nowhere", &mut out);
        assert_eq!(out, b"HTTP/1.1 404 Nowhere\r\n");
    }
}
