//! The error numbers that other layers tell apart, for `io::Error::raw_os_error`.
//!
//! Only those which `std::io::ErrorKind` cannot name, or names less precisely.

pub use libc::{
    E2BIG, EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, ECONNABORTED, ECONNREFUSED, ECONNRESET,
    EDQUOT, EEXIST, EFBIG, EHOSTUNREACH, EISDIR, ELOOP, EMFILE, EMLINK, ENAMETOOLONG, ENETUNREACH,
    ENFILE, ENOBUFS, ENOENT, ENOMEM, ENOSPC, ENOTCONN, ENOTDIR, ENOTEMPTY, EOPNOTSUPP, EPERM,
    EPIPE, ESRCH, ETIMEDOUT, EXDEV,
};
