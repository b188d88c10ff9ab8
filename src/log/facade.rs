//! Where the messages of libraries go: the `log` crate's macros lead to the main error log.

use std::cell::RefCell;

use ::log::{LevelFilter, Log, Metadata, Record};

use super::error_log::ErrorLog;
use super::level::Level;
use super::terminal;

/// Hands records to the thread's main error log, or to the terminal while there is none.
struct Facade;

thread_local! {
    static MAIN: RefCell<Option<ErrorLog>> = const { RefCell::new(None) };
}

/// Makes this module the destination of `log::error!` and its kin. Doing so twice is harmless.
pub fn install() {
    // The only error says that it is installed already.
    let _ = ::log::set_logger(&Facade);
    // What is kept depends on the thread's log, so that the levels here let all of them pass.
    ::log::set_max_level(LevelFilter::Debug);
}

/// From now on `log` is the main error log of this thread.
pub fn set_main(log: ErrorLog) {
    MAIN.set(Some(log));
}

/// The main error log of this thread: `error_log` outside all blocks. Until one is set, messages
/// go nowhere.
pub fn main() -> ErrorLog {
    MAIN.with_borrow(|log| log.clone()).unwrap_or_default()
}

impl Log for Facade {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = level_of(metadata);
        MAIN.with_borrow(|log| match log {
            Some(log) => log.enabled(level),
            None => level <= Level::Warn,
        })
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = level_of(record.metadata());
        match MAIN.with_borrow(|log| log.clone()) {
            Some(log) => log.log(level, None, *record.args()),
            None => terminal::report(level, *record.args()),
        }
    }

    fn flush(&self) {}
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match metadata.level() {
        ::log::Level::Error => Level::Error,
        ::log::Level::Warn => Level::Warn,
        ::log::Level::Info => Level::Info,
        ::log::Level::Debug | ::log::Level::Trace => Level::Debug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::error_log::{Sink, Target};
    use crate::log::memory::Memory;

    #[test]
    fn messages_of_libraries_reach_the_main_error_log() {
        let memory = Memory::new(4096);
        install();
        set_main(ErrorLog::new([Sink {
            level: Level::Info,
            target: Target::Memory(memory.clone()),
        }]));
        ::log::info!("from a {}", "library");
        ::log::debug!("hidden");
        let text = String::from_utf8(memory.contents()).unwrap();
        assert!(text.ends_with(": from a library\n"), "{text}");
        assert!(text.contains(" [info] "), "{text}");
    }
}
