//! Pages through whole requests.

use crate::modules::fixture::found_in_server;
use crate::modules::tests::trial::{Site, bytes};

/// A site whose pages have their commands run.
fn site() -> Site {
    Site::new(
        "ssi on; default_type text/html;
         location = /loud { return 200 '$uri?$args'; }
         location = /empty { return 200 ''; }
         location = /no { return 204; }
         location = /error { error_page 502 /loud; return 502; }
         location /silent/ { ssi_silent_errors on; alias FOLDER/; }
         location /short/ { ssi_value_length 3; alias FOLDER/; }
         location /plain/ { default_type text/plain; alias FOLDER/; }
         location /types/ { ssi_types text/plain; default_type text/plain; alias FOLDER/; }
         location /kept/ { ssi_last_modified on; alias FOLDER/; }",
    )
}

/// What a page becomes.
fn page(site: &Site, target: &str) -> String {
    String::from_utf8(bytes(&mut site.get(target, &[]))).unwrap()
}

#[test]
fn commands() {
    let site = site();
    site.write("dir/inner.html", "[<!--#echo var='x' -->]");
    let cases = [
        ("a<!--#echo var='arg_q' -->b", "a&lt;2&gt;b"),
        (
            "<!--#echo var='none' --><!--#echo var='none' default='' --><!--#echo var='none' default='d' -->",
            "(none)d",
        ),
        (
            "<!--#set var='X' value='<$arg_q>' --><!--#echo var='x' encoding='none' -->",
            "<<2>>",
        ),
        (
            "<!--#echo var='arg_q' encoding='url' --><!--#echo var='arg_q' -->",
            "%3C2%3E%3C2%3E",
        ),
        (
            r#"<!--#set var="x" value="\$a\\\"\z${uri}" --><!--#echo var="x" encoding="none" -->"#,
            r#"$a\"\z/dir/page.html"#,
        ),
        ("<!--#include virtual='/loud?a=b' -->", "/loud?a=b"),
        (
            "<!--#include virtual='/lou%64?$query_string' -->",
            "/loud?q=<2>",
        ),
        ("<!--#include virtual='inner.html' -->", "[(none)]"),
        (
            "<!--#set var='x' value='y' --><!--#include file='inner.html' -->",
            "[y]",
        ),
        (
            "<!--#include virtual='/loud' set='v' -->(<!--#echo var='v' -->)",
            "(/loud?)",
        ),
        (
            "<!--#include virtual='/nothing' set='v' -->(<!--#echo var='v' -->)",
            "()",
        ),
        (
            "<!--#include virtual='/loud' wait='yes' -->,<!--#include virtual='/loud?2' wait='no' -->",
            "/loud?,/loud?2",
        ),
        (
            "<!--#block name='b' -->st<!--#echo var='uri' -->ub<!--#endblock --><!--#include virtual='/empty' stub='b' -->,<!--#include virtual='/no' stub='b' -->,<!--#include virtual='/loud' stub='b' -->",
            "st/emptyub,st/noub,/loud?",
        ),
        (
            "<!--#block name='b' -->stub<!--#endblock --><!--#include virtual='/nothing' stub='b' -->,<!--#include virtual='/error' stub='b' -->",
            "stub,stub",
        ),
        (
            "<!--#set var='x' value='1' --><!--#include virtual='inner.html' --><!--#include virtual='/loud' set='x' --><!--#include virtual='inner.html' -->",
            "[1][/loud?]",
        ),
        (
            "<!--#set var='x' value='1' --><!--#include virtual='inner.html' wait='yes' --><!--#set var='x' value='2' -->",
            "[1]",
        ),
        ("<!--#config errmsg='E' --><!--#wrong -->", "E"),
        (
            "<!--#config timefmt='%%x' --><!--#echo var='date_gmt' -->",
            "%x",
        ),
    ];
    for (text, expected) in cases {
        site.write("dir/page.html", text);
        let got = page(&site, "/dir/page.html?q=<2>");
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn conditions() {
    let site = site();
    let cases = [
        ("$arg_a", true),
        ("$arg_none", false),
        ("text", true),
        ("$arg_a = one", true),
        ("$arg_a=two", false),
        ("$arg_a != two", true),
        ("${arg_a} = $arg_b", false),
        ("$arg_none = ", true),
        ("$arg_a = /^o(.)e/", true),
        ("$arg_a != /^o/", false),
        ("$arg_a = /^t/", false),
    ];
    for (expression, expected) in cases {
        site.write(
            "if.html",
            &format!("<!--#if expr='{expression}' -->yes<!--#else -->no<!--#endif -->."),
        );
        let expected = if expected { "yes." } else { "no." };
        assert_eq!(
            page(&site, "/if.html?a=one&b=two"),
            expected,
            "{expression}"
        );
    }
    let chain = "<!--#if expr='$arg_a = 1' -->1<!--#elif expr='$arg_a = 2' -->2<!--#elif expr='$arg_a' -->3<!--#else -->4<!--#endif -->";
    site.write("chain.html", chain);
    for (args, expected) in [("a=1", "1"), ("a=2", "2"), ("a=9", "3"), ("", "4")] {
        assert_eq!(page(&site, &format!("/chain.html?{args}")), expected);
    }
    site.write("groups.html", "<!--#if expr='$arg_a = /(.)(?<n>.)/' --><!--#echo var='2' --><!--#echo var='1' --><!--#echo var='n' --><!--#endif -->");
    assert_eq!(page(&site, "/groups.html?a=xyz"), "yxy");
}

#[test]
fn what_fails_is_shown_and_logged() {
    let site = site();
    let error = "[an error occurred while processing the directive]";
    let cases = [
        ("<!--#nothing -->", "invalid SSI command: \"nothing\""),
        (
            "<!--#echo -->",
            "mandatory \"var\" parameter is absent in \"echo\" SSI command",
        ),
        (
            "<!--#echo var='a' x='y' -->",
            "invalid parameter name: \"x\" in \"echo\" SSI command",
        ),
        (
            "<!--#echo var='a' var='b' -->",
            "duplicate \"var\" parameter in \"echo\" SSI command",
        ),
        (
            "<!--#echo var -->",
            "unexpected \"-\" after a parameter's name in the \"echo\" SSI command",
        ),
        ("<!--#else -->", "invalid context of SSI command: \"else\""),
        (
            "<!--#if expr='$a ~ b' -->",
            "invalid expression in \"$a ~ b\"",
        ),
        (
            "<!--#set var='a' value='${b' -->",
            "the closing bracket in \"b\" variable is missing",
        ),
        (
            "<!--#set var='a' value='$' -->",
            "invalid variable name in \"$\"",
        ),
        (
            "<!--#include -->",
            "no parameter in \"include\" SSI command",
        ),
        (
            "<!--#include virtual='/a' file='b' -->",
            "inclusion may be either virtual=\"/a\" or file=\"b\"",
        ),
        (
            "<!--#include file='b' wait='yes' -->",
            "\"wait\" cannot be used with file=\"b\"",
        ),
        (
            "<!--#include virtual='/a' wait='x' -->",
            "invalid value \"x\" in the \"wait\" parameter",
        ),
        (
            "<!--#include virtual='/a' stub='x' -->",
            "\"stub\"=\"x\" for \"include\" not found",
        ),
        (
            "<!--#include virtual='/../a' -->",
            "unsafe URI \"/../a\" was detected",
        ),
    ];
    for (text, message) in cases {
        site.write("bad.html", text);
        assert_eq!(page(&site, "/bad.html"), error, "{text}");
        assert_eq!(page(&site, "/silent/bad.html"), "", "{text}");
        assert!(site.log().contains(message), "{message}: {}", site.log());
    }
    site.write("long.html", "<!--#echo var='four' -->");
    assert_eq!(page(&site, "/short/long.html"), error);
}

#[test]
fn a_page_that_includes_itself_comes_to_an_end() {
    let site = site();
    site.write("self.html", "x<!--#include virtual='/self.html' -->");
    let whole = page(&site, "/self.html");
    assert!(
        whole.starts_with(&"x".repeat(51)) && whole.len() < 200,
        "{whole}"
    );
    assert!(
        site.log()
            .contains("subrequests cycle while processing \"/self.html\"")
    );
}

#[test]
fn pages_that_include_each_other_many_times_come_to_an_end() {
    let site = site();
    let twice = "<!--#include virtual='/many.html' -->".repeat(2);
    site.write("many.html", &format!("x{twice}"));
    let whole = page(&site, "/many.html");
    let shown = whole.bytes().filter(|byte| *byte == b'x').count();
    // Some of the includes were too deep, which counts as well.
    assert!((1_000..=10_001).contains(&shown), "{shown}");
    let complaint = "more than 10000 includes in one request";
    assert!(site.log().contains(complaint));
}

#[test]
fn which_pages_and_what_remains_of_their_heads() {
    let site = site();
    site.write("page.html", "<!--#echo var='uri' -->");
    for (target, run, kept) in [
        ("/page.html", true, false),
        ("/plain/page.html", true, false),
        ("/types/page.html", true, false),
        ("/kept/page.html", true, true),
    ] {
        let mut response = site.get(target, &[]);
        assert_eq!(response.entity.last_modified.is_some(), kept, "{target}");
        assert_eq!(response.entity.etag.is_some(), kept, "{target}");
        let expected = if run {
            target
        } else {
            "<!--#echo var='uri' -->"
        };
        assert_eq!(bytes(&mut response), expected.as_bytes());
    }
    site.write("page", "<!--#echo var='uri' -->");
    assert_eq!(page(&site, "/plain/page"), "<!--#echo var='uri' -->");
    assert_eq!(page(&site, "/types/page"), "/types/page");
}

#[test]
fn words_that_tune() {
    let text = "ssi_min_file_chunk 4k; ssi_ignore_recycled_buffers on;";
    assert_eq!(found_in_server(text), [""; 0]);
}
