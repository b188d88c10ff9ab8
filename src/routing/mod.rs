//! From a name or a path to whatever was registered for it: virtual hosts and locations.
