//! What a block has from its parent, what of its own.

use super::fake::{Core, Headers, Script};
use super::load;
use crate::config::{Block, context::*};

fn path<'a>(mut block: &'a Block, steps: &[usize]) -> &'a Block {
    for step in steps {
        block = &block.children[*step];
    }
    block
}

const SITE: &str = r"
    worker_processes 4;
    http {
        server {
            sendfile off;
            location / { add_header B 2; add_header C 3; types { a b c; } types { d; } }
            location /plain { }
            return 404;
            if (x) { return 405; }
            location /in { location /in/er { timeout 1m; } }
        }
        server { server_name one two; server_name three; }
        sendfile on;
        add_header A 1;
        types { x y; }
        timeout 1s500ms;
        root html;
    }
";

#[test]
fn own_directives_before_children_wherever_they_stand() {
    let loaded = load(SITE).unwrap();
    let http = path(&loaded.root, &[0]);
    let core = http.settings::<Core>();
    assert!(core.sendfile);
    assert_eq!((core.workers, core.timeout), (4, 1500));
    assert_eq!(core.root.as_deref(), Some("/srv/html".as_ref()));
    let first = path(http, &[0]).settings::<Core>();
    assert!(!first.sendfile);
    assert_eq!(first.timeout, 1500);
    assert!(path(http, &[1]).settings::<Core>().sendfile);
    let inner = path(http, &[0, 3, 0]);
    assert_eq!(inner.settings::<Core>().timeout, 60_000);
    assert_eq!(inner.settings::<Core>().path, "/in/er");
    assert_eq!(&*inner.args()[0].text, b"/in/er");
}

#[test]
fn lists_are_replaced_as_a_whole() {
    let loaded = load(SITE).unwrap();
    let headers = |steps| (*path(&loaded.root, steps).settings::<Headers>()).clone();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(headers(&[0]), [pair("A", "1")]);
    assert_eq!(headers(&[0, 0, 0]), [pair("B", "2"), pair("C", "3")]);
    assert_eq!(headers(&[0, 0, 1]), [pair("A", "1")]);
    let types = &path(&loaded.root, &[0, 0, 0]).settings::<Core>().types;
    let names: Vec<_> = types.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "d"]);
}

#[test]
fn programs_are_not_inherited_and_know_their_blocks() {
    let loaded = load(SITE).unwrap();
    let server = path(&loaded.root, &[0, 0]);
    assert_eq!(*server.settings::<Script>(), ["return 404", "if child 2"]);
    assert!(server.children[2].context.within(SERVER_IF));
    assert_eq!(*server.children[2].settings::<Script>(), ["return 405"]);
    assert!(server.children[0].settings::<Script>().is_empty());
}

#[test]
fn names_of_one_server_stay_there() {
    let loaded = load(SITE).unwrap();
    let servers: Vec<_> = path(&loaded.root, &[0]).within(SERVER).collect();
    assert!(servers[0].settings::<Core>().names.is_empty());
    assert_eq!(servers[1].settings::<Core>().names, ["one", "two", "three"]);
}

#[test]
fn what_a_block_does_not_touch_it_shares() {
    let loaded = load(SITE).unwrap();
    let http = path(&loaded.root, &[0]);
    let shares = |steps| path(http, steps).settings.shares::<Headers>(&http.settings);
    assert!(shares(&[1]));
    assert!(shares(&[0, 1]));
    assert!(!shares(&[0, 0]));
}
