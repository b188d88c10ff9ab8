//! Media types: `types` and `default_type`.

use std::rc::Rc;

use super::{Row, Settings, row};
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Outcome, Use};
use crate::http::mime::MimeTypes;

pub(super) const ROWS: &[Row] = &[
    row("types", HTTP_SERVER_LOCATION)
        .default("{ text/html html; image/gif gif; image/jpeg jpg; }")
        .none()
        .doc("Lists media types with the file name extensions they have, in any letter case.")
        .raw(types),
    row("default_type", HTTP_SERVER_LOCATION)
        .syntax("mime-type")
        .default("text/plain")
        .doc("Sets the media type of files whose extension is not listed.")
        .set(|s, d| {
            s.edit().default_type = d.arg(0).into();
            Ok(())
        }),
];

/// A block's first `types` replaces what was inherited, further ones add to it.
fn types(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let core = settings.edit();
    if d.first() {
        core.types = Rc::new(MimeTypes::empty());
    }
    let types = Rc::make_mut(&mut core.types);
    for entry in d.entries() {
        let media_type: Rc<[u8]> = entry.name().into();
        for i in 0..entry.count() {
            if let Some(previous) = types.insert(entry.arg(i), Rc::clone(&media_type)) {
                let extension = entry.lossy(i).to_ascii_lowercase();
                let now = String::from_utf8_lossy(&media_type);
                let before = String::from_utf8_lossy(&previous);
                let message = format!(
                    "duplicate extension \"{extension}\", content type: \"{now}\", \
                     previous content type: \"{before}\""
                );
                entry.warn(i, message);
            }
        }
    }
    Ok(())
}
