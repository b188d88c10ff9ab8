//! Charsets: what `Content-Type` says (`charset`), and bodies recoded from another
//! (`source_charset`, `charset_map`).

mod map;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use self::map::{Map, Recode};
use crate::config::context::{HTTP, HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Directive, Finish, Module, Outcome, Use, directive};
use crate::exchange::{Exchange, Filter, Location, Response, Template};
use crate::http::{MediaTypes, Status, Text};
use crate::log::level::Level;

/// Media types that get a charset unless `charset_types` says otherwise.
const TYPES: [&[u8]; 6] = [
    b"text/html",
    b"text/xml",
    b"text/plain",
    b"text/vnd.wap.wml",
    b"application/javascript",
    b"application/rss+xml",
];

/// Adds the charset to the media type of responses, and recodes their bodies to it.
pub struct Charset;

/// What a block says of charsets.
#[derive(Clone)]
pub struct Settings {
    /// The charset responses are to have; none for `off`.
    charset: Option<Template>,
    /// The charset that bodies have which do not say.
    source: Option<Template>,
    /// Whether bodies that say which charset they have are recoded, too.
    overrides: bool,
    types: MediaTypes,
    /// Both directions of each `charset_map`.
    maps: Rc<Vec<Map>>,
    /// Where a request keeps the charset of its response, for its subrequests: their bodies become
    /// part of it. None without any map.
    kept: Option<usize>,
}

/// The name of that place, which is no variable's.
const KEPT: &str = "charset of the response";

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            charset: None,
            source: None,
            overrides: false,
            types: MediaTypes::new(TYPES),
            maps: Rc::default(),
            kept: None,
        }
    }
}

impl Module for Charset {
    type Settings = Settings;
    const NAME: &'static str = "charset";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("charset")
            .syntax("charset | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .doc("Adds the charset to the Content-Type of responses that have none; bodies in the \"source_charset\" are recoded to it.")
            .set(|settings, d| {
                settings.charset = match d.arg(0) {
                    b"off" => None,
                    _ => Some(d.template(0)?),
                };
                Ok(())
            }),
        directive("source_charset")
            .syntax("charset")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .doc("Names the charset of bodies that do not say which they have.")
            .set(|settings, d| {
                settings.source = Some(d.template(0)?);
                Ok(())
            }),
        directive("override_charset")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .flag()
            .doc("Recodes bodies, too, whose Content-Type names a charset already.")
            .set(|settings, d| d.flag().map(|on| settings.overrides = on)),
        directive("charset_types")
            .syntax("mime-type ...")
            .default("text/html text/xml text/plain text/vnd.wap.wml application/javascript application/rss+xml")
            .contexts(HTTP_SERVER_LOCATION)
            .at_least(1)
            .doc("The media types that get a charset; text/html always does, and * stands for all.")
            .repeat(|settings, d| {
                d.media_types(&mut settings.types);
                Ok(())
            }),
        directive("charset_map")
            .syntax("charset1 charset2 { … }")
            .contexts(HTTP)
            .takes(2)
            .doc("Lists characters of one charset and their counterparts in another, as hexadecimal digits.")
            .raw(add_map),
    ];

    fn finish(settings: &mut Rc<Settings>, block: &mut Finish<'_>) -> Outcome {
        let literal = |charset: &Option<Template>| charset.as_ref()?.literal().map(<[u8]>::to_vec);
        let (Some(source), Some(target)) = (literal(&settings.source), literal(&settings.charset))
        else {
            return Ok(());
        };
        if source.eq_ignore_ascii_case(&target) || settings.map(&source, &target).is_some() {
            return Ok(());
        }
        Err(block.mistake(no_map(&source, &target)))
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.charset.is_some() || settings.kept.is_some() {
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
    }
}

fn add_map(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let both = map::parse(d)?;
    if settings.map(&both[0].source, &both[0].target).is_some() {
        let (source, target) = (d.lossy(0), d.lossy(1));
        let message = format!("duplicate \"charset_map\" between \"{source}\" and \"{target}\"");
        return Err(d.mistake(0, message));
    }
    Rc::make_mut(&mut settings.maps).extend(both);
    settings.kept = Some(d.slot(0, KEPT)?);
    Ok(())
}

fn no_map(source: &[u8], target: &[u8]) -> String {
    let [source, target] = [source, target].map(String::from_utf8_lossy);
    format!("no \"charset_map\" between the charsets \"{source}\" and \"{target}\"")
}

impl Settings {
    /// How to recode from one charset to another.
    fn map(&self, source: &[u8], target: &[u8]) -> Option<&Map> {
        self.maps.iter().find(|map| {
            map.source.eq_ignore_ascii_case(source) && map.target.eq_ignore_ascii_case(target)
        })
    }

    /// The charset the body is to have, if it is one to change.
    fn target(&self, exchange: &Exchange, response: &Response) -> Option<Vec<u8>> {
        if exchange.depth > 0 {
            return exchange.with_slot(self.kept?, <[u8]>::to_vec);
        }
        let content_type = Some(response.entity.content_type.as_deref()?);
        if let Some(wanted) = &response.rare.override_charset {
            return self.known(exchange, wanted);
        }
        let concerned = match response.entity.charset {
            Some(_) => self.overrides,
            None => self.types.contains(content_type),
        };
        let charset = self.charset.as_ref().filter(|_| concerned)?;
        Some(charset.expand(exchange).into_owned()).filter(|name| !name.is_empty())
    }

    /// The charset an answer asked for, if the configuration knows it.
    fn known(&self, exchange: &Exchange, wanted: &[u8]) -> Option<Vec<u8>> {
        let is = |name: &[u8]| name.eq_ignore_ascii_case(wanted);
        let own = self.charset.as_ref().and_then(Template::literal);
        // Each map is there in both directions.
        if own.is_some_and(is) || self.maps.iter().any(|map| is(&map.target)) {
            return Some(wanted.to_vec());
        }
        let name = String::from_utf8_lossy(wanted);
        exchange.log(
            Level::Error,
            format_args!("unknown charset \"{name}\" to override"),
        );
        None
    }

    /// The charset the response has, if it is known.
    fn source(&self, exchange: &Exchange, response: &Response) -> Option<Vec<u8>> {
        match &response.entity.charset {
            Some(charset) => Some(charset.to_vec()),
            None => Some(self.source.as_ref()?.expand(exchange).into_owned()),
        }
    }
}

impl Settings {
    /// Has `response` be in the charset `target`, if there is a way.
    fn recode(&self, exchange: &Exchange, response: &mut Response, mut target: Vec<u8>) {
        if let Some(source) = self.source(exchange, response)
            && !source.eq_ignore_ascii_case(&target)
        {
            let encoding = response.headers.get(b"Content-Encoding");
            if encoding.is_some_and(|value| !value.is_empty()) {
                return;
            }
            let Some(map) = self.map(&source, &target) else {
                exchange.log(Level::Error, format_args!("{}", no_map(&source, &target)));
                return;
            };
            let body = std::mem::take(&mut response.body);
            response.body = body.transformed(Recode::new(Rc::clone(&map.table)));
            target = map.target.to_vec();
        }
        // A redirect's charset would be taken for that of the page it leads to.
        let redirect = matches!(
            response.status,
            Status::MOVED_PERMANENTLY | Status::MOVED_TEMPORARILY
        );
        response.entity.charset = (!redirect).then_some(Text::Owned(target));
    }
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        if let Some(target) = self.target(exchange, response) {
            self.recode(exchange, response, target);
        }
        if let Some(kept) = self.kept.filter(|_| exchange.depth == 0) {
            exchange.set_slot(kept, response.entity.charset.as_deref().map(Rc::from));
        }
    }

    fn sees_subrequests(&self) -> bool {
        true
    }
}
