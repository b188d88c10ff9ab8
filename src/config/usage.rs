//! What a module's function sees: one use of a directive, or a block that is complete.

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::diagnostics::{Mistake, Outcome, Severity};
use super::settings::SettingsSet;
use super::suggest;
use super::table::{Contexts, Module};
use super::tree::{Span, Statement, Word, path_bytes};
use super::units;
use crate::exchange::{Evaluate, Names, Purpose, Setter, Template, VariableRef, Zone, Zones};
use crate::http::pattern::Pattern;
use crate::log::open_files::LogFiles;

/// The least a zone may be: eight pages of memory.
const MIN_ZONE: usize = 8 * 4096;

/// What all uses of one configuration share.
pub(super) struct World {
    /// What most relative paths are relative to.
    pub prefix: PathBuf,
    /// What paths of configuration material are relative to: certificates, includes.
    pub conf_prefix: PathBuf,
    /// The main error log when none is named; empty is the default.
    pub error_log: Vec<u8>,
    /// What was found so far.
    pub found: RefCell<Vec<Mistake>>,
    /// The variables known so far.
    pub names: RefCell<Names>,
    /// Where variables were used.
    pub used: RefCell<Vec<(Rc<VariableRef>, Span)>>,
    /// The log files of the configuration.
    pub logs: Rc<LogFiles>,
    /// The memory its workers will share.
    pub zones: Rc<Zones>,
    /// Where zones were used.
    pub zones_used: RefCell<Vec<(Box<[u8]>, Span)>>,
}

impl World {
    pub(super) fn report(&self, mistake: Mistake) {
        self.found.borrow_mut().push(mistake);
    }

    /// How much was found so far.
    pub(super) fn count(&self) -> usize {
        self.found.borrow().len()
    }

    /// Whether anything found after the first `count` makes the configuration unusable.
    pub(super) fn spoilt_since(&self, count: usize) -> bool {
        let found = self.found.borrow();
        let mut later = found.iter().skip(count);
        later.any(|mistake| mistake.severity == Severity::Emerg)
    }

    /// Complains of zones that are used but not declared anywhere.
    pub(super) fn check_zones(&self) {
        for (name, span) in self.zones_used.borrow().iter() {
            if self.zones.lacks_size(name) {
                let name = String::from_utf8_lossy(name);
                let message = format!("zero size shared memory zone \"{name}\"");
                self.report(Mistake::emerg(*span, message));
            }
        }
    }

    /// Binds all variables to their meanings, once every name is known.
    pub(super) fn resolve_variables(&self) {
        let names = self.names.borrow();
        let unknown = names.resolve();
        for (variable, span) in self.used.borrow().iter() {
            if unknown.iter().any(|other| Rc::ptr_eq(other, variable)) {
                let message = format!("unknown \"{}\" variable", variable.name());
                let mistake = Mistake::emerg(*span, message);
                let close = suggest::nearest(variable.name(), names.all());
                self.report(match close {
                    Some(close) => mistake.help(format!("did you mean \"${close}\"?")),
                    None => mistake,
                });
            }
        }
    }
}

/// A relative name is put behind the prefix, byte by byte, as nginx does.
pub(super) fn full_name(prefix: &Path, name: &[u8]) -> PathBuf {
    if name.first() == Some(&b'/') {
        return PathBuf::from(OsString::from_vec(name.to_vec()));
    }
    let mut full = path_bytes(prefix).to_vec();
    if full.last().is_some_and(|last| *last != b'/') {
        full.push(b'/');
    }
    full.extend_from_slice(name);
    PathBuf::from(OsString::from_vec(full))
}

/// One use of a directive. Arguments are numbered from 0; one that was not given reads as
/// empty, which the row's arity makes impossible unless it is optional.
#[derive(Clone)]
pub struct Use<'a> {
    pub(super) statement: &'a Statement,
    pub(super) context: Contexts,
    pub(super) first: bool,
    pub(super) child: usize,
    pub(super) world: &'a World,
}

impl<'a> Use<'a> {
    /// The directive's name; in an entry of a data block its first word.
    pub fn name(&self) -> &'a [u8] {
        &self.statement.name.text
    }

    /// The arguments, without the name.
    pub fn args(&self) -> &'a [Word] {
        &self.statement.args
    }

    /// How many arguments there are.
    pub fn count(&self) -> usize {
        self.args().len()
    }

    /// Argument `i`.
    pub fn arg(&self, i: usize) -> &'a [u8] {
        self.args().get(i).map_or(b"", |word| &word.text)
    }

    /// Whether argument `i` was written in quotes.
    pub fn quoted(&self, i: usize) -> bool {
        self.args().get(i).is_some_and(|word| word.quoted)
    }

    /// Argument `i` as text; a mistake if it is not UTF-8.
    pub fn text(&self, i: usize) -> Result<&'a str, Mistake> {
        std::str::from_utf8(self.arg(i)).map_err(|_| {
            let shown = self.lossy(i);
            self.mistake(i, format!("invalid UTF-8 in \"{shown}\""))
        })
    }

    /// Argument `i` for a message.
    pub fn lossy(&self, i: usize) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.arg(i))
    }

    /// The context the directive stands in.
    pub fn context(&self) -> Contexts {
        self.context
    }

    /// Whether this is the block's first use of the directive.
    pub fn first(&self) -> bool {
        self.first
    }

    /// Which of the surrounding block's children the block opened here will be.
    pub fn child(&self) -> usize {
        self.child
    }

    /// Where the directive stands, to be kept for mistakes found later.
    pub fn span(&self) -> Span {
        self.statement.span()
    }

    /// Where argument `i` stands.
    pub fn span_of(&self, i: usize) -> Span {
        let word = self.args().get(i);
        word.map_or_else(|| self.span(), |word| word.span)
    }

    /// A mistake at argument `i`, in exactly these words.
    pub fn mistake(&self, i: usize, message: impl Into<String>) -> Mistake {
        Mistake::emerg(self.span_of(i), message)
    }

    /// A mistake at argument `i` in the form `"name" directive is duplicate`.
    pub fn complaint(&self, i: usize, what: &str) -> Mistake {
        self.mistake(
            i,
            format!("\"{}\" directive {what}", self.statement.name.lossy()),
        )
    }

    /// `invalid parameter "x"`, what most directives say of an argument they do not know.
    pub fn invalid_parameter(&self, i: usize) -> Mistake {
        self.mistake(i, format!("invalid parameter \"{}\"", self.lossy(i)))
    }

    /// Reports a finding without giving the directive up: a warning, or one mistake of several.
    pub fn report(&self, mistake: Mistake) {
        self.world.report(mistake);
    }

    /// Warns about argument `i`.
    pub fn warn(&self, i: usize, message: impl Into<String>) {
        self.report(Mistake::warn(self.span_of(i), message));
    }

    /// The only argument, `on` or `off` in any case.
    pub fn flag(&self) -> Result<bool, Mistake> {
        match self.arg(0) {
            on if on.eq_ignore_ascii_case(b"on") => Ok(true),
            off if off.eq_ignore_ascii_case(b"off") => Ok(false),
            _ => {
                let (value, name) = (self.lossy(0), self.statement.name.lossy());
                let message = format!(
                    "invalid value \"{value}\" in \"{name}\" directive, it must be \"on\" or \"off\""
                );
                Err(self.mistake(0, message))
            }
        }
    }

    /// Argument `i` as a number.
    pub fn number(&self, i: usize) -> Result<u64, Mistake> {
        self.unit(i, units::number, "invalid number")
    }

    /// Argument `i` as a size in bytes: `8k`, `1m`.
    pub fn size(&self, i: usize) -> Result<u64, Mistake> {
        self.unit(i, units::size, "invalid value")
    }

    /// Argument `i` as an offset in bytes: `8k`, `1m`, `1g`.
    pub fn offset(&self, i: usize) -> Result<u64, Mistake> {
        self.unit(i, units::offset, "invalid value")
    }

    /// Argument `i` as a time in milliseconds: `75s`, `500ms`, `1h30m`.
    pub fn time_ms(&self, i: usize) -> Result<u64, Mistake> {
        self.unit(i, units::time_ms, "invalid value")
    }

    /// Argument `i` as a time that may have milliseconds.
    pub fn duration(&self, i: usize) -> Result<Duration, Mistake> {
        self.time_ms(i).map(Duration::from_millis)
    }

    /// Argument `i` as a time in seconds: `75s`, `1y`.
    pub fn time_secs(&self, i: usize) -> Result<u64, Mistake> {
        self.unit(i, units::time_secs, "invalid value")
    }

    /// Arguments `i` and `i + 1` as a number of buffers and their size, neither zero.
    pub fn buffers(&self, i: usize) -> Result<(u64, u64), Mistake> {
        let positive = |n: &u64| *n > 0;
        let number = units::number(self.arg(i)).filter(positive);
        let number = number.ok_or_else(|| self.complaint(i, "invalid value"))?;
        let size = units::size(self.arg(i + 1)).filter(positive);
        let size = size.ok_or_else(|| self.complaint(i + 1, "invalid value"))?;
        Ok((number, size))
    }

    fn unit(&self, i: usize, parse: fn(&[u8]) -> Option<u64>, what: &str) -> Result<u64, Mistake> {
        parse(self.arg(i)).ok_or_else(|| self.complaint(i, what))
    }

    /// Argument `i` as one of some words, in any case.
    pub fn one_of<T: Copy>(&self, i: usize, words: &[(&str, T)]) -> Result<T, Mistake> {
        self.look_up(i, words).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.mistake(i, format!("invalid value \"{}\"", self.lossy(i)))
                .help(format!("it can be {}", known.join(", ")))
        })
    }

    /// Whether the arguments are what `syntax` asks for, if that is one of the simple kinds: for
    /// directives of which nothing else is wanted.
    ///
    /// # Errors
    /// They are not.
    pub fn conform(&self, syntax: &str) -> Outcome {
        match syntax {
            "on | off" => self.flag().map(drop),
            "number" => self.number(0).map(drop),
            "size" => self.size(0).map(drop),
            "size | off" if self.arg(0) == b"off" => Ok(()),
            "size | off" => self.offset(0).map(drop),
            "interval" | "time" => self.time_ms(0).map(drop),
            "number size" => self.buffers(0).map(drop),
            "abort | stop" => self.one_of(0, &[("abort", ()), ("stop", ())]),
            _ => Ok(()),
        }
    }

    /// All arguments from `i` on as bits of a mask, each a word in any case.
    pub fn bits_from(&self, i: usize, words: &[(&str, u32)]) -> Result<u32, Mistake> {
        let mut mask = 0;
        for i in i..self.count() {
            let bit = self.one_of(i, words)?;
            if mask & bit != 0 {
                self.warn(i, format!("duplicate value \"{}\"", self.lossy(i)));
            }
            mask |= bit;
        }
        Ok(mask)
    }

    fn look_up<T: Copy>(&self, i: usize, words: &[(&str, T)]) -> Option<T> {
        let given = self.arg(i);
        let mut words = words.iter();
        words
            .find(|(word, _)| word.as_bytes().eq_ignore_ascii_case(given))
            .map(|(_, value)| *value)
    }

    /// Argument `i` split at its first `=`: `buffer=32k`.
    pub fn key_value(&self, i: usize) -> Option<(&'a [u8], &'a [u8])> {
        let argument = self.arg(i);
        let split = memchr::memchr(b'=', argument)?;
        Some((&argument[..split], &argument[split + 1..]))
    }

    /// What follows `prefix` in argument `i`: `parameter(1, "size=")`.
    pub fn parameter(&self, i: usize, prefix: &str) -> Option<&'a [u8]> {
        self.arg(i).strip_prefix(prefix.as_bytes())
    }

    /// Argument `i` as a path, relative to the directory of the main configuration file.
    pub fn path(&self, i: usize) -> PathBuf {
        full_name(&self.world.conf_prefix, self.arg(i))
    }

    /// Argument `i` as a path, relative to the server's prefix.
    pub fn prefix_path(&self, i: usize) -> PathBuf {
        full_name(&self.world.prefix, self.arg(i))
    }

    /// A path relative to the directory of the main configuration file.
    pub fn resolve(&self, name: &[u8]) -> PathBuf {
        full_name(&self.world.conf_prefix, name)
    }

    /// A path relative to the server's prefix.
    pub fn resolve_prefix(&self, name: &[u8]) -> PathBuf {
        full_name(&self.world.prefix, name)
    }

    /// Argument `i` as text with variables.
    ///
    /// # Errors
    /// A `$` that no name follows. Names nothing defines are reported once all is read.
    pub fn template(&self, i: usize) -> Result<Template, Mistake> {
        self.template_of(i, self.arg(i))
    }

    /// `source`, which comes from argument `i`, as text with variables.
    ///
    /// # Errors
    /// As [`Use::template`].
    pub fn template_of(&self, i: usize, source: &[u8]) -> Result<Template, Mistake> {
        let compiled = Template::compile(source, &mut self.world.names.borrow_mut());
        let template = compiled.map_err(|bad| {
            let rest = String::from_utf8_lossy(&source[bad.at..]).into_owned();
            self.mistake(i, "invalid variable name")
                .help(format!("no name follows at \"{rest}\""))
        })?;
        let mut used = self.world.used.borrow_mut();
        used.extend(
            template
                .references()
                .map(|variable| (Rc::clone(variable), self.span_of(i))),
        );
        Ok(template)
    }

    /// The variable `name` (from argument `i`), which need not be defined yet.
    pub fn variable(&self, i: usize, name: &str) -> Rc<VariableRef> {
        let variable = self.world.names.borrow_mut().reference(name);
        let mut used = self.world.used.borrow_mut();
        used.push((Rc::clone(&variable), self.span_of(i)));
        variable
    }

    /// What setting the built-in variable `name` does, if it may be set.
    pub fn setter(&self, name: &str) -> Option<Setter> {
        self.world.names.borrow().setter(name)
    }

    /// The slot of the variable `name` (from argument `i`), which requests will set.
    ///
    /// # Errors
    /// The name means something else.
    pub fn slot(&self, i: usize, name: &str) -> Result<usize, Mistake> {
        self.slot_of(i, name, true)
    }

    fn slot_of(&self, i: usize, name: &str, warn: bool) -> Result<usize, Mistake> {
        let slot = self.world.names.borrow_mut().slot(name, warn);
        slot.ok_or_else(|| self.mistake(i, format!("the duplicate \"{name}\" variable")))
    }

    /// The named groups of a pattern, each with the slot of its variable.
    ///
    /// # Errors
    /// A name means something else already.
    pub fn capture_slots(
        &self,
        i: usize,
        pattern: &Pattern,
    ) -> Result<Rc<[(usize, usize)]>, Mistake> {
        let named = pattern.names().iter();
        named
            .map(|(name, group)| Ok((*group, self.slot_of(i, name, false)?)))
            .collect()
    }

    /// Defines the variable `name` (from argument `i`) as computed.
    ///
    /// # Errors
    /// The name means something already.
    pub fn define(&self, i: usize, name: &str, value: Rc<dyn Evaluate>, volatile: bool) -> Outcome {
        match self.world.names.borrow_mut().define(name, value, volatile) {
            true => Ok(()),
            false => Err(self.mistake(i, format!("the duplicate \"{name}\" variable"))),
        }
    }

    /// The log files of the configuration.
    pub fn logs(&self) -> &Rc<LogFiles> {
        &self.world.logs
    }

    /// The zone `name` (from argument `i`), which some other directive declares.
    ///
    /// # Errors
    /// The name has another use.
    pub fn zone<P: Purpose>(&self, i: usize, name: &[u8]) -> Result<Rc<Zone<P>>, Mistake> {
        let zone = self.world.zones.declare(name, 0);
        let zone = zone.map_err(|message| self.mistake(i, message))?;
        let mut used = self.world.zones_used.borrow_mut();
        used.push((name.into(), self.span_of(i)));
        Ok(zone)
    }

    /// The zone that `declared` (from argument `i`) declares as `name:size`.
    ///
    /// # Errors
    /// There is no size or one too small, or the name has another use or size.
    pub fn new_zone<P: Purpose>(&self, i: usize, declared: &[u8]) -> Result<Rc<Zone<P>>, Mistake> {
        let colon = memchr::memchr(b':', declared);
        let size = colon.and_then(|colon| units::size(&declared[colon + 1..]));
        let size = size.and_then(|size| usize::try_from(size).ok());
        let (Some(colon), Some(size)) = (colon, size) else {
            return Err(self.mistake(i, format!("invalid zone size \"{}\"", self.lossy(i))));
        };
        if size < MIN_ZONE {
            return Err(self.mistake(i, format!("zone \"{}\" is too small", self.lossy(i))));
        }
        let zone = self.world.zones.declare(&declared[..colon], size);
        zone.map_err(|message| self.mistake(i, message))
    }

    /// The lines of a data block (`types`, `map`, `geo`), each to be read like a directive.
    pub fn entries(&self) -> impl Iterator<Item = Use<'a>> + use<'a> {
        let outer = self.clone();
        let body = self.statement.body.as_deref().unwrap_or_default();
        body.iter().map(move |statement| Use {
            statement,
            ..outer.clone()
        })
    }

    /// The statement as it was written.
    pub fn statement(&self) -> &'a Statement {
        self.statement
    }
}

/// A block whose own directives have all been applied, for [`Module::finish`].
pub struct Finish<'a> {
    pub(super) statement: Option<&'a Statement>,
    pub(super) context: Contexts,
    pub(super) settings: &'a SettingsSet,
    pub(super) world: &'a World,
}

impl Finish<'_> {
    /// The context inside the block.
    pub fn context(&self) -> Contexts {
        self.context
    }

    /// The arguments of the block; none for the outermost.
    pub fn args(&self) -> &[Word] {
        self.statement.map_or(&[], |statement| &statement.args)
    }

    /// Where the block begins; `None` for the outermost.
    pub fn span(&self) -> Option<Span> {
        self.statement.map(Statement::span)
    }

    /// The settings of another module in this block. A module's own are not here but in the
    /// argument of its function.
    pub fn settings<M: Module>(&self) -> Rc<M::Settings> {
        self.settings.of::<M>()
    }

    /// A path relative to the server's prefix.
    pub fn resolve_prefix(&self, name: &[u8]) -> PathBuf {
        full_name(&self.world.prefix, name)
    }

    /// The log files of the configuration.
    pub fn logs(&self) -> &Rc<LogFiles> {
        &self.world.logs
    }

    /// The variable `name`, which need not be defined yet.
    pub fn variable(&self, name: &str) -> Rc<VariableRef> {
        self.world.names.borrow_mut().reference(name)
    }

    /// What `-e` named as the main error log; empty if it did not.
    pub fn error_log(&self) -> &[u8] {
        &self.world.error_log
    }

    /// A mistake at the block's beginning.
    pub fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake::emerg(self.span(), message)
    }

    /// Reports a finding and goes on.
    pub fn report(&self, mistake: Mistake) {
        self.world.report(mistake);
    }

    /// Makes `outcome` a finding if it is a mistake, and goes on.
    pub fn check(&self, outcome: Outcome) {
        if let Err(mistake) = outcome {
            self.report(mistake);
        }
    }
}
