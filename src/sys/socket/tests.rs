//! Sockets against the real kernel, on ports it chooses.

use super::*;
use std::io::IoSlice;
use std::os::fd::AsFd;

fn loopback() -> Addr {
    Addr::Inet(([127, 0, 0, 1], 0).into())
}

/// Waits until a listener has a connection or a socket has bytes.
fn wait(fd: &OwnedFd) {
    use crate::sys::poll::{PollFd, Readiness, poll};
    let mut fds = [PollFd::new(fd.as_raw_fd(), Readiness::READ)];
    assert_eq!(poll(&mut fds, 5000).unwrap(), 1);
}

fn connected() -> (OwnedFd, OwnedFd) {
    let listener = socket(&loopback(), Kind::Stream).unwrap();
    reuse_addr(listener.as_fd(), true).unwrap();
    bind(listener.as_fd(), &loopback()).unwrap();
    listen(listener.as_fd(), 16).unwrap();
    let addr = local_addr(listener.as_fd()).unwrap();
    let client = socket(&addr, Kind::Stream).unwrap();
    connect(client.as_fd(), &addr).unwrap();
    wait(&listener);
    let (server, peer) = accept(listener.as_fd()).unwrap();
    assert_eq!(peer, local_addr(client.as_fd()).unwrap());
    assert_eq!(peer_addr(client.as_fd()).unwrap(), addr);
    assert!(error(client.as_fd()).unwrap().is_none());
    (server, client)
}

#[test]
fn tcp_carries_bytes_both_whole_and_in_slices() {
    let (server, client) = connected();
    assert_eq!(send(client.as_fd(), b"one ", true).unwrap(), 4);
    let slices = [IoSlice::new(b"two "), IoSlice::new(b"three")];
    assert_eq!(writev(client.as_fd(), &slices, false).unwrap(), 9);
    shutdown(client.as_fd(), Shutdown::Write).unwrap();
    let mut got = Vec::new();
    loop {
        wait(&server);
        if recv(server.as_fd(), &mut got, 100).unwrap() == 0 {
            break;
        }
    }
    assert_eq!(got, b"one two three");
}

#[test]
fn sendfile_advances_its_offset() {
    use std::io::Write;
    let (server, client) = connected();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    let mut offset = 3;
    assert_eq!(
        sendfile(server.as_fd(), file.as_fd(), &mut offset, 4).unwrap(),
        4
    );
    assert_eq!(offset, 7);
    wait(&client);
    let mut seen = [0; 16];
    assert_eq!(peek(client.as_fd(), &mut seen).unwrap(), 4);
    let mut got = Vec::new();
    assert_eq!(recv(client.as_fd(), &mut got, 16).unwrap(), 4);
    assert_eq!(got, b"3456");
}

#[test]
fn every_option_is_accepted() {
    let (server, _client) = connected();
    let fd = server.as_fd();
    no_delay(fd, true).unwrap();
    cork(fd, true).unwrap();
    cork(fd, false).unwrap();
    keep_alive(fd, true).unwrap();
    keep_alive_times(fd, Some(30), None, Some(3)).unwrap();
    receive_buffer(fd, 8192).unwrap();
    assert!(!has_fixed_send_buffer(fd));
    send_buffer(fd, 8192).unwrap();
    assert!(has_fixed_send_buffer(fd));
    assert!(tcp_info(fd).unwrap().snd_cwnd > 0);
    linger_reset(fd).unwrap();
    let listener = socket(&loopback(), Kind::Stream).unwrap();
    reuse_port(listener.as_fd(), true).unwrap();
    defer_accept(listener.as_fd(), 1).unwrap();
    fast_open(listener.as_fd(), 8).unwrap();
}

#[test]
fn unix_addresses_survive_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder
        .path()
        .join("socket")
        .into_os_string()
        .into_encoded_bytes();
    let unique = [b"\0rowhouse-test-", path.as_slice()].concat();
    for name in [path, unique] {
        let addr = Addr::Unix(name);
        let listener = socket(&addr, Kind::Stream).unwrap();
        bind(listener.as_fd(), &addr).unwrap();
        listen(listener.as_fd(), 1).unwrap();
        assert_eq!(local_addr(listener.as_fd()).unwrap(), addr);
        let client = socket(&addr, Kind::Stream).unwrap();
        assert!(connect(client.as_fd(), &addr).unwrap());
        assert_eq!(accept(listener.as_fd()).unwrap().1, Addr::Unix(Vec::new()));
    }
    assert!(bind(pair().unwrap().0.as_fd(), &Addr::Unix(vec![b'x'; 108])).is_err());
}

#[test]
fn addresses_are_written_as_nginx_does() {
    let cases = [
        (Addr::Inet(([127, 0, 0, 1], 80).into()), "127.0.0.1:80"),
        (Addr::Inet("[::1]:443".parse().unwrap()), "[::1]:443"),
        (Addr::Unix(b"/run/s".to_vec()), "unix:/run/s"),
    ];
    for (addr, text) in cases {
        assert_eq!(addr.to_string(), text);
    }
}
