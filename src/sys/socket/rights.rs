//! Messages between processes that carry descriptors (`SCM_RIGHTS`).

use super::FLAGS;
use crate::sys::fd::own;
use crate::sys::{check, check_count, retry};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

/// Most descriptors of one message.
pub const MOST: usize = 4;

/// Room for the control message that carries them.
type Room = [MaybeUninit<u64>; 8];

/// Two connected sockets that keep messages apart.
pub fn message_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors the call writes.
    check(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET | FLAGS,
            0,
            ends.as_mut_ptr(),
        )
    })?;
    Ok((own(ends[0]), own(ends[1])))
}

fn header(bytes: &mut libc::iovec, room: &mut Room) -> libc::msghdr {
    // SAFETY: zeroes are a valid header: no name, no data, no control message.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = bytes;
    header.msg_iovlen = 1;
    header.msg_control = room.as_mut_ptr().cast();
    header
}

/// Sends a message and copies of at most [`MOST`] descriptors.
///
/// # Errors
/// The kernel's: `WouldBlock`, a message too large, nobody at the other end.
pub fn send_message(
    socket: BorrowedFd<'_>,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut bytes = libc::iovec {
        iov_base: message.as_ptr().cast_mut().cast(),
        iov_len: message.len(),
    };
    let mut room: Room = [MaybeUninit::zeroed(); 8];
    let mut header = header(&mut bytes, &mut room);
    let descriptors = &descriptors[..descriptors.len().min(MOST)];
    let length = size_of_val(descriptors) as libc::c_uint;
    // SAFETY: the computation has no preconditions.
    let space = unsafe { libc::CMSG_SPACE(length) };
    header.msg_controllen = if descriptors.is_empty() {
        0
    } else {
        space as usize
    };
    // SAFETY: the header points to room enough for `MOST` descriptors.
    if let Some(control) = unsafe { libc::CMSG_FIRSTHDR(&raw const header).as_mut() } {
        control.cmsg_level = libc::SOL_SOCKET;
        control.cmsg_type = libc::SCM_RIGHTS;
        // SAFETY: the computation has no preconditions.
        control.cmsg_len = unsafe { libc::CMSG_LEN(length) } as usize;
        // SAFETY: the data lies within the room, and numbers may be written unaligned.
        let data = unsafe { libc::CMSG_DATA(control) }.cast::<RawFd>();
        for (i, descriptor) in descriptors.iter().enumerate() {
            // SAFETY: as above; there is room for `MOST` of them.
            unsafe { ptr::write_unaligned(data.add(i), descriptor.as_raw_fd()) };
        }
    }
    retry(|| {
        // SAFETY: the header, and all it points to, outlives the call.
        check_count(unsafe {
            libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL)
        })
    })
    .map(drop)
}

/// Receives a message of at most `most` bytes, and the descriptors that came with it. No bytes
/// mean that the other end is closed.
///
/// # Errors
/// The kernel's, and `InvalidData` for a message that is longer.
pub fn receive_message(socket: BorrowedFd<'_>, most: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut message = vec![0; most];
    let mut bytes = libc::iovec {
        iov_base: message.as_mut_ptr().cast(),
        iov_len: most,
    };
    let mut room: Room = [MaybeUninit::zeroed(); 8];
    let mut header = header(&mut bytes, &mut room);
    header.msg_controllen = size_of::<Room>();
    let count = retry(|| {
        // SAFETY: the header points to room of the lengths it states.
        check_count(unsafe {
            libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC)
        })
    })?;
    let descriptors = received(&header);
    if header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    message.truncate(count);
    Ok((message, descriptors))
}

/// Takes the descriptors out of a header the kernel has filled in.
fn received(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has set the length of what is there.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: a pointer that is not null points to a control message within the room.
    while let Some(found) = unsafe { control.as_ref() } {
        if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: the computation has no preconditions.
            let empty = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = found.cmsg_len.saturating_sub(empty) / size_of::<RawFd>();
            // SAFETY: the message has data of that length.
            let data = unsafe { libc::CMSG_DATA(control) }.cast::<RawFd>();
            // SAFETY: as above; the kernel has opened these descriptors for this process.
            descriptors
                .extend((0..count).map(|i| own(unsafe { ptr::read_unaligned(data.add(i)) })));
        }
        // SAFETY: header and message are the kernel's.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::{pipe, read, write};
    use std::os::fd::AsFd;

    #[test]
    fn a_message_brings_descriptors_along() {
        let (here, there) = message_pair().unwrap();
        let (reader, writer) = pipe().unwrap();
        send_message(here.as_fd(), b"hello", &[reader.as_fd(), writer.as_fd()]).unwrap();
        send_message(here.as_fd(), b"alone", &[]).unwrap();
        let (message, descriptors) = receive_message(there.as_fd(), 100).unwrap();
        assert_eq!((message.as_slice(), descriptors.len()), (&b"hello"[..], 2));
        write(descriptors[1].as_fd(), b"x").unwrap();
        let mut got = Vec::new();
        assert_eq!(read(reader.as_fd(), &mut got, 9).unwrap(), 1);
        let (message, descriptors) = receive_message(there.as_fd(), 100).unwrap();
        assert_eq!((message.as_slice(), descriptors.len()), (&b"alone"[..], 0));
        send_message(here.as_fd(), b"too long", &[]).unwrap();
        assert!(receive_message(there.as_fd(), 3).is_err());
        drop(here);
        assert!(receive_message(there.as_fd(), 3).unwrap().0.is_empty());
    }
}
