//! The directives that all codings have, each under its coding's name.

use std::ops::RangeInclusive;

use crate::config::{Mistake, Use};

/// The rows of a coding, whose directives begin with its name.
macro_rules! rows {
    ($coding:expr, $name:literal, level $level:literal from $low:literal to $high:literal) => {
        &[
            directive($name)
                .syntax("on | off")
                .default("off")
                .contexts(HTTP_SERVER_LOCATION_IF)
                .flag()
                .doc(concat!("Compresses bodies with ", $name, " for clients that like it."))
                .set(|s, d| d.flag().map(|on| s.plan($coding).enabled = on)),
            directive(concat!($name, "_comp_level"))
                .syntax("level")
                .default(stringify!($level))
                .contexts(HTTP_SERVER_LOCATION)
                .doc(concat!("Sets how hard ", $name, " tries, from ", $low, " to ", $high, "."))
                .set(|s, d| rows::level(d, $low, $high).map(|level| s.plan($coding).level = level)),
            directive(concat!($name, "_min_length"))
                .syntax("length")
                .default("20")
                .contexts(HTTP_SERVER_LOCATION)
                .doc("Leaves bodies as they are whose length is known to be less.")
                .set(|s, d| d.size(0).map(|length| s.plan($coding).min_length = length)),
            directive(concat!($name, "_types"))
                .syntax("mime-type ...")
                .default("text/html")
                .contexts(HTTP_SERVER_LOCATION)
                .at_least(1)
                .doc("Lists the media types to compress; text/html always is one, and * stands for all.")
                .repeat(|s, d| {
                    d.media_types(&mut s.plan($coding).types);
                    Ok(())
                }),
            directive(concat!($name, "_buffers"))
                .syntax("number size")
                .default("32 4k")
                .contexts(HTTP_SERVER_LOCATION)
                .takes(2)
                .doc("Sets the buffers for compressed bodies; here they grow as needed.")
                .tunes(),
        ]
    };
}

pub(super) use rows;

/// The argument as a level of compression; 0 is one only where levels begin with it.
pub(super) fn level(d: &Use<'_>, low: i32, high: i32) -> Result<i32, Mistake> {
    let text = std::str::from_utf8(d.arg(0)).unwrap_or_default();
    let level = text.parse().ok().filter(|_| !text.starts_with('+'));
    let level = level.ok_or_else(|| d.complaint(0, "invalid number"))?;
    if (low..=high).contains(&level) && (level != 0 || low == 0) {
        return Ok(level);
    }
    Err(d.mistake(0, format!("value must be between {low} and {high}")))
}

/// The argument as a window: the base-2 logarithm of a size that must be among those allowed.
pub(super) fn window(
    d: &Use<'_>,
    mut allowed: RangeInclusive<u8>,
    words: &str,
) -> Result<u8, Mistake> {
    let size = d.size(0)?;
    let window = allowed.find(|bits| 1 << bits == size);
    window.ok_or_else(|| d.mistake(0, words))
}
