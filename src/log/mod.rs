//! Error log, access-log writers and syslog.
