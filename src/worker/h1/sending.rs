//! How files go out where `sendfile` is on: from a mapping, or by sendfile.
//!
//! Short ones go from their mapping. Long ones begin by sendfile, which takes no memory however
//! slow the client may be, but counts each page's users on both processors, the server's and the
//! client's. To copy a page takes less, if the copy is still in the processor's caches when the
//! client takes it. So it is for a *keen* client: one that is near, on another processor, and
//! quick to take what a small send buffer holds.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::Broken;
use super::wire::{Wire, turn};
use crate::event;
use crate::exchange::{Connection, Core, FileBody};
use crate::sys::socket;

/// A client whose answers take so long, in microseconds, is near.
const NEAR: Range<u32> = 1..1000;

/// The send buffer for what is copied to near clients, in bytes. What the kernel would choose is
/// meant for long ways: so much leaves the processor's caches before the client has read it.
const NEAR_BUFFER: i32 = 256 * 1024;

/// A client that needs no longer to make room in a full send buffer is quick.
const QUICK: Duration = Duration::from_millis(50);

/// Sends a range of a file behind the output there is; `done` counts what was sent.
///
/// # Errors
/// As [`Wire::flush`], and a file that has become shorter.
pub async fn send(wire: &Wire, core: &Core, body: &FileBody, done: &mut u64) -> Result<(), Broken> {
    let is_short = body.file.stat.size < core.sendfile_min_size;
    match is_short.then(|| body.file.mapping()).flatten() {
        Some(mapping) => {
            let range = body.offset..body.offset + body.length;
            let chunk = core.sendfile_max_chunk;
            wire.send_mapped(mapping, range, chunk, done).await
        }
        None => send_long(wire, core, body, done).await,
    }
}

async fn send_long(
    wire: &Wire,
    core: &Core,
    body: &FileBody,
    done: &mut u64,
) -> Result<(), Broken> {
    wire.push(true).await?;
    let connection = wire.connection();
    let most = turn(core.sendfile_max_chunk);
    while *done < body.length {
        if body.length > most {
            event::give_way().await;
        }
        let count = (body.length - *done).min(most) as usize;
        match attempt(connection, body, *done, count) {
            Ok(sent) => *done += sent as u64,
            Err(error) => {
                let full = event::now();
                wire.overcome(error).await?;
                if core.sendfile_min_size > 0 {
                    judge(connection, full.elapsed());
                }
            }
        }
    }
    Ok(())
}

/// Sends what fits of the next `count` bytes, the way that suits the client.
fn attempt(connection: &Connection, body: &FileBody, done: u64, count: usize) -> io::Result<usize> {
    let mut offset = body.offset + done;
    let keen = connection.keen.get();
    if let Some(mapping) = keen.then(|| body.file.mapping()).flatten() {
        // What is mapped has an address, so this is no loss.
        let offset = offset as usize;
        return connection.io.try_send_mapped(&[], mapping, offset, count);
    }
    let fd = body.file.fd().ok_or(io::ErrorKind::NotFound)?;
    match connection.io.try_sendfile(fd, &mut offset, count) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        sent => sent,
    }
}

/// Finds out whether a client is keen, after it needed so long to make room in the send buffer.
fn judge(connection: &Connection, needed: Duration) {
    let socket = connection.io.fd();
    let is_quick = needed <= QUICK;
    if connection.keen.get() {
        if !is_quick {
            connection.keen.set(false);
            // If the buffer stays small, that is no loss to a slow client.
            let _ = socket::unfix_send_buffer(socket);
        }
    } else if is_quick && !socket::is_handled_here(socket) && fit_send_buffer(connection) {
        connection.keen.set(true);
    }
}

/// Makes the send buffer small for a client that is near, unless `sndbuf` says how large it is;
/// says whether it did.
pub fn fit_send_buffer(connection: &Connection) -> bool {
    let socket = connection.io.fd();
    let is_near = || socket::tcp_info(socket).is_ok_and(|info| NEAR.contains(&info.min_rtt));
    !socket::has_fixed_send_buffer(socket)
        && is_near()
        && socket::send_buffer(socket, NEAR_BUFFER).is_ok()
}
