//! The messages of the process connector.
//!
//! Mirrors `include/uapi/linux/{netlink,connector,cn_proc}.h`: a netlink header (16 bytes), a `cn_msg` (20 bytes) and a
//! `proc_event`, all in the machine's byte order. In a `proc_event`, what, processor and time are followed by the data
//! of that kind.

use std::time::Duration;

/// Multicast group and connector id of the process connector (`CN_IDX_PROC`, `CN_VAL_PROC`).
pub(super) const CN_PROC: u32 = 1;

const NLMSG_DONE: u16 = 3;
const NETLINK_HEADER: usize = 16;
const CONNECTOR_HEADER: usize = 20;

const MCAST_LISTEN: u32 = 1;
const MCAST_IGNORE: u32 = 2;

const EVENT_NONE: u32 = 0;
const EVENT_FORK: u32 = 1;
const EVENT_EXEC: u32 = 2;
const EVENT_EXIT: u32 = 0x8000_0000;

/// A message of the process connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// When it happened, by CLOCK_MONOTONIC.
    pub(super) at: Duration,
    pub(super) event: Event,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The answer to a request, ours or another listener's.
    Answer {
        /// The request's.
        token: u32,
        /// An errno, or 0.
        error: u32,
    },
    /// A new thread, of a new process if `child_thread` and `child` are the same.
    Fork { parent: i32, child: i32, child_thread: i32 },
    /// A process runs another program.
    Exec { process: i32 },
    /// A thread ended, with the raw status word of its own.
    Exit { process: i32, thread: i32, status: u32 },
    /// Anything else.
    Other,
}

impl Message {
    /// One datagram. `None` where it is not a message of the process connector, or is cut short.
    pub(super) fn parse(datagram: &[u8]) -> Option<Self> {
        let length = usize::try_from(word(datagram, 0)?).ok()?;
        let connector = datagram.get(NETLINK_HEADER..length)?;
        if (word(connector, 0)?, word(connector, 4)?) != (CN_PROC, CN_PROC) {
            return None;
        }
        let event = connector.get(CONNECTOR_HEADER..)?;
        let data = event.get(16..)?;
        let id = |at| word(data, at).map(u32::cast_signed);
        Some(Self {
            at: Duration::from_nanos(u64::from_ne_bytes(event.get(8..16)?.try_into().ok()?)),
            event: match word(event, 0)? {
                EVENT_NONE => Event::Answer { token: word(connector, 12)?.wrapping_sub(1), error: word(data, 0)? },
                EVENT_FORK => Event::Fork { parent: id(4)?, child_thread: id(8)?, child: id(12)? },
                EVENT_EXEC => Event::Exec { process: id(4)? },
                EVENT_EXIT => Event::Exit { thread: id(0)?, process: id(4)?, status: word(data, 8)? },
                _ => Event::Other,
            },
        })
    }
}

/// Asks for all events. The answer carries the token.
pub(super) fn listen(token: u32) -> Vec<u8> {
    request(token, &[MCAST_LISTEN])
}

/// Asks for the events that we use, and no others: no answer either. Kernels before 6.6 take no notice.
pub(super) fn listen_to_what_is_used() -> Vec<u8> {
    request(0, &[MCAST_LISTEN, EVENT_FORK | EVENT_EXEC | EVENT_EXIT])
}

/// Asks for no more events. Kernels before 6.6 do not notice that a listener is gone.
pub(super) fn ignore() -> Vec<u8> {
    request(0, &[MCAST_IGNORE])
}

fn request(token: u32, data: &[u32]) -> Vec<u8> {
    let data_length = u16::try_from(data.len() * 4).unwrap_or_default();
    let mut message = Vec::with_capacity(NETLINK_HEADER + CONNECTOR_HEADER + usize::from(data_length));
    for word in [u32::from(data_length) + 36, u32::from_ne_bytes(packed(NLMSG_DONE, 0)), 0, 0] {
        message.extend(word.to_ne_bytes());
    }
    for word in [CN_PROC, CN_PROC, 0, token, u32::from_ne_bytes(packed(data_length, 0))].iter().chain(data) {
        message.extend(word.to_ne_bytes());
    }
    message
}

fn packed(first: u16, second: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    [a, b, c, d]
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(what: u32, data: &[u32]) -> Vec<u8> {
        let mut event = request(78, &[what, 0]);
        event.extend(1_500_000_000_u64.to_ne_bytes());
        event.extend(data.iter().flat_map(|word| word.to_ne_bytes()));
        event.resize(16 + 20 + 16 + 24, 0);
        let length = u32::try_from(event.len()).unwrap();
        event[..4].copy_from_slice(&length.to_ne_bytes());
        event
    }

    #[test]
    fn reads_each_kind_of_event() {
        for (what, data, event) in [
            (EVENT_NONE, vec![1], Event::Answer { token: 77, error: 1 }),
            (EVENT_FORK, vec![10, 11, 12, 13], Event::Fork { parent: 11, child_thread: 12, child: 13 }),
            (EVENT_EXEC, vec![10, 11], Event::Exec { process: 11 }),
            (EVENT_EXIT, vec![10, 11, 0x8900, 17, 1, 1], Event::Exit { thread: 10, process: 11, status: 0x8900 }),
            (0x200, vec![10, 11], Event::Other),
        ] {
            let at = Duration::from_millis(1500);
            assert_eq!(Message::parse(&datagram(what, &data)), Some(Message { at, event }));
        }
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        let whole = datagram(EVENT_EXIT, &[10, 11, 9, 17, 1, 1]);
        for length in 0..whole.len() {
            assert_eq!(Message::parse(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _message = Message::parse(&bytes);
        }

        #[test]
        fn any_lengths_are_read_without_panic(length: u32, what: u32, cut in 0..80_usize) {
            let mut bytes = datagram(what, &[1, 2, 3, 4]);
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            bytes.truncate(cut);
            let _message = Message::parse(&bytes);
        }
    }
}
