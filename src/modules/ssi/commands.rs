//! What each command does.

use std::rc::Rc;

use super::page::{Condition, Encoding, Failed, Include, Page};
use super::parser::Command;
use super::{Settings, Shared, TimeFormat};
use crate::exchange::{Body, BodyReader, Exchange};
use crate::http::escape::{Escape, escape, escape_html};
use crate::http::uri;
use crate::log::level::Level;

/// How many includes one request may make in all.
const MAX_INCLUDES: usize = 10_000;

/// How long a body may be that an include keeps in a variable, in bytes.
const MAX_KEPT: usize = 1 << 20;

/// A command that can be run.
struct Row {
    name: &'static str,
    /// Its parameters, each with whether it must be there.
    params: &'static [(&'static str, bool)],
    /// What chain of conditions it continues.
    continues: Condition,
    run: fn(&mut Page, &Params<'_>) -> Result<(), Failed>,
}

/// The values of a command's parameters, in the order of its row.
type Params<'a> = [Option<&'a [u8]>];

const ROWS: [Row; 10] = [
    row(
        "include",
        &[
            ("virtual", false),
            ("file", false),
            ("wait", false),
            ("set", false),
            ("stub", false),
        ],
        Page::include_command,
    ),
    row(
        "echo",
        &[("var", true), ("default", false), ("encoding", false)],
        Page::echo,
    ),
    row(
        "config",
        &[("errmsg", false), ("timefmt", false)],
        Page::config,
    ),
    row("set", &[("var", true), ("value", true)], Page::set),
    row("if", &[("expr", true)], Page::if_command),
    Row {
        continues: Condition::If,
        ..row("elif", &[("expr", true)], Page::condition)
    },
    Row {
        continues: Condition::If,
        ..row("else", &[], Page::else_command)
    },
    Row {
        continues: Condition::Else,
        ..row("endif", &[], Page::end_if)
    },
    row("block", &[("name", true)], Page::block),
    row("endblock", &[], Page::end_block),
];

const fn row(
    name: &'static str,
    params: &'static [(&'static str, bool)],
    run: fn(&mut Page, &Params<'_>) -> Result<(), Failed>,
) -> Row {
    Row {
        name,
        params,
        continues: Condition::None,
        run,
    }
}

impl Page {
    /// Runs a command, unless the page is where commands are not run.
    pub(super) fn run(&mut self, command: &Command) -> Result<(), Failed> {
        let name = String::from_utf8_lossy(&command.name);
        let Some(row) = ROWS.iter().find(|row| row.name.as_bytes() == command.name) else {
            return match self.output {
                true => Err(self.fail(format!("invalid SSI command: \"{name}\""))),
                false => Ok(()),
            };
        };
        if !self.output && row.name != "endblock" {
            if self.in_block {
                self.text(written(command));
                return Ok(());
            }
            if row.continues == Condition::None {
                return Ok(());
            }
        }
        let out_of_place = self.condition == Condition::None || self.condition > row.continues;
        if row.continues != Condition::None && out_of_place {
            return Err(self.fail(format!("invalid context of SSI command: \"{name}\"")));
        }
        let params = self.params(row, command)?;
        (row.run)(self, &params)
    }

    /// The values of the command's parameters, in the order of its row.
    fn params<'a>(&self, row: &Row, command: &'a Command) -> Result<Vec<Option<&'a [u8]>>, Failed> {
        let mut values = vec![None; row.params.len()];
        for (name, value) in &command.params {
            let shown = String::from_utf8_lossy(name);
            let number = row
                .params
                .iter()
                .position(|(known, _)| known.as_bytes() == name);
            let Some(number) = number else {
                let message = format!(
                    "invalid parameter name: \"{shown}\" in \"{}\" SSI command",
                    row.name
                );
                return Err(self.fail(message));
            };
            if values[number].replace(&value[..]).is_some() {
                let message = format!(
                    "duplicate \"{shown}\" parameter in \"{}\" SSI command",
                    row.name
                );
                return Err(self.fail(message));
            }
        }
        for ((name, mandatory), value) in row.params.iter().zip(&values) {
            if *mandatory && value.is_none() {
                let message = format!(
                    "mandatory \"{name}\" parameter is absent in \"{}\" SSI command",
                    row.name
                );
                return Err(self.fail(message));
            }
        }
        Ok(values)
    }

    fn echo(&mut self, params: &Params<'_>) -> Result<(), Failed> {
        let &[name, default, encoding] = params else {
            return Ok(());
        };
        let value = self.variable(name.unwrap_or_default());
        let value = value.unwrap_or_else(|| default.unwrap_or(b"(none)").to_vec());
        if value.is_empty() {
            return Ok(());
        }
        match encoding {
            Some(b"none") => self.encoding = Encoding::None,
            Some(b"url") => self.encoding = Encoding::Url,
            Some(b"entity") => self.encoding = Encoding::Entity,
            Some(other) => {
                let other = String::from_utf8_lossy(other);
                self.fail(format!(
                    "unknown encoding \"{other}\" in the \"echo\" command"
                ));
            }
            None => {}
        }
        let mut shown = Vec::with_capacity(value.len());
        match self.encoding {
            Encoding::None => shown = value,
            Encoding::Url => escape(&value, Escape::Html, &mut shown),
            Encoding::Entity => escape_html(&value, &mut shown),
        }
        self.text(shown);
        Ok(())
    }

    fn config(&mut self, params: &Params<'_>) -> Result<(), Failed> {
        if let Some(message) = params[0] {
            self.error_message = message.to_vec();
        }
        if let Some(format) = params[1] {
            self.exchange.note(TimeFormat(format.to_vec()));
        }
        Ok(())
    }

    fn set(&mut self, params: &Params<'_>) -> Result<(), Failed> {
        let value = self.evaluate(params[1].unwrap_or_default())?;
        self.shared.set(params[0].unwrap_or_default(), value);
        Ok(())
    }

    fn if_command(&mut self, params: &Params<'_>) -> Result<(), Failed> {
        if self.condition != Condition::None {
            return Err(self.fail("the \"if\" command inside the \"if\" command".into()));
        }
        self.condition(params)
    }

    fn condition(&mut self, params: &Params<'_>) -> Result<(), Failed> {
        if self.chosen {
            self.output = false;
            return Ok(());
        }
        self.output = self.holds(params[0].unwrap_or_default())?;
        self.chosen = self.output;
        self.condition = Condition::If;
        Ok(())
    }

    fn else_command(&mut self, _: &Params<'_>) -> Result<(), Failed> {
        self.output = !self.chosen;
        self.condition = Condition::Else;
        Ok(())
    }

    fn end_if(&mut self, _: &Params<'_>) -> Result<(), Failed> {
        (self.output, self.chosen) = (true, false);
        self.condition = Condition::None;
        Ok(())
    }

    fn block(&mut self, params: &Params<'_>) -> Result<(), Failed> {
        let block = (params[0].unwrap_or_default().to_vec(), Vec::new());
        self.shared.blocks.borrow_mut().push(block);
        (self.output, self.in_block) = (false, true);
        Ok(())
    }

    fn end_block(&mut self, _: &Params<'_>) -> Result<(), Failed> {
        (self.output, self.in_block) = (true, false);
        Ok(())
    }

    fn include_command(&mut self, params: &Params<'_>) -> Result<(), Failed> {
        let &[uri, file, wait, set, stub] = params else {
            return Ok(());
        };
        let wait = self.check_include(uri, file, wait, set.is_some() && stub.is_some())?;
        let stub = match stub {
            Some(name) => Some(self.stub(name)?),
            None => None,
        };
        let sub = self.ask(uri.or(file).unwrap_or_default())?;
        let wait = wait || file.is_some() || set.is_some();
        match (set, stub) {
            (Some(name), _) => {
                let shared = Rc::clone(&self.shared);
                shared.set(
                    name,
                    shared.value(&name.to_ascii_lowercase()).unwrap_or_default(),
                );
                let keeps = Include::Keeps(Box::pin(kept(sub, shared, name.to_vec())));
                self.include(keeps, wait);
            }
            (None, Some(stub)) => {
                let settings = Rc::clone(&self.settings);
                self.include(Include::Runs(Box::pin(or_stub(sub, settings, stub))), wait);
            }
            (None, None) => self.include(Include::Runs(Box::pin(body(sub))), wait),
        }
        Ok(())
    }

    /// Refuses parameters of `include` that do not go together; says whether it waits.
    fn check_include(
        &self,
        uri: Option<&[u8]>,
        file: Option<&[u8]>,
        wait: Option<&[u8]>,
        set_and_stub: bool,
    ) -> Result<bool, Failed> {
        let shown =
            |text: Option<&[u8]>| String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
        let message = match (uri, file) {
            (Some(_), Some(_)) => format!(
                "inclusion may be either virtual=\"{}\" or file=\"{}\"",
                shown(uri),
                shown(file)
            ),
            (None, None) => "no parameter in \"include\" SSI command".into(),
            _ if set_and_stub => {
                "\"set\" and \"stub\" cannot be used together in \"include\" SSI command".into()
            }
            (None, _) if wait.is_some() => {
                format!("\"wait\" cannot be used with file=\"{}\"", shown(file))
            }
            _ => match wait.map(<[u8]>::to_ascii_lowercase).as_deref() {
                None | Some(b"no") => return Ok(false),
                Some(b"yes") => return Ok(true),
                Some(_) => format!(
                    "invalid value \"{}\" in the \"wait\" parameter",
                    shown(wait)
                ),
            },
        };
        Err(self.fail(message))
    }

    /// What the block of that name holds.
    fn stub(&self, name: &[u8]) -> Result<Vec<u8>, Failed> {
        let blocks = self.shared.blocks.borrow();
        let block = blocks.iter().find(|(known, _)| known == name);
        block.map(|(_, text)| text.clone()).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            self.fail(format!("\"stub\"=\"{name}\" for \"include\" not found"))
        })
    }

    /// A subrequest for the URI, which is relative to the page's.
    fn ask(&self, uri: &[u8]) -> Result<Box<Exchange>, Failed> {
        let mut whole = self.evaluate(uri)?;
        if whole.first() != Some(&b'/') {
            let path = &self.exchange.path;
            let folder = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
            whole.splice(0..0, path[..folder].iter().copied());
        }
        let Some((path, args)) = uri::parse_unsafe(&whole) else {
            let whole = String::from_utf8_lossy(&whole);
            return Err(self.fail(format!("unsafe URI \"{whole}\" was detected")));
        };
        let includes = self.shared.includes.get() + 1;
        self.shared.includes.set(includes);
        if includes > MAX_INCLUDES {
            return Err(self.fail(format!("more than {MAX_INCLUDES} includes in one request")));
        }
        let sub = self.exchange.subrequest(path.into_owned(), args.to_vec());
        sub.ok_or(Failed)
    }
}

/// The command as it was written, for the block it stands in.
fn written(command: &Command) -> Vec<u8> {
    let mut text = [b"<!--#", &command.name[..]].concat();
    for (name, value) in &command.params {
        text.extend([b" ", &name[..], b"=\"", value, b"\""].concat());
    }
    text.extend_from_slice(b" -->");
    text
}

async fn body(mut sub: Box<Exchange>) -> Body {
    sub.run_as_subrequest().await
}

/// The body, or if there is nothing in it or an error the block that stands in for it.
async fn or_stub(mut sub: Box<Exchange>, settings: Rc<Settings>, stub: Vec<u8>) -> Body {
    sub.pageless = true;
    let mut reader = BodyReader::new(sub.run_as_subrequest().await);
    match reader.next().await {
        Some(Ok(first)) if !first.is_empty() => {
            Body::chain([Body::Bytes(first), reader.into_body()])
        }
        _ => Body::Stream(Box::new(Page::new(settings, sub, Body::Bytes(stub.into())))),
    }
}

/// Keeps the body in a variable, unless it is that of an error.
async fn kept(mut sub: Box<Exchange>, shared: Rc<Shared>, name: Vec<u8>) -> Body {
    let mut reader = BodyReader::new(sub.run_as_subrequest().await);
    let mut value = Vec::new();
    while let Some(Ok(bytes)) = reader.next().await {
        if value.len() + bytes.len() > MAX_KEPT {
            let message = format_args!("too big subrequest response");
            sub.log(Level::Error, message);
            return Body::Empty;
        }
        value.extend_from_slice(&bytes);
    }
    if sub.response().status.as_u16() < 300 {
        shared.set(&name, value);
    }
    Body::Empty
}
