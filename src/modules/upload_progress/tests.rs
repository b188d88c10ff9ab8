//! The directives of upload progress.

use super::output::{Format, State};
use super::{Settings, UploadProgress};
use crate::modules::fixture::{found_in_http, in_server};

fn settings(text: &str) -> Settings {
    in_server(text, |block| (*block.settings::<UploadProgress>()).clone())
}

#[test]
fn a_later_format_drops_earlier_templates() {
    let script = settings("");
    assert_eq!(
        (script.format, &*script.header),
        (Format::Script, &b"X-Progress-ID"[..])
    );
    let settings = settings(
        "upload_progress_template done 'all'; upload_progress_json_output;
         upload_progress_template error '<$uploadprogress_status>';
         upload_progress_header X-Id; upload_progress_jsonp_parameter f;
         upload_progress_content_type text/xml;",
    );
    assert_eq!(settings.format, Format::Json);
    assert!(settings.templates[State::Done as usize].is_none());
    assert!(settings.templates[State::Error as usize].is_some());
    assert_eq!(
        (&*settings.header, &*settings.callback),
        (&b"X-Id"[..], &b"f"[..])
    );
}

#[test]
fn zones_are_declared_once() {
    let track = "server { location / { track_uploads z 10s; } location /p { report_uploads z; } }";
    let found = |zones: &str| found_in_http(&format!("{zones} {track}"));
    assert!(found("upload_progress z 1m;").is_empty());
    assert_eq!(found(""), ["zero size shared memory zone \"z\""; 2]);
    assert_eq!(
        found("upload_progress z 1k;")[0],
        "zone \"1k\" is too small"
    );
    assert!(
        found_in_http("server { upload_progress_java_output; upload_progress_template no x; }")
            .len()
            == 1
    );
    assert!(found_in_http("server { upload_progress_jsonp_output; }").is_empty());
}
