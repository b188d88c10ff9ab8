//! What a script is told of its request: the meta-variables of RFC 3875 section 4.1, those that
//! other servers have added, the request's header fields, and nothing else.

use std::ffi::CString;

use super::script::Script;
use super::settings::Settings;
use crate::exchange::{Exchange, Request};
use crate::http::KnownHeader;

/// Variables in the order they were set; each name once.
#[derive(Default)]
pub struct Environment {
    variables: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Environment {
    /// Sets a variable in place of one of the same name.
    fn set(&mut self, name: &[u8], value: &[u8]) {
        match self.variables.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.variables.push((name.to_vec(), value.to_vec())),
        }
    }

    /// The value of a variable.
    #[cfg(test)]
    fn get(&self, name: &str) -> Option<&[u8]> {
        let mut variables = self.variables.iter();
        let found = variables.find(|(other, _)| other == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }

    /// As a program gets it. What holds a NUL byte cannot be told and is left out.
    pub fn into_strings(self) -> Vec<CString> {
        let lines = self.variables.into_iter();
        let lines = lines.map(|(name, value)| [&*name, b"=", &*value].concat());
        lines.filter_map(|line| CString::new(line).ok()).collect()
    }
}

/// The environment for `script`; `length` is that of the body, if there is one and it is known.
pub fn build(
    exchange: &mut Exchange,
    settings: &Settings,
    script: &Script,
    length: Option<u64>,
    remote_host: Option<&str>,
) -> Environment {
    let mut environment = Environment::default();
    server(exchange, settings, &mut environment);
    client(exchange, remote_host, &mut environment);
    path(exchange, script, &mut environment);
    if let Some(length) = length {
        environment.set(b"CONTENT_LENGTH", length.to_string().as_bytes());
    }
    fields(&exchange.request, &mut environment);
    for (name, value) in &settings.set_var {
        environment.set(name.as_bytes(), &value.expand(exchange));
    }
    environment
}

fn server(exchange: &Exchange, settings: &Settings, environment: &mut Environment) {
    let address = exchange.connection.local().host_text();
    environment.set(b"GATEWAY_INTERFACE", b"CGI/1.1");
    environment.set(b"SERVER_SOFTWARE", crate::NAME_AND_VERSION.as_bytes());
    environment.set(b"PATH", &settings.path);
    environment.set(b"DOCUMENT_ROOT", &exchange.document_root());
    environment.set(b"SERVER_ADDR", address.as_bytes());
    let port = exchange.connection.local_port().to_string();
    environment.set(b"SERVER_PORT", port.as_bytes());
    match exchange.request.host.as_slice() {
        b"" if address.contains(':') => {
            environment.set(b"SERVER_NAME", format!("[{address}]").as_bytes())
        }
        b"" => environment.set(b"SERVER_NAME", address.as_bytes()),
        host => environment.set(b"SERVER_NAME", host),
    }
}

fn client(exchange: &Exchange, remote_host: Option<&str>, environment: &mut Environment) {
    let peer = exchange.client();
    environment.set(b"REMOTE_ADDR", peer.host_text().as_bytes());
    if let Some(port) = peer.port() {
        environment.set(b"REMOTE_PORT", port.to_string().as_bytes());
    }
    if let Some(user) = exchange.user.get() {
        environment.set(b"AUTH_TYPE", b"Basic");
        environment.set(b"REMOTE_USER", user);
    }
    if let Some(name) = remote_host {
        environment.set(b"REMOTE_HOST", name.as_bytes());
    }
}

fn path(exchange: &mut Exchange, script: &Script, environment: &mut Environment) {
    let request = &exchange.request;
    let method = match exchange.method == request.method() {
        true => request.method_text(),
        false => exchange.method.as_str().as_bytes(),
    };
    environment.set(b"REQUEST_METHOD", method);
    environment.set(b"SERVER_PROTOCOL", request.version().as_str().as_bytes());
    environment.set(b"REQUEST_SCHEME", b"http");
    environment.set(b"REQUEST_URI", request.target());
    environment.set(b"QUERY_STRING", &exchange.args);
    environment.set(b"SCRIPT_NAME", &script.name);
    environment.set(b"SCRIPT_FILENAME", &script.file);
    if script.path_info.is_empty() {
        return;
    }
    environment.set(b"PATH_INFO", &script.path_info);
    if let Some(file) = super::script::translate(exchange, &script.path_info) {
        environment.set(b"PATH_TRANSLATED", &file);
    }
}

/// Fields a script does not get: the server has dealt with them (the connection, authentication,
/// `100 Continue`), tells them otherwise (`CONTENT_LENGTH`), or must not: `Proxy` would become
/// HTTP_PROXY, by which many programs choose the proxy they talk through.
const KEPT_BACK: [&str; 13] = [
    "Authorization",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Expect",
    "HTTP2-Settings",
    "Keep-Alive",
    "Proxy",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Transfer-Encoding",
    "Upgrade",
];

/// `HTTP_*` (RFC 3875 section 4.1.18); fields of one name become one, in their order.
fn fields(request: &Request, environment: &mut Environment) {
    if let Some(content_type) = request.known(KnownHeader::ContentType) {
        environment.set(b"CONTENT_TYPE", content_type);
    }
    for (name, value) in request.headers() {
        let tellable = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let kept_back = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
        if !name.iter().all(tellable) || KEPT_BACK.iter().any(kept_back) {
            continue;
        }
        let name = variable_name(name);
        // With `underscores_in_headers on`, `Proxy_` spellings would slip by the list.
        if name == b"HTTP_PROXY" {
            continue;
        }
        let separator: &[u8] = if name == b"HTTP_COOKIE" { b"; " } else { b", " };
        let variables = environment.variables.iter_mut();
        match variables.into_iter().find(|(other, _)| *other == name) {
            Some((_, earlier)) => {
                earlier.extend_from_slice(separator);
                earlier.extend_from_slice(value);
            }
            None => environment.variables.push((name, value.to_vec())),
        }
    }
}

fn variable_name(field: &[u8]) -> Vec<u8> {
    let upper = field.iter().map(|byte| match byte {
        b'-' => b'_',
        byte => byte.to_ascii_uppercase(),
    });
    b"HTTP_".iter().copied().chain(upper).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::h1::{HeadOptions, Parse};

    fn request(head: &str) -> Request {
        let mut request = Request::default();
        let parsed = request.head.parse(head.as_bytes(), &HeadOptions::default());
        assert!(matches!(parsed, Parse::Done { .. }), "{head}");
        request.bytes = head.into();
        request
    }

    #[test]
    fn fields_become_variables() {
        let request = request(
            "POST / HTTP/1.1\r\nHost: a\r\nProxy: evil\r\nX-One: 1\r\nx-one: 2\r\nCookie: a=1\r\n\
             Cookie: b=2\r\nContent-Type: text/plain\r\nAuthorization: Basic eA==\r\nTE: trailers\r\n\
             Connection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        );
        let mut environment = Environment::default();
        fields(&request, &mut environment);
        let lines: Vec<_> = environment.into_strings();
        let lines: Vec<_> = lines.iter().map(|line| line.to_str().unwrap()).collect();
        let expected = [
            "CONTENT_TYPE=text/plain",
            "HTTP_HOST=a",
            "HTTP_X_ONE=1, 2",
            "HTTP_COOKIE=a=1; b=2",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_name_is_there_once() {
        let mut environment = Environment::default();
        environment.set(b"A", b"1");
        environment.set(b"B", b"x\0y");
        environment.set(b"A", b"2");
        assert_eq!(environment.get("A"), Some(&b"2"[..]));
        assert_eq!(environment.into_strings(), [CString::new("A=2").unwrap()]);
    }
}
