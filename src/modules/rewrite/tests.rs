//! Tests of rewriting: what a request becomes, asked through the real phases.

use crate::modules::fixture::found_in_server;
use crate::modules::tests::trial::{Site, field, status, text};

/// The body of the response to each target.
fn check(server: &str, cases: &[(&str, &str)]) {
    let site = Site::new(server);
    for (target, expected) in cases {
        let response = site.get(target, &[]);
        let found = match &response.location {
            Some(location) => format!(
                "{} {}",
                status(&response),
                String::from_utf8_lossy(location)
            ),
            None if status(&response) != 200 => status(&response).to_string(),
            None => text(&response),
        };
        assert_eq!(&found, expected, "{target}");
    }
}

#[test]
fn paths_are_replaced() {
    check(
        "rewrite ^/server/(.*) /shown/$1;
         location /shown/ { return 200 \"$uri|$args\"; }
         location /last/ { rewrite ^ /shown/last last; return 200 no; }
         location /break/ { rewrite ^ /shown/break break; return 200 no; }
         location /stay/ { rewrite ^ /x; break; return 200 no; }
         location /next/ { rewrite ^/next/(.*) /a/$1; rewrite ^/a/(.*) /shown/$1; return 200 \"next $uri\"; }
         location /args/ { rewrite ^/args/(.*) /shown/$1?c=$1; }
         location /drop/ { rewrite ^ /shown/?; }
         location /only/ { rewrite ^ /shown/?x=1? last; }
         location /named/ { rewrite ^/named/(?<rest>.*) /shown/$rest last; }
         location /two/ { rewrite ^ /shown/two last; rewrite ^ /no last; }
         location /empty/ { rewrite ^ $nothing last; set $nothing ''; }",
        &[
            ("/server/a?b", "/shown/a|b"),
            ("/last/?q", "/shown/last|q"),
            ("/break/", "404"),
            ("/stay/", "404"),
            ("/next/a", "next /shown/a"),
            ("/args/a%20b?q=1", "/shown/a b|c=a%20b&q=1"),
            ("/args/a+b", "/shown/a+b|c=a%2Bb"),
            ("/args/ab", "/shown/ab|c=ab"),
            ("/drop/?q", "/shown/|"),
            ("/only/?q", "/shown/|x=1"),
            ("/named/x", "/shown/x|"),
            ("/two/", "/shown/two|"),
            ("/empty/", "500"),
        ],
    );
}

#[test]
fn clients_are_redirected() {
    check(
        "absolute_redirect off;
         location /a/ { rewrite ^/a/(.*) /b/$1 redirect; }
         location /p/ { rewrite ^/p/(.*) /b/$1? permanent; }
         location /h/ { rewrite ^ http://other$uri; return 200 no; }
         location /l/ { rewrite ^ https://other/ last; }
         location /s/ { rewrite ^ $scheme://other/?a=b; }",
        &[
            ("/a/x%20y?q", "302 /b/x%20y?q"),
            ("/a/x%41y", "302 /b/xAy"),
            ("/a/%26%3F%26", "302 /b/&?%26"),
            ("/p/x?q", "301 /b/x"),
            ("/h/%20?q", "302 http://other/h/ ?q"),
            ("/l/", "302 https://other/"),
            ("/s/?q", "302 http://other/?a=b&q"),
        ],
    );
}

#[test]
fn conditions() {
    let site = Site::new(
        "location / {
             set $r '';
             if ($arg_a) { set $r \"${r}true \"; }
             if ($arg_a = x) { set $r \"${r}equal \"; }
             if ( $arg_a != \"x y\" ) { set $r \"${r}unequal \"; }
             if ($arg_a = '') { set $r \"${r}empty \"; }
             if ($arg_a ~ ^(X)) { set $r \"${r}match-$1 \"; }
             if ($arg_a ~* ^(?<first>x)) { set $r \"${r}imatch-$1$first \"; }
             if ($arg_a !~ x) { set $r \"${r}nomatch \"; }
             if ($arg_a !~* X) { set $r \"${r}noimatch \"; }
             return 200 $r;
         }
         location /file {
             set $r '';
             if (-f FOLDER/$arg_f) { set $r ${r}f; }
             if (-d FOLDER/$arg_f) { set $r ${r}d; }
             if (-e FOLDER/$arg_f) { set $r ${r}e; }
             if (-x FOLDER/$arg_f) { set $r ${r}x; }
             if (!-f FOLDER/$arg_f) { set $r ${r}F; }
             if (!-d FOLDER/$arg_f) { set $r ${r}D; }
             if (!-e FOLDER/$arg_f) { set $r ${r}E; }
             if (!-x FOLDER/$arg_f) { set $r ${r}X; }
             return 200 $r;
         }",
    );
    site.write("plain", "");
    site.write("folder/x", "");
    for (target, expected) in [
        ("/", "unequal empty nomatch noimatch "),
        ("/?a=0", "unequal nomatch noimatch "),
        ("/?a=x", "true equal unequal imatch-xx "),
        ("/?a=X1", "true unequal match-X imatch-XX nomatch "),
        ("/file?f=plain", "feDX"),
        ("/file?f=folder", "dexF"),
        ("/file?f=none", "FDEX"),
    ] {
        assert_eq!(text(&site.get(target, &[])), expected, "{target}");
    }
}

#[test]
fn an_if_has_settings_of_its_own() {
    let site = Site::new(
        "location / {
             add_header X-In outside;
             if ($arg_a) { add_header X-In a; root FOLDER/a; }
             if ($arg_b) { add_header X-In b; rewrite ^ /other break; }
         }",
    );
    site.write("file", "outside");
    site.write("a/file", "a");
    site.write("other", "other");
    for (target, header, body) in [
        ("/file", "outside", "outside"),
        ("/file?a=1", "a", "a"),
        ("/file?b=1", "b", "other"),
        ("/file?a=1&b=1", "b", "other"),
    ] {
        let response = site.get(target, &[]);
        assert_eq!(field(&response, "X-In"), Some(header), "{target}");
        assert_eq!(text(&response), body, "{target}");
    }
}

#[test]
fn what_follows_an_if_in_the_server() {
    check(
        "if ($arg_a = 1) { rewrite ^ /one; set $x 1; break; }
         if ($arg_a = 2) { return 200 two; }
         rewrite ^/none /one;
         location / { return 200 \"$uri $x\"; }",
        &[("/z?a=1", "/one 1"), ("/z?a=2", "two"), ("/none", "/one ")],
    );
}

#[test]
fn variables_are_set() {
    check(
        "set $x server; set $args 'a=b';
         location / { set $y \"$x-$arg_a\"; set $x again; return 200 \"$x $y $args\"; }
         location /family { set $http_x 1; return 200 \"$http_x$http_y\"; }
         location /other { return 200 $http_x$arg_a; set $arg_a 1; }
         location /rate { set $limit_rate 10k; return 200 $limit_rate; }
         location ~ ^/set/(.*) { set $r $1; return 200 $r; }",
        &[
            ("/", "again server-b a=b"),
            ("/family", "1"),
            ("/other", "b"),
            ("/rate", "10240"),
            ("/set/%25a", "%25a"),
            ("/set/a", "a"),
        ],
    );
}

#[test]
fn rewriting_in_circles_ends() {
    let server = "location /a { rewrite ^ /b; } location /b { rewrite ^ /a; }
         location /c { rewrite ^/c(.*)y$ /c$1 last; rewrite_log on; return 200 $uri; }";
    let site = Site::new(server);
    assert_eq!(status(&site.get("/a", &[])), 500);
    let cycle = "rewrite or internal redirection cycle while processing \"/b\"";
    assert!(site.log().contains(cycle), "{}", site.log());
    for (count, expected) in [(10, 200), (11, 500)] {
        let target = format!("/c{}", "y".repeat(count));
        assert_eq!(status(&site.get(&target, &[])), expected, "{count}");
    }
    for line in [
        "\"^/c(.*)y$\" matches \"/cy\"",
        "\"^/c(.*)y$\" does not match \"/c\"",
        "rewritten data: \"/c\", args: \"\"",
    ] {
        assert!(site.log().contains(line), "{line}");
    }
}

#[test]
fn unset_variables_are_warned_of() {
    let site = Site::new(
        "location / { return 200 \"$x$x\"; set $x 1; }
         location /quiet { uninitialized_variable_warn off; return 200 $x; }",
    );
    site.get("/quiet", &[]);
    let warning = "using uninitialized \"x\" variable";
    assert_eq!(site.log().matches(warning).count(), 0);
    site.get("/", &[]);
    assert_eq!(site.log().matches(warning).count(), 1);
}

#[test]
fn internal_locations_are_reached_by_rewriting() {
    check(
        "location /a { rewrite ^ /i last; } location /i { internal; return 200 in; }",
        &[("/a", "in"), ("/i", "404")],
    );
}

#[test]
fn mistakes() {
    for (directive, message) in [
        ("rewrite ^ '';", "empty replacement"),
        ("rewrite ^ /a b;", "invalid parameter \"b\""),
        ("set x 1;", "invalid variable name \"x\""),
        ("set $uri 1;", "the duplicate \"uri\" variable"),
        ("if $a { }", "invalid condition \"$a\""),
        ("if ($uri { }", "invalid condition \"($uri\""),
        ("if ($uri a b c) { }", "invalid condition \"($uri\""),
        ("if ($uri < b) { }", "unexpected \"<\" in condition"),
        ("if (-z b) { }", "invalid condition \"(-z\""),
        ("if (a) { }", "invalid condition \"(a)\""),
        ("if ($none) { }", "unknown \"none\" variable"),
        ("return 1000;", "invalid return code \"1000\""),
    ] {
        assert_eq!(found_in_server(directive), [message], "{directive}");
    }
}

#[test]
fn groups_stay_until_the_next_match() {
    check(
        "rewrite ^/a/(.*) /b/$1;
         location /b/ { return 200 \"$1\"; }
         location ~ ^/(c)(.) { if ($arg_x ~ (.)$) { set $y 1; } return 200 \"$1$2\"; }",
        &[("/a/1", "1"), ("/c2", ""), ("/c2?x=34", "4")],
    );
}

#[test]
fn one_digit_in_braces_is_no_group() {
    let found = found_in_server("rewrite ^/(.)$ /${1};");
    assert_eq!(found, ["unknown \"1\" variable"]);
}
