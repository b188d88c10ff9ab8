//! Names of hosts to addresses, by the system's resolver. It waits: only for reading configurations.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// The addresses of `name`, in the order the system prefers, of the families this machine has.
///
/// # Errors
/// `NotFound` if there are none, for whatever reason.
pub fn host_addresses(name: &str) -> io::Result<Vec<IpAddr>> {
    let not_found = || io::Error::from(io::ErrorKind::NotFound);
    let name = CString::new(name).map_err(|_| not_found())?;
    // SAFETY: all-zero hints are valid: no restriction, no pointers.
    let mut hints: libc::addrinfo = unsafe { MaybeUninit::zeroed().assume_init() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = libc::AI_ADDRCONFIG;
    let mut list = ptr::null_mut();
    // SAFETY: the name ends in NUL, and all pointers outlive the call.
    let code =
        unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if code != 0 {
        return Err(not_found());
    }
    let mut addresses = Vec::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: the list's entries are valid until it is freed below.
        let info = unsafe { &*entry };
        // SAFETY: the resolver's addresses are complete for the families they state.
        addresses.extend(unsafe { ip_address(info.ai_addr) });
        entry = info.ai_next;
    }
    // SAFETY: the list came from `getaddrinfo`, and nothing points into it any more.
    unsafe { libc::freeaddrinfo(list) };
    if addresses.is_empty() {
        Err(not_found())
    } else {
        Ok(addresses)
    }
}

/// The address in a socket address, unless its family is neither IPv4 nor IPv6.
///
/// # Safety
/// `address` points to a complete socket address of the family it states.
unsafe fn ip_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: every socket address begins with its family.
    match i32::from(unsafe { (*address).sa_family }) {
        libc::AF_INET => {
            // SAFETY: the family says what the pointer leads to.
            let v4 = unsafe { &*address.cast::<libc::sockaddr_in>() };
            Some(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says what the pointer leads to.
            let v6 = unsafe { &*address.cast::<libc::sockaddr_in6>() };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_need_no_server() {
        assert_eq!(
            host_addresses("127.0.0.2").unwrap(),
            [IpAddr::from([127, 0, 0, 2])]
        );
        assert!(host_addresses("not a name").is_err());
        assert!(host_addresses("a\0b").is_err());
    }
}
