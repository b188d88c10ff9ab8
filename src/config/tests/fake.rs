//! Three modules with one of every kind of row.

use std::rc::Rc;

use crate::config::table::context::*;
use crate::config::{
    AnyModule, Contexts, Directive, Finish, Mistake, Module, Outcome, Use, directive,
};

pub const ALL: &[AnyModule] = &[
    AnyModule::of::<Core>(),
    AnyModule::of::<Headers>(),
    AnyModule::of::<Script>(),
];

/// The blocks, and a value of every unit.
pub struct Core;

#[derive(Clone, Default, Debug)]
pub struct CoreSettings {
    pub sendfile: bool,
    pub timeout: u64,
    pub limit: u64,
    pub workers: u64,
    pub root: Option<std::path::PathBuf>,
    pub names: Vec<String>,
    pub types: Vec<(String, Vec<String>)>,
    pub path: String,
}

type Row = Directive<CoreSettings>;

const fn row(name: &'static str) -> Row {
    directive(name)
}

impl Module for Core {
    type Settings = CoreSettings;
    const NAME: &'static str = "core";
    const DIRECTIVES: &'static [Row] = &[
        row("worker_processes")
            .syntax("number")
            .default("1")
            .contexts(MAIN)
            .doc("How many workers there are.")
            .set(|s, d| d.number(0).map(|n| s.workers = n)),
        row("events")
            .contexts(MAIN)
            .none()
            .once()
            .open(EVENTS, |_, _| Ok(())),
        row("use")
            .contexts(EVENTS)
            .doc("Chooses the polling method.")
            .tunes(),
        row("http")
            .contexts(MAIN)
            .none()
            .once()
            .open(HTTP, |_, _| Ok(())),
        row("server").contexts(HTTP).none().open(SERVER, |s, _| {
            s.names.clear();
            Ok(())
        }),
        row("location")
            .syntax("[ = | ~ | ~* | ^~ ] uri")
            .contexts(SERVER | LOCATION)
            .between(1, 2)
            .open(LOCATION, |s, d| {
                if d.count() == 2 && d.arg(0) == b"~" {
                    d.pattern(1, false)?;
                }
                s.path = d.text(d.count() - 1)?.to_owned();
                Ok(())
            }),
        row("sendfile")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .flag()
            .doc("Sends files from the kernel's page cache.")
            .set(|s, d| d.flag().map(|on| s.sendfile = on)),
        row("timeout").contexts(HTTP_SERVER_LOCATION).set(|s, d| {
            s.timeout = d.time_ms(0)?;
            Ok(())
        }),
        row("limit").contexts(HTTP_SERVER_LOCATION).set(|s, d| {
            s.limit = d.offset(0)?;
            Ok(())
        }),
        row("root").contexts(HTTP_SERVER_LOCATION_IF).set(|s, d| {
            s.root = Some(d.prefix_path(0));
            Ok(())
        }),
        row("server_name")
            .contexts(SERVER)
            .at_least(1)
            .repeat(names),
        row("types")
            .contexts(HTTP_SERVER_LOCATION)
            .none()
            .raw(types),
    ];

    fn finish(settings: &mut Rc<CoreSettings>, block: &mut Finish<'_>) -> Outcome {
        if block.context().within(SERVER) && settings.names.iter().any(|name| name == "fail") {
            return Err(block.mistake("no server may be called \"fail\""));
        }
        Ok(())
    }
}

fn names(s: &mut CoreSettings, d: &mut Use<'_>) -> Outcome {
    for i in 0..d.count() {
        s.names.push(d.text(i)?.to_owned());
    }
    Ok(())
}

fn types(s: &mut CoreSettings, d: &mut Use<'_>) -> Outcome {
    if d.first() {
        s.types.clear();
    }
    for entry in d.entries() {
        let name = String::from_utf8_lossy(entry.name()).into_owned();
        let extensions = (0..entry.count()).map(|i| entry.lossy(i).into_owned());
        s.types.push((name, extensions.collect()));
    }
    Ok(())
}

/// A list that is inherited as a whole.
pub struct Headers;

impl Module for Headers {
    type Settings = Vec<(String, String)>;
    const NAME: &'static str = "headers";
    const DIRECTIVES: &'static [Directive<Self::Settings>] =
        &[directive::<Self::Settings>("add_header")
            .syntax("name value")
            .contexts(HTTP_SERVER_LOCATION)
            .takes(2)
            .doc("Adds a field to responses.")
            .append(Vec::clear, |s, d| {
                s.push((d.text(0)?.to_owned(), d.text(1)?.to_owned()));
                Ok(())
            })];
}

/// A program that is not inherited, with blocks in between its steps.
pub struct Script;

impl Module for Script {
    type Settings = Vec<String>;
    const NAME: &'static str = "script";
    const DIRECTIVES: &'static [Directive<Self::Settings>] = &[
        directive::<Self::Settings>("return")
            .contexts(SERVER | LOCATION | SERVER_IF | LOCATION_IF)
            .between(1, 2)
            .repeat(|s, d| {
                match d.number(0) {
                    Ok(code @ 0..=999) => s.push(format!("return {code}")),
                    _ => {
                        let message = format!("invalid return code \"{}\"", d.lossy(0));
                        return Err(d.mistake(0, message));
                    }
                }
                Ok(())
            }),
        directive::<Self::Settings>("if")
            .contexts(SERVER)
            .at_least(1)
            .open_from(SERVER_IF, enter_if, |_, _| Ok(())),
        directive::<Self::Settings>("if")
            .contexts(LOCATION)
            .at_least(1)
            .open_from(LOCATION_IF, enter_if, |_, _| Ok(())),
        directive::<Self::Settings>("log_once")
            .contexts(MAIN)
            .repeat(|_, d| {
                d.report(Mistake::warn(d.span(), "\"log_once\" is deprecated"));
                Ok(())
            }),
    ];

    fn inherit(_: &Rc<Self::Settings>, _: Contexts) -> Rc<Self::Settings> {
        Rc::default()
    }
}

fn enter_if(s: &mut Vec<String>, d: &mut Use<'_>) -> Outcome {
    s.push(format!("if child {}", d.child()));
    Ok(())
}
