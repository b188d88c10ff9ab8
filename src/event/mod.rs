//! The level-triggered event loop, its single-threaded executor, timers and async sockets.
