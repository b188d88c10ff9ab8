//! Socket addresses between Rust's types and the kernel's.

use std::fmt;
use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Where a socket is bound or connected.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Addr {
    /// IPv4 or IPv6 and a port.
    Inet(SocketAddr),
    /// A path; empty for an unnamed peer; a leading NUL byte names an abstract socket.
    Unix(Vec<u8>),
}

impl Addr {
    pub(super) fn family(&self) -> libc::c_int {
        match self {
            Addr::Inet(SocketAddr::V4(_)) => libc::AF_INET,
            Addr::Inet(SocketAddr::V6(_)) => libc::AF_INET6,
            Addr::Unix(_) => libc::AF_UNIX,
        }
    }
}

/// As nginx writes addresses: `127.0.0.1:80`, `[::1]:80`, `unix:/path`.
impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Inet(addr) => addr.fmt(f),
            Addr::Unix(path) => write!(f, "unix:{}", String::from_utf8_lossy(path)),
        }
    }
}

const PATH_OFFSET: usize = mem::offset_of!(libc::sockaddr_un, sun_path);

/// A kernel address and its length.
pub(in crate::sys) struct RawAddr {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl RawAddr {
    /// Room for the kernel to answer in.
    pub(super) fn room() -> RawAddr {
        // SAFETY: an all-zero `sockaddr_storage` is valid: family AF_UNSPEC.
        let storage = unsafe { MaybeUninit::<libc::sockaddr_storage>::zeroed().assume_init() };
        RawAddr {
            storage,
            len: mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t,
        }
    }

    /// # Errors
    /// `InvalidInput` for a Unix path that does not fit into `sun_path`.
    pub(in crate::sys) fn new(addr: &Addr) -> io::Result<RawAddr> {
        match addr {
            Addr::Inet(SocketAddr::V4(v4)) => Ok(RawAddr::holding(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.ip().octets()),
                },
                sin_zero: [0; 8],
            })),
            Addr::Inet(SocketAddr::V6(v6)) => Ok(RawAddr::holding(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            })),
            Addr::Unix(path) => RawAddr::unix(path),
        }
    }

    /// Copies one of the families' structures into the storage all of them fit in.
    fn holding<T>(family_addr: T) -> RawAddr {
        const { assert!(mem::size_of::<T>() <= mem::size_of::<libc::sockaddr_storage>()) };
        let mut raw = RawAddr::room();
        // SAFETY: the storage is at least as large and as aligned as every family's structure.
        unsafe { (&raw mut raw.storage).cast::<T>().write(family_addr) };
        raw.len = mem::size_of::<T>() as libc::socklen_t;
        raw
    }

    fn unix(path: &[u8]) -> io::Result<RawAddr> {
        let mut sun = libc::sockaddr_un {
            sun_family: libc::AF_UNIX as libc::sa_family_t,
            sun_path: [0; 108],
        };
        // A path keeps its terminating NUL; an abstract name is exactly as long as it says.
        let named = path.first().is_some_and(|first| *first != 0);
        if path.len() + usize::from(named) > sun.sun_path.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "too long unix socket path",
            ));
        }
        for (to, from) in sun.sun_path.iter_mut().zip(path) {
            *to = from.cast_signed();
        }
        let mut raw = RawAddr::holding(sun);
        raw.len = (PATH_OFFSET + path.len() + usize::from(named)) as libc::socklen_t;
        Ok(raw)
    }

    pub(in crate::sys) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(in crate::sys) fn len(&self) -> libc::socklen_t {
        self.len
    }

    /// Pointers for a call that writes an address.
    pub(super) fn fill(&mut self) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        self.len = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        ((&raw mut self.storage).cast(), &raw mut self.len)
    }

    /// The address as a value; an unknown family is an unnamed Unix address.
    pub(super) fn addr(&self) -> Addr {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says which structure the kernel wrote.
                let v4 = unsafe { &*self.as_ptr().cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Addr::Inet(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the family says which structure the kernel wrote.
                let v6 = unsafe { &*self.as_ptr().cast::<libc::sockaddr_in6>() };
                let (ip, port) = (
                    Ipv6Addr::from(v6.sin6_addr.s6_addr),
                    u16::from_be(v6.sin6_port),
                );
                Addr::Inet(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => Addr::Unix(self.unix_path()),
        }
    }

    fn unix_path(&self) -> Vec<u8> {
        // SAFETY: the storage is larger than `sockaddr_un` and fully initialised.
        let sun = unsafe { &*self.as_ptr().cast::<libc::sockaddr_un>() };
        let len = (self.len as usize).saturating_sub(PATH_OFFSET);
        let mut path: Vec<u8> = sun
            .sun_path
            .iter()
            .take(len)
            .map(|c| c.cast_unsigned())
            .collect();
        if path.first().is_some_and(|first| *first != 0) {
            path.truncate(
                path.iter()
                    .position(|byte| *byte == 0)
                    .unwrap_or(path.len()),
            );
        }
        path
    }
}
