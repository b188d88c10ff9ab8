//! Both languages: what text becomes which statements.

use proptest::prelude::*;

use crate::config::grammar::{self, Origin};
use crate::config::toml;
use crate::config::tree::{FileId, Statement};

const FILE: FileId = FileId(0);

/// Statements on one line: `name(arg)(arg) { ... }`.
fn shown(statements: &[std::rc::Rc<Statement>]) -> String {
    let shown: Vec<_> = statements.iter().map(|statement| one(statement)).collect();
    shown.join(" ")
}

fn one(statement: &Statement) -> String {
    let mut text = statement.name.lossy().into_owned();
    for arg in &statement.args {
        text += &format!("({})", arg.lossy());
    }
    if let Some(body) = &statement.body {
        text += &format!("{{{}}}", shown(body));
    }
    text
}

fn nginx(text: &str) -> String {
    let (statements, mistakes) = grammar::parse(FILE, text.as_bytes(), Origin::File);
    assert_eq!(mistakes, [], "{text}");
    shown(&statements)
}

#[test]
fn words_and_blocks() {
    let table = [
        ("", ""),
        ("a;", "a"),
        ("a b c;", "a(b)(c)"),
        ("\u{feff}a\r\n\tb ;\r\n", "a(b)"),
        ("a{b;c{}}d;", "a{b c{}} d"),
        ("# x\na; # y\n#z", "a"),
        ("a b#c;", "a(b#c)"),
        ("a '' \"\";", "a()()"),
        ("a 'b c' \"d;{}#\";", "a(b c)(d;{}#)"),
        ("'a' 'b';", "a(b)"),
        ("a b\"c d\";", "a(b\"c)(d\")"),
        (r#"a "b\"c" 'd\'e' f\ g \"h;"#, r#"a(b"c)(d'e)(f\ g)("h)"#),
        (r"a '\n\t\r\\' \d+\.x;", "a(\n\t\r\\)(\\d+\\.x)"),
        (r"a ~\.php$;", r"a(~\.php$)"),
        (r"a \;b\{;", r"a(\;b\{)"),
        (r"a \#b;", r"a(\#b)"),
        ("a ${b}c $d{e;}", "a(${b}c)($d){e}"),
        ("a $${{b;", "a($${{b)"),
        ("a x$;", "a(x$)"),
        ("a b};", "a(b})"),
        ("if (\"a\") {b;}", "if((\"a\")){b}"),
        ("if ($a = \"b\") {c;}", "if(($a)(=)(b)()){c}"),
        ("a \"b\"{c;}", "a(b){c}"),
        ("a \"b\n c\";", "a(b\n c)"),
    ];
    for (text, expected) in table {
        assert_eq!(nginx(text), expected, "{text}");
    }
}

#[test]
fn what_stands_around_a_mistake_is_kept() {
    let table = [
        ("a; } b;", "a b"),
        ("a { b } c;", "a{} c"),
        ("{ a; } b;", "b"),
        ("a { b; ", "a{b}"),
        ("a { b \"c", "a{}"),
        ("a \"b\"c \"d\"e; f;", "f"),
    ];
    for (text, expected) in table {
        let (statements, mistakes) = grammar::parse(FILE, text.as_bytes(), Origin::File);
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
        assert_eq!(shown(&statements), expected, "{text}");
    }
}

#[test]
fn nesting_is_limited() {
    let text = "a{".repeat(1_000_000);
    let (_, mistakes) = grammar::parse(FILE, text.as_bytes(), Origin::File);
    assert_eq!(mistakes[0].message, "blocks are nested more than 100 deep");
    let dotted = format!("a{}=1", ".a".repeat(100_000));
    let header = format!("[a{}]", ".a".repeat(100_000));
    let arrays = format!("a={}", "[".repeat(100_000));
    let tables = format!("a={}", "{a=".repeat(100_000));
    for text in [dotted, header, arrays, tables] {
        let (_, mistakes) = toml::parse(FILE, text.as_bytes());
        assert!(mistakes[0].message.contains("recurs"), "{mistakes:?}");
    }
}

#[test]
fn toml_values() {
    let table = [
        ("", ""),
        ("a = \"b c\"", "a(b c)"),
        ("a = 'b\\d$'", "a(b\\d$)"),
        (
            "a = 1\nb = -2_000\nc = 1.50\nd = true\ne = false",
            "a(1) b(-2000) c(1.50) d(on) e(off)",
        ),
        ("a = []", "a"),
        ("a = [\"b\", 1, true]", "a(b)(1)(on)"),
        ("a = [[\"b\", \"c\"], [\"d\"], []]", "a(b)(c) a(d) a"),
        ("[a]\nb = 1\n[a.c]\n[d]", "a{b(1) c{}} d{}"),
        (
            "[[a.b]]\nargs = \"x\"\n[[a.b]]\nargs = [\"y\", \"z\"]\nc = 1",
            "a{b(x){} b(y)(z){c(1)}}",
        ),
        ("[a]\nargs = [[\"x\"]]", "a{args(x)}"),
        ("z = 1\na = 2\nm = 3", "z(1) a(2) m(3)"),
        ("a.b = 1", "a{b(1)}"),
        ("a = 1979-05-27", "a(1979-05-27)"),
        ("a = { args = 1, b = 2 }", "a(1){b(2)}"),
    ];
    for (text, expected) in table {
        let (statements, mistakes) = toml::parse(FILE, text.as_bytes());
        assert_eq!(mistakes, [], "{text}");
        assert_eq!(shown(&statements), expected, "{text}");
    }
}

#[test]
fn toml_mistakes() {
    let table: &[(&str, &str)] = &[
        ("a = 1\na = 2", "duplicate key"),
        ("a = [1, [2]]", "\"a\" mixes values with lists or tables"),
        (
            "a = ",
            "string values must be quoted, expected literal string",
        ),
    ];
    for (text, expected) in table {
        let (_, mistakes) = toml::parse(FILE, text.as_bytes());
        let messages: Vec<_> = mistakes.iter().map(|m| m.message.as_str()).collect();
        assert_eq!(messages, [*expected], "{text}");
    }
    assert_eq!(
        toml::parse(FILE, b"a = \"\xff\"").1[0].message,
        "invalid UTF-8"
    );
}

#[test]
fn the_example_is_the_same_in_both_languages() {
    let text = include_str!("../../../conf/server.conf");
    let document = include_bytes!("../../../conf/server.toml");
    let (statements, mistakes) = toml::parse(FILE, document);
    assert_eq!(mistakes, []);
    assert_eq!(shown(&statements), nginx(text));
}

/// A tree as both languages can write it.
#[derive(Debug, Clone)]
struct Node {
    name: String,
    args: Vec<String>,
    body: Option<Vec<Node>>,
}

fn node() -> impl Strategy<Value = Node> {
    let args = || prop::collection::vec("[ -~]{0,6}", 0..4);
    let leaf = ("[a-z]{1,6}", args()).prop_map(|(name, args)| Node {
        name,
        args,
        body: None,
    });
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let body = prop::collection::vec(inner, 0..4);
        ("[a-z]{1,6}", args(), body).prop_map(|(name, args, body)| Node {
            name,
            args,
            body: Some(unique(body)),
        })
    })
}

/// TOML writes a name once, so the nodes of one block get names of their own.
fn unique(mut nodes: Vec<Node>) -> Vec<Node> {
    for (i, node) in nodes.iter_mut().enumerate() {
        node.name += &format!("_{i}");
    }
    nodes
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn list(args: &[String]) -> String {
    let quoted: Vec<_> = args.iter().map(|arg| quote(arg)).collect();
    quoted.join(", ")
}

fn as_nginx(node: &Node) -> String {
    let args: String = node
        .args
        .iter()
        .map(|arg| format!(" {}", quote(arg)))
        .collect();
    match &node.body {
        None => format!("{}{args};\n", node.name),
        Some(body) => {
            let inside: String = body.iter().map(as_nginx).collect();
            format!("{}{args} {{ {inside} }}\n", node.name)
        }
    }
}

fn as_toml(node: &Node) -> String {
    match &node.body {
        None => format!("{} = [{}]", node.name, list(&node.args)),
        Some(body) => {
            let args = format!("args = [{}]", list(&node.args));
            let inside = body.iter().map(as_toml);
            let inside: Vec<_> = std::iter::once(args).chain(inside).collect();
            format!("{} = {{ {} }}", node.name, inside.join(", "))
        }
    }
}

proptest! {
    #[test]
    fn both_languages_say_the_same(nodes in prop::collection::vec(node(), 0..5)) {
        let nodes = unique(nodes);
        let text: String = nodes.iter().map(as_nginx).collect();
        let document: Vec<_> = nodes.iter().map(as_toml).collect();
        let (statements, mistakes) = toml::parse(FILE, document.join("\n").as_bytes());
        prop_assert_eq!(mistakes, []);
        prop_assert_eq!(shown(&statements), nginx(&text));
    }

    #[test]
    fn nothing_makes_the_grammar_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = grammar::parse(FILE, &text, Origin::File);
        let _ = toml::parse(FILE, &text);
    }

    #[test]
    fn nothing_made_of_its_own_signs_makes_it_panic(text in "[a\"'{};#$\\\\ \n=\\[\\]]{0,60}") {
        let (_, mistakes) = grammar::parse(FILE, text.as_bytes(), Origin::CommandLine);
        let _ = toml::parse(FILE, text.as_bytes());
        for mistake in mistakes {
            let end = mistake.at.map_or(0, |span| span.end as usize);
            prop_assert!(end <= text.len());
        }
    }
}
