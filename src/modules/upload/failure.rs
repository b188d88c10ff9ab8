//! Why an upload is not stored: a status for the client and a line for the error log.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::exchange::{BodyError, Exchange, Response};
use crate::http::{Headers, Status, Text};
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::sys::errno;

/// An upload that came to nothing.
#[derive(Debug)]
pub struct Failure {
    /// What the client is told.
    pub status: Status,
    /// Header fields the protocol wants on top.
    pub headers: Headers,
    level: Level,
    message: String,
    /// A description of the problem for programs (RFC 9457).
    problem: Option<String>,
}

/// Where the types of problems are registered.
const PROBLEMS: &str = "https://iana.org/assignments/http-problem-types";

impl Failure {
    /// The client's doing.
    pub fn of_client(status: Status, message: impl Into<String>) -> Failure {
        Failure {
            status,
            headers: Headers::new(),
            level: Level::Error,
            message: message.into(),
            problem: None,
        }
    }

    /// One that says itself what there is to say.
    pub fn silent(status: Status) -> Failure {
        Failure {
            level: Level::Info,
            ..Failure::of_client(status, "")
        }
    }

    /// What the system says of a file: 507 where there is no room, else 500.
    pub fn of_file(call: &str, path: &Path, error: &io::Error) -> Failure {
        let full = matches!(
            error.raw_os_error(),
            Some(errno::ENOSPC | errno::EDQUOT | errno::EFBIG)
        );
        Failure {
            level: Level::Crit,
            ..Failure::of_client(
                if full {
                    Status::INSUFFICIENT_STORAGE
                } else {
                    Status::INTERNAL_SERVER_ERROR
                },
                format!("{call} \"{}\" failed {}", path.display(), Errno(error)),
            )
        }
    }

    /// What kept the body from being read.
    pub fn of_body(error: &BodyError, exchange: &Exchange) -> Failure {
        let message = match error {
            BodyError::Closed => "client prematurely closed connection while it sent a file".into(),
            BodyError::TimedOut => "client timed out while it sent a file".into(),
            BodyError::TooLarge => format!(
                "client sent a body of more than {} bytes, the limit of \"client_max_body_size\"",
                exchange.location.core.client_max_body_size
            ),
            BodyError::Malformed(why) => (*why).into(),
            BodyError::File(error) => format!("reading the body failed {}", Errno(error)),
        };
        let level = match error {
            BodyError::TooLarge => Level::Error,
            BodyError::File(_) => Level::Crit,
            _ => Level::Info,
        };
        Failure {
            level,
            ..Failure::of_client(error.status(), message)
        }
    }

    /// The same with one more header field.
    pub fn with(mut self, name: &'static str, value: impl Into<Text>) -> Failure {
        self.headers.set(name, value);
        self
    }

    /// The same with a description for programs in place of a page: a registered type, a title,
    /// and more members of that type.
    pub fn with_problem(mut self, kind: &str, title: &str, more: &[(&str, u64)]) -> Failure {
        let mut problem = format!("{{\"type\":\"{PROBLEMS}#{kind}\",\"title\":\"{title}\"");
        for (name, number) in more {
            let _ = write!(problem, ",\"{name}\":{number}");
        }
        self.problem = Some(problem + "}\n");
        self
    }

    /// Writes to the error log why, and gives the response. A page of the configuration's own
    /// counts more than a description.
    pub fn into_response(self, exchange: &Exchange) -> Response {
        if !self.message.is_empty() {
            exchange.log(self.level, format_args!("{}", self.message));
        }
        let mut pages = exchange.location.core.error_pages.iter();
        let has_page = pages.any(|rule| rule.statuses.contains(&self.status));
        let response = match self.problem.filter(|_| !has_page) {
            Some(problem) => Response::bytes(self.status, "application/problem+json", problem),
            None => Response::page(self.status),
        };
        Response {
            headers: self.headers,
            ..response
        }
    }
}
