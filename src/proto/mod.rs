//! Sans-I/O codecs: bytes to values and back.
