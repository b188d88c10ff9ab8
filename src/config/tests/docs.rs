//! The generated reference.

use super::fake;
use crate::config::reference::{describe, list, manual, markdown};

#[test]
fn one_directive() {
    let text = describe(fake::ALL, "sendfile").unwrap();
    assert_eq!(
        text,
        "Syntax:   sendfile on | off;\n\
         Default:  sendfile off;\n\
         Context:  http, server, location, if in location\n\
         Module:   core\n\n\
         Sends files from the kernel's page cache.\n"
    );
    assert!(
        describe(fake::ALL, "use")
            .unwrap()
            .contains("no effect here")
    );
    assert_eq!(describe(fake::ALL, "sendfil"), Err(Some("sendfile")));
    assert_eq!(describe(fake::ALL, "x"), Err(None));
}

#[test]
fn all_directives() {
    let all = list(fake::ALL);
    assert!(
        all.starts_with("add_header name value;\nevents { ... }\n"),
        "{all}"
    );
    assert_eq!(all.matches("if { ... }\n").count(), 1);
}

#[test]
fn markdown_and_man_page_have_every_directive() {
    let (markdown, manual) = (markdown(fake::ALL), manual(fake::ALL));
    assert!(markdown.contains(
        "\n### worker_processes\n\n- Syntax: `worker_processes number;`\n- Default: \
         `worker_processes 1;`\n- Context: main\n\nHow many workers there are.\n"
    ));
    assert!(manual.contains(
        ".It Li \"worker_processes number;\"\nContext: main.\nDefault:\n.Dq Li \"worker_processes 1;\" .\n\
         .br\nHow many workers there are.\n"
    ));
    for line in list(fake::ALL).lines() {
        let name = line.split([' ', ';']).next().unwrap();
        assert!(markdown.contains(&format!("### {name}\n")), "{name}");
        assert!(manual.contains(&format!(".It Li \"{name}")), "{name}");
    }
}
