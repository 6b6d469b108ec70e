//! Reads the message of a request: into memory that was set aside for it, in bounded time, and measured before it is
//! decoded.

use std::{pin::pin, sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use tokio::{sync::Semaphore, time::timeout};
use tonic::{Code, Status, body::Body};

use super::{
    decoded::{Shape, shape},
    pool::{Pool, Reserved},
};
use crate::{budget::Budget, unavailable::unavailable};

/// How long a request may wait for memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing may come of a request that has begun.
const STALL: Duration = Duration::from_secs(5);
/// How long a request may take to come.
const DEADLINE: Duration = Duration::from_secs(20);
/// Before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// What the lists of a decoded message may take beside twice its bytes: a push of as many records as it may have takes
/// less.
const LISTS: u64 = 1 << 20;
/// The same of small messages: so much, and so many times their bytes.
const LISTS_OF_SMALL: (u64, u64) = (16 << 10, 512);
/// A message lies in memory as it came, as texts of what it is decoded to, and as what is stored of it.
const COPIES: u64 = 3;
/// Requests that take no more share half of the memory, so that large ones never keep them waiting.
const SMALL: u64 = 4 << 20;

/// The memory for the bodies of all callers' requests.
#[derive(Clone, Debug)]
pub(super) struct Uploads {
    waiting: Arc<Semaphore>,
    small: Pool,
    large: Pool,
}

/// A message, as HTTP/2 carries it, and the memory that is reserved for it and for its decoded form.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) body: Bytes,
    pub(super) reserved: Reserved,
}

impl Uploads {
    pub(super) fn new(budget: Budget) -> Self {
        let half = budget.request_bytes() / 2;
        let waiting = Arc::new(Semaphore::new(budget.waiting_requests()));
        Self { waiting, small: Pool::new(half), large: Pool::new(half) }
    }

    /// Reads a request's body, which is to hold one message of this name and of at most so many bytes.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for what is no such message; `UNAVAILABLE` if no memory is free, or it does not arrive in
    /// time.
    pub(super) async fn read(&self, body: Body, message: &str, most: usize) -> Result<Upload, Status> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned();
        let waiting = waiting.map_err(|_| unavailable("too many requests wait to be read"))?;
        let reading = async {
            let mut body = pin!(body);
            let mut received = BytesMut::new();
            while received.len() < PREFIX && next(&mut body, &mut received, PREFIX + most).await? {}
            let length = length(&received, most)?;
            let cost = COPIES * length as u64 + most_in_lists(length);
            let pool = if cost <= SMALL { &self.small } else { &self.large };
            let reserved = pool.take(cost, PATIENCE).await;
            let mut reserved = reserved.ok_or_else(|| unavailable("no memory is free for the request at present"))?;
            drop(waiting);
            received.reserve(PREFIX + length - received.len().min(PREFIX + length));
            while next(&mut body, &mut received, PREFIX + length).await? {}
            let is_whole = received.len() == PREFIX + length;
            if !is_whole {
                return Err(Status::invalid_argument("the request is not one message"));
            }
            let shape = shape(message).ok_or_else(|| Status::internal("a message that is not described"))?;
            reserved.shrink(COPIES * length as u64 + lists(shape, &received[PREFIX..])?);
            Ok(Upload { body: received.freeze(), reserved })
        };
        timeout(DEADLINE, reading).await.unwrap_or_else(|_| Err(unavailable("the request took too long to come")))
    }
}

/// Bytes of the lists of a message when it is decoded.
fn lists(shape: &Shape, message: &[u8]) -> Result<u64, Status> {
    let bytes = shape.list_bytes(message).ok_or_else(|| Status::invalid_argument("the message cannot be decoded"))?;
    if bytes > most_in_lists(message.len()) {
        return Err(Status::invalid_argument("the message's lists have too many entries for its size"));
    }
    Ok(bytes)
}

/// What the lists of a message of so many bytes may take.
fn most_in_lists(length: usize) -> u64 {
    let (least, times) = LISTS_OF_SMALL;
    2 * length as u64 + LISTS.min(least + times * length as u64)
}

/// Bytes of the message behind a prefix; of at most so many.
fn length(received: &[u8], most: usize) -> Result<usize, Status> {
    let Some((&[compressed, ref length @ ..], _)) = received.split_first_chunk::<PREFIX>() else {
        return Err(Status::invalid_argument("the request is not one message"));
    };
    if compressed != 0 {
        return Err(Status::new(Code::Unimplemented, "compressed messages are not taken"));
    }
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > most {
        return Err(Status::invalid_argument(format!("the message has {length} bytes, and {most} are the most")));
    }
    Ok(length)
}

/// Takes the next part of a body behind what was received; false at its end.
async fn next(body: &mut std::pin::Pin<&mut Body>, received: &mut BytesMut, most: usize) -> Result<bool, Status> {
    loop {
        let frame = timeout(STALL, body.frame()).await;
        let frame = frame.map_err(|_| unavailable("nothing more of the request comes"))?;
        let Some(frame) = frame else { return Ok(false) };
        let Ok(data) = frame.map_err(|_| Status::cancelled("the request broke off"))?.into_data() else { continue };
        if received.len() + data.len() > most {
            return Err(Status::invalid_argument("the request is not one message of the size in its header"));
        }
        received.put(data);
        return Ok(true);
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{OutboxRecord, PushDiagnosesRequest};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use prost::Message as _;

    use super::*;

    const PUSH: &str = ".coroner.v1.PushDiagnosesRequest";
    const MOST: usize = 2 << 20;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0], &length[..], message].concat()
    }

    fn body(parts: Vec<Vec<u8>>, then_ends: bool) -> Body {
        let parts = futures::stream::iter(parts.into_iter().map(|part| Ok::<_, Status>(Frame::data(part.into()))));
        let rest = futures::stream::once(async move {
            if !then_ends {
                std::future::pending::<()>().await;
            }
        });
        let rest = futures::StreamExt::filter_map(rest, |()| std::future::ready(None));
        Body::new(StreamBody::new(futures::StreamExt::chain(parts, rest)))
    }

    async fn read(body: Body) -> Result<Bytes, Code> {
        let uploads = Uploads::new(Budget::of(256 << 20));
        uploads.read(body, PUSH, MOST).await.map(|upload| upload.body).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn a_message_is_taken_in_whatever_parts_it_comes() {
        let message = PushDiagnosesRequest { node: "n1".into(), ..Default::default() }.encode_to_vec();
        let whole = framed(&message);
        for size in [1, 4, 5, 6, whole.len()] {
            let parts = whole.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(read(body(parts, true)).await.as_deref(), Ok(&*whole), "{size}");
        }
        assert_eq!(read(body(vec![framed(&[])], true)).await.as_deref(), Ok(&*framed(&[])));
    }

    #[tokio::test]
    async fn what_is_not_one_message_is_refused() {
        let whole = framed(&[10, 2, b'n', b'1']);
        let wrong = [
            vec![],
            whole[..3].to_vec(),
            whole[..8].to_vec(),
            [&*whole, &[0]].concat(),
            framed(&[10, 200, 1]),
            [&[0], &u32::MAX.to_be_bytes()[..]].concat(),
        ];
        for bytes in wrong {
            assert_eq!(read(body(vec![bytes.clone()], true)).await, Err(Code::InvalidArgument), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_million_empty_records_are_refused_before_they_are_decoded() {
        let records = vec![OutboxRecord::default(); 500_000];
        let message = PushDiagnosesRequest { records, ..Default::default() }.encode_to_vec();
        assert!(message.len() < MOST);
        assert_eq!(read(body(vec![framed(&message)], true)).await, Err(Code::InvalidArgument));
        let records = vec![OutboxRecord { sequence: 1, record: None }; 500];
        let message = PushDiagnosesRequest { records, ..Default::default() }.encode_to_vec();
        assert!(read(body(vec![framed(&message)], true)).await.is_ok(), "as many as a push may have");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_cut_and_its_memory_is_released() {
        let uploads = Uploads::new(Budget::of(256 << 20));
        let stalled = || body(vec![framed(&vec![0; MOST])[..100].to_vec()], false);
        for _ in 0..10 {
            let cut = uploads.read(stalled(), PUSH, MOST).await.unwrap_err();
            assert_eq!(cut.code(), Code::Unavailable);
        }
        let sound = uploads.read(body(vec![framed(&[])], true), PUSH, MOST).await;
        assert!(sound.is_ok());
    }
}
