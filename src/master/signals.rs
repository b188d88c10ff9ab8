//! The signals of the master, and what the log says of them.

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::low_level::signal_name;

use super::{Flow, Master};
use crate::event::Received;
use crate::log::level::Level;
use crate::sys::process;

/// What a signal asks of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// TERM, INT: stop at once.
    Stop,
    /// QUIT: stop when the requests under way are answered.
    Quit,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: open the log files again.
    Reopen,
    /// USR2: run the program file anew.
    Upgrade,
    /// WINCH: let the workers finish.
    Retire,
    /// CHLD: a process has ended.
    Child,
}

/// The signals and what they ask.
const SIGNALS: [(i32, Signal); 8] = [
    (SIGTERM, Signal::Stop),
    (SIGINT, Signal::Stop),
    (SIGQUIT, Signal::Quit),
    (SIGHUP, Signal::Reload),
    (SIGUSR1, Signal::Reopen),
    (SIGUSR2, Signal::Upgrade),
    (SIGWINCH, Signal::Retire),
    (SIGCHLD, Signal::Child),
];

/// The numbers of all signals the master receives.
pub fn numbers() -> [i32; SIGNALS.len()] {
    SIGNALS.map(|(number, _)| number)
}

impl Master {
    /// Logs a signal and does what it asks.
    pub(super) fn receive(&mut self, received: Received) -> Flow {
        let known = SIGNALS
            .iter()
            .find(|(number, _)| *number == received.signal);
        let Some((number, signal)) = known else {
            return Flow::Continue(());
        };
        let ignored = *signal == Signal::Upgrade && self.has_company();
        let action = if ignored {
            ", ignoring"
        } else {
            self.action(*signal)
        };
        let name = signal_name(*number).unwrap_or_default();
        match received.sender {
            0 => self.log(
                Level::Notice,
                format_args!("signal {number} ({name}) received{action}"),
            ),
            sender => self.log(
                Level::Notice,
                format_args!("signal {number} ({name}) received from {sender}{action}"),
            ),
        }
        if !ignored {
            return self.obey(*signal);
        }
        let message = "the changing binary signal is ignored: you should shutdown or terminate \
                       before either old or new binary's process";
        self.log(Level::Crit, format_args!("{message}"));
        Flow::Continue(())
    }

    /// Whether another master serves beside this one: the new binary, or the old one.
    pub(super) fn has_company(&self) -> bool {
        self.new_binary.is_some() || self.parent == Some(process::parent_pid())
    }

    fn action(&self, signal: Signal) -> &'static str {
        match signal {
            Signal::Stop => ", exiting",
            Signal::Quit => ", shutting down",
            Signal::Reload => ", reconfiguring",
            Signal::Reopen => ", reopening logs",
            Signal::Upgrade => ", changing binary",
            Signal::Retire if self.background => ", stop accepting connections",
            Signal::Retire | Signal::Child => "",
        }
    }
}
