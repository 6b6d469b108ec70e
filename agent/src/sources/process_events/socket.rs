//! The process connector's socket.
//!
//! Mirrors `drivers/connector/cn_proc.c`. A request from outside of the initial pid or user namespace is not refused
//! but ignored, so only the answer shows that events will come; outside of the initial network namespace there is no
//! receiver.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    process,
    time::{Duration, Instant},
};

use coroner_diagnosis::messages::health;
use netlink_sys::{Socket as Netlink, SocketAddr, protocols::NETLINK_CONNECTOR};
use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt::RcvBufForce},
};
use tracing::debug;

use super::message::{CN_PROC, Event, Message, ignore, listen, listen_to_what_is_used};
use crate::{
    clock::Anchor,
    sources::worker::{End, Worker},
};

/// Room for about 10,000 events that are not read yet; the kernel takes twice what is asked for, and counts some 0.8
/// KiB an event.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// An event takes 76 bytes.
const MESSAGE_MAX: usize = 512;
/// The kernel answers before sending returns; this is for a machine that hardly moves.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Socket {
    netlink: Netlink,
}

/// The result of reading from the socket.
pub(super) enum Received {
    Message(Message),
    /// Nothing more for now.
    Empty,
    /// The kernel's buffer had no space for some.
    Overrun,
}

impl Socket {
    /// Opens the socket and subscribes to the kernel's process events.
    pub(super) fn open(worker: &Worker) -> Result<Self, End> {
        let absent = |error: io::Error| {
            End::absent(match error.kind() {
                io::ErrorKind::PermissionDenied => health::health_connector_needs(error.to_string()),
                io::ErrorKind::ConnectionRefused => health::health_connector_network(),
                _ => health::health_no_connector(error.to_string()),
            })
        };
        let mut netlink = Netlink::new(NETLINK_CONNECTOR).map_err(absent)?;
        netlink.set_non_blocking(true).map_err(absent)?;
        netlink.bind(&SocketAddr::new(0, CN_PROC)).map_err(absent)?;
        if let Err(error) = setsockopt(&netlink, RcvBufForce, &RECEIVE_BUFFER) {
            debug!(%error, "The process connector keeps its small receive buffer");
        }
        let socket = Self { netlink };
        // Answers go to every listener, so ours has to be distinguished from others'.
        let token = process::id() ^ Anchor::now().monotonic.subsec_nanos();
        socket.send(&listen(token)).map_err(absent)?;
        match socket.answer(token, worker)? {
            Some(0) => {}
            Some(error) => return Err(absent(io::Error::from_raw_os_error(error.cast_signed()))),
            None => return Err(End::absent(health::health_connector_namespace())),
        }
        socket.send(&listen_to_what_is_used()).map_err(absent)?;
        Ok(socket)
    }

    /// The error code of the answer to our request, if there is one.
    fn answer(&self, token: u32, worker: &Worker) -> Result<Option<u32>, End> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            match self.receive()? {
                Received::Message(Message { event: Event::Answer { token: of, error }, .. }) if of == token => {
                    return Ok(Some(error));
                }
                Received::Message(_) | Received::Overrun => {}
                Received::Empty => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(None);
                    }
                    worker.readable(self.as_fd(), Some(left))?;
                }
            }
        }
    }

    /// The next message, without waiting.
    pub(super) fn receive(&self) -> Result<Received, End> {
        loop {
            let mut buffer = [0; MESSAGE_MAX];
            match self.netlink.recv_from(&mut &mut buffer[..], 0) {
                // Only the kernel has port 0; other programs could send us what they like.
                Ok((length, from)) if from.port_number() == 0 => {
                    if let Some(message) = buffer.get(..length).and_then(Message::parse) {
                        return Ok(Received::Message(message));
                    }
                }
                Ok(_) => {}
                Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
                    Errno::EAGAIN => return Ok(Received::Empty),
                    Errno::ENOBUFS => return Ok(Received::Overrun),
                    Errno::EINTR => {}
                    _ => return Err(End::failed("recv from the process connector")(error)),
                },
            }
        }
    }

    fn send(&self, request: &[u8]) -> io::Result<usize> {
        self.netlink.send_to(request, &SocketAddr::new(0, 0), 0)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = self.send(&ignore()) {
            debug!(%error, "The process connector was not informed that this listener has ended");
        }
    }
}
