//! Random bytes that nobody can foresee.

/// `N` random bytes (getrandom(2)).
///
/// N is at most 256, for which the kernel fails only if it is older than the call; the bytes are
/// zeroes then.
pub fn bytes<const N: usize>() -> [u8; N] {
    const { assert!(N <= 256) };
    let mut bytes = [0; N];
    // SAFETY: `bytes` has room for `N` bytes and outlives the call.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_differ() {
        assert_ne!(super::bytes::<16>(), super::bytes::<16>());
    }
}
