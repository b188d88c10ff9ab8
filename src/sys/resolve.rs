//! Names of hosts to addresses and back, by the system's resolver. It waits: only for reading
//! configurations, and for threads beside the loop.

use super::socket::{Addr, RawAddr};
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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

/// The name of the host with this address, if it has one.
///
/// # Errors
/// `TimedOut` if no server has said so in time, `Other` for other failures.
pub fn host_name(address: IpAddr) -> io::Result<Option<String>> {
    let address = RawAddr::new(&Addr::Inet(SocketAddr::new(address, 0)))?;
    let mut name = [0u8; libc::NI_MAXHOST as usize];
    // SAFETY: both pointers lead to as much as the lengths say.
    let code = unsafe {
        libc::getnameinfo(
            address.as_ptr(),
            address.len(),
            name.as_mut_ptr().cast(),
            libc::NI_MAXHOST,
            ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    match code {
        0 => Ok(CStr::from_bytes_until_nul(&name)
            .ok()
            .map(|name| name.to_string_lossy().into_owned())),
        libc::EAI_NONAME => Ok(None),
        libc::EAI_AGAIN => Err(io::ErrorKind::TimedOut.into()),
        _ => Err(io::ErrorKind::Other.into()),
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
    fn this_machine_has_a_name() {
        let name = host_name(IpAddr::from([127, 0, 0, 1])).unwrap();
        assert!(name.is_some_and(|name| !name.is_empty()));
    }

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
