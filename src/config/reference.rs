//! The directives' reference, made from the rows: for the terminal, as Markdown, as a man page.
//!
//! All three are the same for the same program, so that a test can hold the committed files
//! against them.

use std::fmt::Write as _;

use super::suggest;
use super::table::{AnyModule, Ending, Row};

/// What is said of a directive that only tunes another implementation.
const TUNES: &str = "Accepted for compatibility; it has no effect here.";

/// `rowhouse directives`: one line a directive, in alphabetical order.
pub fn list(modules: &[AnyModule]) -> String {
    let mut lines: Vec<String> = rows(modules).map(|(_, row)| usage(row)).collect();
    lines.sort();
    lines.dedup();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// `rowhouse directives NAME`: all about one directive.
///
/// # Errors
/// The nearest name, if there is one, when no directive is called so.
pub fn describe(modules: &[AnyModule], name: &str) -> Result<String, Option<&'static str>> {
    let entries = rows(modules).filter(|(_, row)| row.name == name);
    let texts: Vec<String> = entries.map(|(module, row)| terminal(module, row)).collect();
    match texts.is_empty() {
        true => Err(suggest::nearest(
            name,
            rows(modules).map(|(_, row)| row.name),
        )),
        false => Ok(texts.join("\n")),
    }
}

/// `docs/directives.md`.
pub fn markdown(modules: &[AnyModule]) -> String {
    let mut out = String::from(
        "# Directives\n\nGenerated from the directive tables: `rowhouse directives --markdown`.\n",
    );
    for module in with_rows(modules) {
        let _ = write!(out, "\n## {}\n", module.name);
        for row in module.rows() {
            markdown_row(&mut out, row);
        }
    }
    out
}

/// `man/rowhouse.conf.5`: the language, then the directives.
pub fn manual(modules: &[AnyModule]) -> String {
    let mut out = String::from(include_str!("reference.mdoc"));
    out.push_str(".Sh DIRECTIVES\n");
    for module in with_rows(modules) {
        let _ = writeln!(out, ".Ss {}", escape(module.name));
        out.push_str(".Bl -tag -width Ds\n");
        for row in module.rows() {
            manual_row(&mut out, row);
        }
        out.push_str(".El\n");
    }
    out.push_str(".Sh SEE ALSO\n.Xr rowhouse 8\n");
    out
}

fn with_rows(modules: &[AnyModule]) -> impl Iterator<Item = &AnyModule> {
    modules.iter().filter(|module| !module.rows().is_empty())
}

fn rows(modules: &[AnyModule]) -> impl Iterator<Item = (&'static str, &'static Row)> {
    modules.iter().flat_map(|module| {
        let name = module.name;
        module.rows().into_iter().map(move |row| (name, row))
    })
}

/// How a directive is written: name, arguments, and what ends it.
fn usage(row: &Row) -> String {
    let space = if row.syntax.is_empty() { "" } else { " " };
    let end = match row.ending {
        Ending::Semicolon => ";",
        Ending::Block(_) | Ending::Data => " { ... }",
    };
    format!("{}{space}{}{end}", row.name, row.syntax)
}

/// The default as it would be written.
fn default(row: &Row) -> Option<String> {
    row.default
        .map(|default| format!("{} {default};", row.name))
}

/// The documentation of a row, with the remark that it is only a word.
fn sentences(row: &Row) -> String {
    let known = (!row.doc.is_empty()).then_some(row.doc);
    let tunes = row.tunes.then_some(TUNES);
    known.into_iter().chain(tunes).collect::<Vec<_>>().join(" ")
}

fn terminal(module: &str, row: &Row) -> String {
    let default = default(row).unwrap_or_else(|| "-".to_owned());
    format!(
        "Syntax:   {}\nDefault:  {default}\nContext:  {}\nModule:   {module}\n\n{}\n",
        usage(row),
        row.contexts,
        sentences(row),
    )
}

fn markdown_row(out: &mut String, row: &Row) {
    let default = default(row).map_or("—".to_owned(), |default| format!("`{default}`"));
    let _ = write!(
        out,
        "\n### {}\n\n- Syntax: `{}`\n- Default: {default}\n- Context: {}\n",
        row.name,
        usage(row),
        row.contexts,
    );
    let sentences = sentences(row);
    if !sentences.is_empty() {
        let _ = write!(out, "\n{sentences}\n");
    }
}

fn manual_row(out: &mut String, row: &Row) {
    let _ = writeln!(out, ".It Li \"{}\"", escape(&usage(row)));
    let _ = write!(out, "Context: {}", row.contexts);
    match default(row) {
        Some(default) => {
            let _ = writeln!(out, ".\nDefault:\n.Dq Li \"{}\" .", escape(&default));
        }
        None => out.push_str(".\n"),
    }
    let sentences = sentences(row);
    if !sentences.is_empty() {
        let _ = writeln!(out, ".br\n{}", escape(&sentences));
    }
}

/// Text that the manual's language prints as it is: backslashes, quotes, signs beyond ASCII, and
/// no control line by accident.
fn escape(text: &str) -> String {
    let plain = text.replace('\\', "\\e").replace('"', "\\(dq");
    let mut text = String::with_capacity(plain.len());
    for sign in plain.chars() {
        match sign.is_ascii() {
            true => text.push(sign),
            false => text.push_str(&format!("\\[u{:04X}]", u32::from(sign))),
        }
    }
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}
