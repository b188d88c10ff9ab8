//! Status codes and the reason phrases nginx sends with them.

use std::fmt;

/// A status code, 100 to 999, or one of nginx's own that never go out as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

#[allow(missing_docs)] // A constant is the code of the same name (RFC 9110 section 15).
impl Status {
    pub const CONTINUE: Status = Status(100);
    pub const SWITCHING_PROTOCOLS: Status = Status(101);
    pub const PROCESSING: Status = Status(102);
    pub const EARLY_HINTS: Status = Status(103);
    pub const UPLOAD_RESUMPTION_SUPPORTED: Status = Status(104);
    pub const OK: Status = Status(200);
    pub const CREATED: Status = Status(201);
    pub const ACCEPTED: Status = Status(202);
    pub const NO_CONTENT: Status = Status(204);
    pub const PARTIAL_CONTENT: Status = Status(206);
    pub const MULTI_STATUS: Status = Status(207);
    pub const MOVED_PERMANENTLY: Status = Status(301);
    pub const MOVED_TEMPORARILY: Status = Status(302);
    pub const SEE_OTHER: Status = Status(303);
    pub const NOT_MODIFIED: Status = Status(304);
    pub const TEMPORARY_REDIRECT: Status = Status(307);
    pub const PERMANENT_REDIRECT: Status = Status(308);
    pub const BAD_REQUEST: Status = Status(400);
    pub const UNAUTHORIZED: Status = Status(401);
    pub const PAYMENT_REQUIRED: Status = Status(402);
    pub const FORBIDDEN: Status = Status(403);
    pub const NOT_FOUND: Status = Status(404);
    pub const NOT_ALLOWED: Status = Status(405);
    pub const NOT_ACCEPTABLE: Status = Status(406);
    pub const PROXY_AUTH_REQUIRED: Status = Status(407);
    pub const REQUEST_TIME_OUT: Status = Status(408);
    pub const CONFLICT: Status = Status(409);
    pub const GONE: Status = Status(410);
    pub const LENGTH_REQUIRED: Status = Status(411);
    pub const PRECONDITION_FAILED: Status = Status(412);
    pub const REQUEST_ENTITY_TOO_LARGE: Status = Status(413);
    pub const REQUEST_URI_TOO_LARGE: Status = Status(414);
    pub const UNSUPPORTED_MEDIA_TYPE: Status = Status(415);
    pub const RANGE_NOT_SATISFIABLE: Status = Status(416);
    pub const MISDIRECTED_REQUEST: Status = Status(421);
    pub const LOCKED: Status = Status(423);
    pub const FAILED_DEPENDENCY: Status = Status(424);
    pub const TOO_MANY_REQUESTS: Status = Status(429);
    pub const CHECKSUM_MISMATCH: Status = Status(460);
    pub const INTERNAL_SERVER_ERROR: Status = Status(500);
    pub const NOT_IMPLEMENTED: Status = Status(501);
    pub const BAD_GATEWAY: Status = Status(502);
    pub const SERVICE_UNAVAILABLE: Status = Status(503);
    pub const GATEWAY_TIME_OUT: Status = Status(504);
    pub const VERSION_NOT_SUPPORTED: Status = Status(505);
    pub const INSUFFICIENT_STORAGE: Status = Status(507);
}

/// nginx's own codes: seen by `error_page` and the logs, never by the client.
impl Status {
    /// Close the connection without an answer (`return 444`).
    pub const CLOSE: Status = Status(444);
    /// A request header or cookie is too large; goes out as 400.
    pub const REQUEST_HEADER_TOO_LARGE: Status = Status(494);
    /// The client's certificate did not verify; goes out as 400.
    pub const CERT_ERROR: Status = Status(495);
    /// The client sent no certificate; goes out as 400.
    pub const NO_CERT: Status = Status(496);
    /// Plain HTTP on a TLS port; goes out as 400.
    pub const TO_HTTPS: Status = Status(497);
    /// The client closed the connection before it was answered.
    pub const CLIENT_CLOSED_REQUEST: Status = Status(499);
}

impl Status {
    /// The status with this code, if it has three digits.
    pub const fn from_u16(code: u16) -> Option<Status> {
        match code {
            100..=999 => Some(Status(code)),
            _ => None,
        }
    }

    /// The status written as exactly three digits.
    pub fn from_bytes(digits: &[u8]) -> Option<Status> {
        let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = *digits else {
            return None;
        };
        let digit = |byte: u8| u16::from(byte - b'0');
        Status::from_u16(digit(a) * 100 + digit(b) * 10 + digit(c))
    }

    /// The code as a number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// The code as three digits.
    pub const fn digits(self) -> [u8; 3] {
        let [hundreds, tens, ones] = [self.0 / 100 % 10, self.0 / 10 % 10, self.0 % 10];
        [b'0' + hundreds as u8, b'0' + tens as u8, b'0' + ones as u8]
    }

    /// Whether the code is an interim one, which a final response follows.
    pub const fn is_informational(self) -> bool {
        self.0 < 200
    }

    /// Whether a response with this status never has a body (RFC 9110 section 6.4.1).
    pub const fn is_bodyless(self) -> bool {
        self.is_informational() || self.0 == 204 || self.0 == 304
    }

    /// The status the client gets to see: nginx's own 494 to 497 go out as 400.
    pub const fn on_the_wire(self) -> Status {
        match self.0 {
            494..=497 => Status::BAD_REQUEST,
            _ => self,
        }
    }
}

macro_rules! reasons {
    ($($code:literal => $reason:literal,)*) => {
        impl Status {
            /// The reason phrase nginx sends; empty for codes it has no phrase for.
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }

            /// The status line of HTTP/1.1; none for codes without a phrase.
            pub const fn line(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n")),)*
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    100 => "Continue",
    101 => "Switching Protocols",
    103 => "Early Hints",
    104 => "Upload Resumption Supported",
    200 => "OK",
    201 => "Created",
    202 => "Accepted",
    204 => "No Content",
    206 => "Partial Content",
    301 => "Moved Permanently",
    302 => "Moved Temporarily",
    303 => "See Other",
    304 => "Not Modified",
    307 => "Temporary Redirect",
    308 => "Permanent Redirect",
    400 => "Bad Request",
    401 => "Unauthorized",
    402 => "Payment Required",
    403 => "Forbidden",
    404 => "Not Found",
    405 => "Not Allowed",
    406 => "Not Acceptable",
    407 => "Proxy Authentication Required",
    408 => "Request Time-out",
    409 => "Conflict",
    410 => "Gone",
    411 => "Length Required",
    412 => "Precondition Failed",
    413 => "Request Entity Too Large",
    414 => "Request-URI Too Large",
    415 => "Unsupported Media Type",
    416 => "Requested Range Not Satisfiable",
    421 => "Misdirected Request",
    429 => "Too Many Requests",
    460 => "Checksum Mismatch",
    500 => "Internal Server Error",
    501 => "Not Implemented",
    502 => "Bad Gateway",
    503 => "Service Temporarily Unavailable",
    504 => "Gateway Time-out",
    505 => "HTTP Version Not Supported",
    507 => "Insufficient Storage",
}

impl Default for Status {
    fn default() -> Status {
        Status::OK
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_round_trip() {
        for code in 100..=999 {
            let status = Status(code);
            assert_eq!(Status::from_bytes(&status.digits()), Some(status));
        }
        for wrong in ["", "20", "2000", "2x0", "099"] {
            assert_eq!(Status::from_bytes(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn own_codes_go_out_as_bad_request() {
        assert_eq!(
            Status::REQUEST_HEADER_TOO_LARGE.on_the_wire(),
            Status::BAD_REQUEST
        );
        assert_eq!(Status::NOT_FOUND.on_the_wire(), Status::NOT_FOUND);
    }
}
