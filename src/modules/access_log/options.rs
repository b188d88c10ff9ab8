//! The parameters of `access_log` behind path and format, and those of `open_log_file_cache`.

use std::time::Duration;

use crate::config::{Mistake, Use, units};
use crate::exchange::Template;
use crate::log::access::Buffering;
use crate::log::named::CacheOptions;

/// The buffer of `gzip` without `buffer=`, in bytes.
const GZIP_BUFFER: usize = 64 * 1024;

/// zlib's level for speed.
const GZIP_LEVEL: u32 = 1;

/// What is said of a log besides its path and format.
#[derive(Default)]
pub struct Options {
    /// `buffer=`, `gzip=`, `flush=`.
    pub buffering: Option<Buffering>,
    /// `if=`.
    pub condition: Option<Template>,
}

impl Options {
    /// Reads them from the arguments behind the first two.
    ///
    /// # Errors
    /// What is wrong with them, in nginx's words.
    pub fn parse(d: &Use<'_>) -> Result<Options, Mistake> {
        let (mut size, mut flush, mut gzip, mut condition) = (0, None, None, None);
        for i in 2..d.count() {
            if let Some(text) = d.parameter(i, "buffer=") {
                size = buffer_size(text).ok_or_else(|| invalid(d, i, "buffer size", text))?;
            } else if let Some(text) = d.parameter(i, "flush=") {
                let time = units::time_ms(text).filter(|time| *time > 0);
                let time = time.ok_or_else(|| invalid(d, i, "flush time", text))?;
                flush = Some(Duration::from_millis(time));
            } else if d.arg(i) == b"gzip" || d.parameter(i, "gzip=").is_some() {
                size = if size == 0 { GZIP_BUFFER } else { size };
                gzip = Some(gzip_level(d, i)?);
            } else if let Some(text) = d.parameter(i, "if=") {
                condition = Some(d.template_of(i, text)?);
            } else {
                return Err(d.invalid_parameter(i));
            }
        }
        if flush.is_some() && size == 0 {
            let path = d.lossy(0);
            let message = format!("no buffer is defined for access_log \"{path}\"");
            return Err(d.mistake(0, message));
        }
        let buffering = (size > 0).then_some(Buffering { size, flush, gzip });
        Ok(Options {
            buffering,
            condition,
        })
    }
}

fn buffer_size(text: &[u8]) -> Option<usize> {
    usize::try_from(units::size(text)?)
        .ok()
        .filter(|size| *size > 0)
}

fn gzip_level(d: &Use<'_>, i: usize) -> Result<u32, Mistake> {
    let Some(text) = d.parameter(i, "gzip=") else {
        return Ok(GZIP_LEVEL);
    };
    match text {
        [digit @ b'1'..=b'9'] => Ok(u32::from(digit - b'0')),
        _ => Err(invalid(d, i, "compression level", text)),
    }
}

fn invalid(d: &Use<'_>, i: usize, what: &str, text: &[u8]) -> Mistake {
    let text = String::from_utf8_lossy(text);
    d.mistake(i, format!("invalid {what} \"{text}\""))
}

/// `open_log_file_cache`; `None` if it is off.
///
/// # Errors
/// What is wrong with it, in nginx's words.
pub fn file_cache(d: &Use<'_>) -> Result<Option<CacheOptions>, Mistake> {
    let (mut options, mut off) = (CacheOptions::new(0), false);
    for i in 0..d.count() {
        let known = match d.key_value(i) {
            None if d.arg(i) == b"off" => {
                off = true;
                Some(())
            }
            Some((key, value)) => set_cache_option(&mut options, key, value),
            None => None,
        };
        known.ok_or_else(|| {
            let text = d.lossy(i);
            let message = format!("invalid \"open_log_file_cache\" parameter \"{text}\"");
            d.mistake(i, message)
        })?;
    }
    match options.max {
        _ if off => Ok(None),
        0 => Err(d.mistake(0, "\"open_log_file_cache\" must have \"max\" parameter")),
        _ => Ok(Some(options)),
    }
}

fn set_cache_option(options: &mut CacheOptions, key: &[u8], value: &[u8]) -> Option<()> {
    let seconds = |text| i64::try_from(units::time_secs(text)?).ok();
    match key {
        b"max" => options.max = usize::try_from(units::number(value)?).ok()?,
        b"inactive" => options.inactive = seconds(value)?,
        b"min_uses" => options.min_uses = u32::try_from(units::number(value)?).ok()?,
        b"valid" => options.valid = seconds(value)?,
        _ => return None,
    }
    Some(())
}
