//! Scenarios against the real binary, on loopback ports it chose itself.
