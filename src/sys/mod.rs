//! The only door to the operating system: every `unsafe` block and every `libc` call.
