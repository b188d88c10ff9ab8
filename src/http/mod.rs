//! HTTP's vocabulary as pure values: no I/O.
