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
pub fn list(modules: &[&dyn AnyModule]) -> String {
    let mut lines: Vec<String> = rows(modules).map(|(_, row)| usage(row)).collect();
    lines.sort();
    lines.dedup();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// `rowhouse directives NAME`: all about one directive.
///
/// # Errors
/// The nearest name, if there is one, when no directive is called so.
pub fn describe(modules: &[&dyn AnyModule], name: &str) -> Result<String, Option<&'static str>> {
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
pub fn markdown(modules: &[&dyn AnyModule]) -> String {
    let mut out = String::from(
        "# Directives\n\nGenerated from the directive tables: `rowhouse directives --markdown`.\n",
    );
    for module in with_rows(modules) {
        let _ = write!(out, "\n## {}\n", module.name());
        for row in module.rows() {
            markdown_row(&mut out, row);
        }
    }
    out
}

/// `man/rowhouse.conf.5`.
pub fn roff(modules: &[&dyn AnyModule]) -> String {
    let mut out = String::from(
        ".\\\" Generated from the directive tables: rowhouse directives --man\n\
         .TH ROWHOUSE.CONF 5 \"\" \"Rowhouse\" \"File formats\"\n\
         .SH NAME\n\
         rowhouse.conf \\- configuration of the rowhouse web server\n\
         .SH DESCRIPTION\n\
         A configuration consists of directives.\n\
         A simple directive is a name and its arguments, ended by a semicolon; a block directive\n\
         ends with other directives in braces instead.\n\
         What a block sets holds in the blocks inside as well, unless they set it themselves.\n",
    );
    for module in with_rows(modules) {
        let _ = writeln!(out, ".SH {}", escape(&module.name().to_uppercase()));
        for row in module.rows() {
            roff_row(&mut out, row);
        }
    }
    out
}

fn with_rows<'a>(modules: &'a [&'a dyn AnyModule]) -> impl Iterator<Item = &'a &'a dyn AnyModule> {
    modules.iter().filter(|module| !module.rows().is_empty())
}

fn rows(modules: &[&dyn AnyModule]) -> impl Iterator<Item = (&'static str, &'static Row)> {
    modules.iter().flat_map(|module| {
        let name = module.name();
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

fn roff_row(out: &mut String, row: &Row) {
    let _ = writeln!(out, ".TP\n.B {}", escape(&usage(row)));
    if let Some(default) = default(row) {
        let _ = writeln!(out, "Default: {}\n.br", escape(&default));
    }
    let _ = writeln!(out, "Context: {}", row.contexts);
    let sentences = sentences(row);
    if !sentences.is_empty() {
        let _ = writeln!(out, ".br\n{}", escape(&sentences));
    }
}

/// Text that roff prints as it is: backslashes and hyphens, and no control line by accident.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}
