//! Reports: one of four states, in the words of nginx's module or in the configuration's.

use crate::exchange::{Exchange, Template};
use crate::http::{Text, args};

use super::Settings;

/// What an upload is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not known, or not known yet.
    Starting,
    /// It is coming.
    Uploading,
    /// It was refused or broke off.
    Error,
    /// It has come and was answered.
    Done,
}

impl State {
    /// The states by name.
    pub const NAMES: &[(&str, State)] = &[
        ("starting", State::Starting),
        ("uploading", State::Uploading),
        ("error", State::Error),
        ("done", State::Done),
    ];

    fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

/// Texts of the configuration's own, one a state.
pub type Templates = [Option<Template>; 4];

/// How a report is written where the configuration has no text of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An expression of JavaScript.
    Script,
    /// JSON.
    Json,
    /// A call of a function with JSON.
    Jsonp,
}

/// What is known of an upload.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it is doing.
    pub state: State,
    /// Its length in bytes; 0 if the client did not tell.
    pub length: u64,
    /// What has come of it.
    pub received: u64,
    /// The status that ended it.
    pub status: u64,
    /// The function that a JSONP report calls.
    pub callback: Vec<u8>,
}

impl Report {
    /// The report as it is sent, and its media type. Variables see it in the exchange's notes.
    pub fn write(self, exchange: &mut Exchange, settings: &Settings) -> (Text, Vec<u8>) {
        let mut out = Vec::new();
        match &settings.templates[self.state as usize] {
            Some(template) => {
                exchange.note(self);
                template.append(exchange, &mut out);
            }
            None => self.write_as(settings.format, &mut out),
        }
        let content_type = settings.content_type.clone();
        (content_type.unwrap_or(media_type(settings.format)), out)
    }

    fn write_as(&self, format: Format, out: &mut Vec<u8>) {
        let (open, quote, close) = match format {
            Format::Script => ("new Object(", '\'', ")"),
            Format::Json => ("", '"', ""),
            Format::Jsonp => ("(", '"', ");"),
        };
        if format == Format::Jsonp {
            out.extend_from_slice(&self.callback);
        }
        let more = match self.state {
            State::Starting | State::Done => String::new(),
            State::Error => format!(", {quote}status{quote} : {}", self.status),
            State::Uploading => format!(
                ", {quote}received{quote} : {}, {quote}size{quote} : {}",
                self.received, self.length
            ),
        };
        let state = self.state.name();
        let text =
            format!("{open}{{ {quote}state{quote} : {quote}{state}{quote}{more} }}{close}\r\n");
        out.extend_from_slice(text.as_bytes());
    }
}

fn media_type(format: Format) -> Text {
    match format {
        Format::Script => "text/javascript".into(),
        Format::Json => "application/json".into(),
        Format::Jsonp => "application/javascript".into(),
    }
}

/// The function's name that the request asks for. It is repeated in a script, so it must be a
/// name, and nothing that could do anything.
pub fn callback_of(exchange: &Exchange, settings: &Settings) -> Vec<u8> {
    let asked = args::find(&exchange.args, &settings.callback).unwrap_or_default();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_$.".contains(byte);
    match asked.iter().all(is_name) {
        true => asked.to_vec(),
        false => Vec::new(),
    }
}

/// A number of the report being written, for a variable.
pub fn number(exchange: &Exchange, out: &mut Vec<u8>, of: fn(&Report) -> u64) -> Option<()> {
    let number = of(exchange.noted::<Report>()?);
    out.extend_from_slice(number.to_string().as_bytes());
    Some(())
}

/// The function's name in the report being written, for a variable.
pub fn callback(exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&exchange.noted::<Report>()?.callback);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let report = |state| Report {
            state,
            length: 100,
            received: 40,
            status: 413,
            callback: b"f".to_vec(),
        };
        for (format, state, expected) in [
            (
                Format::Script,
                State::Starting,
                "new Object({ 'state' : 'starting' })\r\n",
            ),
            (
                Format::Script,
                State::Error,
                "new Object({ 'state' : 'error', 'status' : 413 })\r\n",
            ),
            (
                Format::Script,
                State::Done,
                "new Object({ 'state' : 'done' })\r\n",
            ),
            (
                Format::Script,
                State::Uploading,
                "new Object({ 'state' : 'uploading', 'received' : 40, 'size' : 100 })\r\n",
            ),
            (
                Format::Json,
                State::Uploading,
                "{ \"state\" : \"uploading\", \"received\" : 40, \"size\" : 100 }\r\n",
            ),
            (
                Format::Jsonp,
                State::Done,
                "f({ \"state\" : \"done\" });\r\n",
            ),
        ] {
            let mut out = Vec::new();
            report(state).write_as(format, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
