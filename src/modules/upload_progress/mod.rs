//! How far uploads are: `track_uploads` counts what arrives, `report_uploads` tells.
//!
//! The words and answers are those of nginx's upload progress module. A request is tracked if it
//! brings an identifier of its client's choice; the numbers live in a zone, since the question may
//! reach another worker than the upload did. Any handler that reads the body can be tracked.

mod output;
#[cfg(test)]
mod tests;
mod track;

use std::rc::Rc;

use self::output::{Format, State, Templates};
use self::track::{Counted, Reporter, Tracker};
use crate::config::context::{HTTP, HTTP_SERVER_LOCATION, LOCATION};
use crate::config::{Directive, Module, Outcome, Use, directive};
use crate::exchange::{Exchange, Location, Phase, Purpose, Variable, Zone};
use crate::http::{Text, args};

/// Tracks uploads and reports on them.
pub struct UploadProgress;

/// A zone of this module: for each upload a [`Counted`].
pub struct Uploads;

impl Purpose for Uploads {
    const WORDS: usize = Counted::WORDS;
}

/// What one block says.
#[derive(Clone)]
pub struct Settings {
    /// Whether there is a zone at all, so that ends are worth noting.
    any: bool,
    /// Where to track, and for how many seconds an upload is remembered after its end.
    track: Option<(Rc<Zone<Uploads>>, u64)>,
    report: Option<Rc<Zone<Uploads>>>,
    header: Rc<[u8]>,
    callback: Rc<[u8]>,
    content_type: Option<Text>,
    format: Format,
    templates: Templates,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            any: false,
            track: None,
            report: None,
            header: Rc::from(*b"X-Progress-ID"),
            callback: Rc::from(*b"callback"),
            content_type: None,
            format: Format::Script,
            templates: Templates::default(),
        }
    }
}

impl Settings {
    /// The identifier that a request brings, in a field or an argument.
    fn id<'a>(&self, exchange: &'a Exchange) -> Option<&'a [u8]> {
        let mut fields = exchange.request.headers();
        let field = fields.find(|(name, _)| name.eq_ignore_ascii_case(&self.header));
        // Rewriting may have changed the exchange's own arguments.
        let target = exchange.request.target();
        let sent = memchr::memchr(b'?', target).map(|mark| &target[mark + 1..]);
        let id = field.map(|(_, value)| value);
        id.or_else(|| args::find(sent?, &self.header))
            .filter(|id| !id.is_empty())
    }
}

impl Module for UploadProgress {
    type Settings = Settings;
    const NAME: &'static str = "upload_progress";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("upload_progress")
            .syntax("zone size")
            .contexts(HTTP)
            .takes(2)
            .doc("Sets memory aside in which workers share how far uploads are.")
            .repeat(|s, d| {
                s.any = true;
                let zone = d.new_zone::<Uploads>(1, &[d.arg(0), b":", d.arg(1)].concat())?;
                // A second declaration of the same size is the same zone.
                let _ = zone.define(Uploads);
                Ok(())
            }),
        directive("track_uploads")
            .syntax("zone time")
            .contexts(LOCATION)
            .takes(2)
            .doc("Counts what arrives of uploads that bring an identifier, and remembers them for so long after their end.")
            .set(|s, d| {
                s.track = Some((d.zone(0, d.arg(0))?, d.time_secs(1)?));
                Ok(())
            }),
        directive("report_uploads")
            .syntax("zone")
            .contexts(LOCATION)
            .doc("Answers how far the upload is whose identifier the request brings.")
            .set(|s, d| {
                s.report = Some(d.zone(0, d.arg(0))?);
                Ok(())
            }),
        directive("upload_progress_header")
            .syntax("name")
            .default("X-Progress-ID")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Names the header field, or the argument, that holds the identifier.")
            .set(|s, d| {
                s.header = Rc::from(d.arg(0));
                Ok(())
            }),
        directive("upload_progress_jsonp_parameter")
            .syntax("name")
            .default("callback")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Names the argument that holds the name of the function in JSONP reports.")
            .set(|s, d| {
                s.callback = Rc::from(d.arg(0));
                Ok(())
            }),
        directive("upload_progress_content_type")
            .syntax("type")
            .default("text/javascript")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Sets the media type of reports.")
            .set(|s, d| {
                s.content_type = Some(Text::Shared(Rc::from(d.arg(0))));
                Ok(())
            }),
        output("upload_progress_java_output")
            .doc("Reports as an expression of JavaScript, which is the default.")
            .set(|s, _| format(s, Format::Script)),
        output("upload_progress_json_output")
            .doc("Reports as JSON.")
            .set(|s, _| format(s, Format::Json)),
        output("upload_progress_jsonp_output")
            .doc("Reports as JSONP.")
            .set(|s, _| format(s, Format::Jsonp)),
        directive("upload_progress_template")
            .syntax("starting | uploading | error | done template")
            .contexts(HTTP_SERVER_LOCATION)
            .takes(2)
            .doc("Sets what is reported in one of the states; its variables are those of this module.")
            .repeat(template),
    ];
    const VARIABLES: &'static [Variable] = &[
        variable(
            "uploadprogress_length",
            "The length of the upload, in a report.",
            |e, out| output::number(e, out, |report| report.length),
        ),
        variable(
            "uploadprogress_received",
            "How much of the upload has come, in a report.",
            |e, out| output::number(e, out, |report| report.received),
        ),
        variable(
            "uploadprogress_status",
            "The status that ended the upload, in a report.",
            |e, out| output::number(e, out, |report| report.status),
        ),
        variable(
            "uploadprogress_callback",
            "The function's name, in a JSONP report.",
            output::callback,
        ),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.any {
            return;
        }
        if settings.track.is_some() {
            let tracker = Rc::new(Tracker(Rc::clone(settings)));
            location.add_handler(Phase::Preaccess, tracker);
        }
        if settings.report.is_some() {
            let reporter = Rc::new(Reporter(Rc::clone(settings)));
            location.add_handler(Phase::Content, reporter);
        }
        // A tracked request may end in another location, through `error_page`.
        location.loggers.push(Rc::new(Tracker(Rc::clone(settings))));
    }
}

/// A row that chooses one of the formats.
const fn output(name: &'static str) -> Directive<Settings> {
    directive(name).contexts(HTTP_SERVER_LOCATION).none()
}

const fn variable(
    name: &'static str,
    doc: &'static str,
    get: fn(&Exchange, &mut Vec<u8>) -> Option<()>,
) -> Variable {
    Variable::plain(name, doc, get)
}

fn format(settings: &mut Settings, format: Format) -> Outcome {
    settings.format = format;
    settings.templates = Templates::default();
    Ok(())
}

fn template(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let state = d.one_of(0, State::NAMES)?;
    settings.templates[state as usize] = Some(d.template(1)?);
    Ok(())
}
