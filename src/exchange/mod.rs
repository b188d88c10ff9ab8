//! One request on its way to its response: the values, the plugs and the runner.

pub mod pages;
