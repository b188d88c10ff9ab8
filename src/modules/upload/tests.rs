//! The directives of uploads.

use super::rows::Exists;
use super::{Settings, Upload};
use crate::modules::fixture::{found_in_server, in_server};

fn settings(text: &str) -> Settings {
    in_server(text, |block| (*block.settings::<Upload>()).clone())
}

fn store(text: &str) -> Option<String> {
    let store = settings(text).store?;
    Some(String::from_utf8_lossy(store.literal()?).into_owned())
}

#[test]
fn folders() {
    assert_eq!(store(""), None);
    assert_eq!(store("upload_store off;"), None);
    assert_eq!(store("upload_store up/;").as_deref(), Some("/srv/up"));
    assert_eq!(store("upload_store /up;").as_deref(), Some("/up"));
    for (text, expected) in [
        ("upload_store /up/$remote_addr;", vec![]),
        ("upload_store no/such 1 2;", vec!["/srv/no/such"]),
        (
            "upload_store no/such; upload_state_store s;",
            vec!["/srv/no/such", "/srv/s"],
        ),
        ("upload_store /tmp;", vec![]),
        ("upload_state_store s;", vec![]),
    ] {
        let missing = settings(text).missing_folders();
        let missing = missing.iter().map(|path| String::from_utf8_lossy(path));
        assert_eq!(missing.collect::<Vec<_>>(), expected, "{text}");
    }
    let levels = settings("upload_store /a 1 2; upload_state_store b 3;");
    assert_eq!(
        (levels.store_levels, levels.state_levels),
        ([1, 2, 0], [3, 0, 0])
    );
    let state = settings("upload_state_store state;").state_store;
    assert_eq!(state.as_deref(), Some(std::path::Path::new("/srv/state")));
}

#[test]
fn permissions() {
    for (access, expected) in [
        ("user:rw", 0o600),
        ("user:r", 0o400),
        ("group:r", 0o640),
        ("user:rw group:rw all:r", 0o664),
        ("all:rw", 0o606),
    ] {
        let text = format!("upload_store_access {access};");
        assert_eq!(settings(&text).access, expected, "{access}");
    }
}

#[test]
fn values() {
    let settings = settings(
        "upload_exists number; upload_max_file_size 1g; upload_max_part_header_len 1k;
         upload_max_files 3; upload_max_field_size 2k; upload_limit_rate 10k; upload_quota 2g;
         upload_min_free 1m; upload_resumable on; upload_expires 2h; upload_url /f;
         upload_redirect /done; upload_buffer_size 8k; upload_fsync on; upload_cleanup 400 404 499 500-505;",
    );
    assert_eq!(settings.exists, Exists::Number);
    assert_eq!(
        (settings.max_file_size, settings.quota, settings.min_free),
        (1 << 30, 2 << 30, 1 << 20)
    );
    assert_eq!(
        (settings.max_part_header_len, settings.max_field_size),
        (1024, 2048)
    );
    assert_eq!((settings.max_files, settings.limit_rate), (3, 10240));
    assert!(settings.resumable && settings.fsync && settings.expires.as_secs() == 7200);
    let cleaned = [400, 404, 499, 500, 503, 505].map(|status| settings.cleans_up(status));
    assert_eq!(cleaned, [true; 6]);
    assert!(
        ![401, 498, 506]
            .iter()
            .any(|status| settings.cleans_up(*status))
    );
}

#[test]
fn mistakes() {
    for (text, expected) in [
        (
            "upload_store /;",
            "\"upload_store\" must not be the root of the file system",
        ),
        (
            "upload_store_access user;",
            "\"upload_store_access\" directive invalid value",
        ),
        (
            "upload_store_access me:rw;",
            "\"upload_store_access\" directive invalid value",
        ),
        (
            "upload_store /up 0;",
            "\"upload_store\" directive invalid value",
        ),
        (
            "upload_cleanup 200;",
            "\"upload_cleanup\" directive invalid value",
        ),
        (
            "upload_cleanup 500-400;",
            "\"upload_cleanup\" directive invalid value",
        ),
        (
            "upload_cleanup 400-;",
            "\"upload_cleanup\" directive invalid value",
        ),
        (
            "upload_max_files x;",
            "\"upload_max_files\" directive invalid number",
        ),
    ] {
        assert_eq!(found_in_server(text), [expected], "{text}");
    }
    assert_eq!(found_in_server("upload_exists perhaps;").len(), 1);
}
