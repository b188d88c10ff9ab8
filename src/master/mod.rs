//! Processes, signals, reload, upgrade.
