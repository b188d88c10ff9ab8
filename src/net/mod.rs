//! Buffers, addresses, listeners and transports.
