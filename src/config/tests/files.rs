//! Configurations of several files.

use std::fs;
use std::path::Path;

use super::fake::{self, Core};
use super::listed;
use crate::config::{Configuration, Diagnostics, Options, load};

/// Writes files into a folder of their own and loads `main.conf` there.
fn load_files(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Configuration, Diagnostics>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let options = Options {
        conf_prefix: folder.path().to_owned(),
        ..Options::default()
    };
    let loaded = load(fake::ALL, &folder.path().join("main.conf"), &options);
    (folder, loaded)
}

/// The findings with their files: `line:column message` behind the file's name.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let (folder, loaded) = load_files(files);
    let diagnostics = loaded.err().unwrap();
    let prefix = format!("{}/", folder.path().display());
    let lines = diagnostics.lines();
    lines.map(|(_, line)| line.replace(&prefix, "")).collect()
}

fn server_names(configuration: &Configuration) -> Vec<String> {
    let http = &configuration.root.children[0];
    let names = http
        .children
        .iter()
        .map(|server| server.settings::<Core>().names.join("+"));
    names.collect()
}

#[test]
fn included_files_stand_where_the_include_does() {
    let (_folder, loaded) = load_files(&[
        (
            "main.conf",
            "http { include sites/*.conf; include one.toml; server { include name; } }",
        ),
        ("sites/b.conf", "server { server_name b; }"),
        (
            "sites/a.conf",
            "server { server_name a; } include sites/deep/x[0-9].conf;",
        ),
        ("sites/.hidden.conf", "nonsense"),
        ("sites/deep/x2.conf", "server { server_name x2; }"),
        ("sites/deep/x1.conf", "server { server_name x1; }"),
        ("sites/deep/xx.conf", "nonsense"),
        (
            "one.toml",
            "[[server]]\nserver_name = ['t1', 't2']\ninclude = 'name'",
        ),
        ("name", "server_name shared;"),
    ]);
    let names = server_names(&loaded.unwrap());
    assert_eq!(names, ["a", "x1", "x2", "b", "t1+t2+shared", "shared"]);
}

#[test]
fn mistakes_name_their_file_and_come_once_in_reading_order() {
    let lines = found(&[
        (
            "main.conf",
            "http {\n include a;\n server { include b; }\n server { include b; }\n wrong;\n}",
        ),
        ("a", "\nbad_a;"),
        ("b", "\n\nbad_b;"),
    ]);
    assert_eq!(
        lines,
        [
            "unknown directive \"bad_a\" in a:2",
            "unknown directive \"bad_b\" in b:3",
            "unknown directive \"wrong\" in main.conf:5",
        ]
    );
}

#[test]
fn mistakes_in_toml_are_shown_where_they_are() {
    let (_folder, loaded) = load_files(&[
        ("main.conf", "include a.toml;"),
        (
            "a.toml",
            "[http]\nsendfile = 'maybe'\n\n[[http.server]]\nsendfile = []\n[[http.servr]]\n",
        ),
    ]);
    assert_eq!(
        listed(&loaded.err().unwrap()),
        [
            "2:12 invalid value \"maybe\" in \"sendfile\" directive, it must be \"on\" or \"off\"",
            "5:1 invalid number of arguments in \"sendfile\" directive",
            "6:8 unknown directive \"servr\"",
        ]
    );
}

#[test]
fn files_that_cannot_be_included() {
    let lines = found(&[
        (
            "main.conf",
            "include a; include missing; include folder;\nhttp { include '[x'; }",
        ),
        ("a", "include b;"),
        ("b", "include a;"),
        ("folder/x", ""),
    ]);
    assert_eq!(
        lines,
        [
            "\"include\" directive makes a cycle: a -> b -> a in b:1",
            "open() \"missing\" failed (2: No such file or directory) in main.conf:1",
            "read() \"folder\" failed (21: Is a directory) in main.conf:1",
        ]
    );
    let main = Path::new("/nowhere/main.conf");
    let missing = load(fake::ALL, main, &Options::default()).err().unwrap();
    let line =
        "rowhouse: [emerg] open() \"/nowhere/main.conf\" failed (2: No such file or directory)\n";
    assert_eq!(missing.to_string(), line);
}

#[test]
fn the_dump_has_every_file_once() {
    let (folder, loaded) = load_files(&[
        ("main.conf", "include a;\ninclude b;include a;"),
        ("a", "include b;"),
        ("b", "# nothing"),
    ]);
    let dump = String::from_utf8(loaded.unwrap().sources().dump()).unwrap();
    let dump = dump.replace(&format!("{}/", folder.path().display()), "");
    assert_eq!(
        dump,
        "# configuration file main.conf:\ninclude a;\ninclude b;include a;\n\
         # configuration file a:\ninclude b;\n\
         # configuration file b:\n# nothing\n"
    );
}

#[test]
fn ten_thousand_sites() {
    let site = "server {\n  server_name a b c;\n  root /srv/www/a;\n  include common;\n  \
                location / {\n    sendfile on;\n    add_header A \"b c\";\n  }\n  \
                location ~ \\.php$ { timeout 30s; }\n}\n";
    let text = format!("http {{\n{}}}\n", site.repeat(10_000));
    let started = std::time::Instant::now();
    let (_folder, loaded) = load_files(&[
        ("main.conf", &text),
        ("common", "add_header X y;\ntimeout 5s;"),
    ]);
    eprintln!("ten thousand sites: {:?}", started.elapsed());
    assert_eq!(loaded.unwrap().root.children[0].children.len(), 10_000);
}
