//! Answers on their way: whatever an answer holds, it holds until its last byte has been given to the socket or its
//! connection is gone.
//!
//! HTTP/2 lets a client keep an answer from being sent (its window is 0), and the socket lets it too. So the bytes
//! themselves carry the place of their answer, a stream is asked for more only when most of what it gave is sent, and a
//! connection on which nothing of an answer is sent for a while is cut.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::task::AtomicWaker;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use prost::bytes::Bytes;
use tokio::time::sleep;
use tonic::{Status, body::Body};

use super::pool::Reserved;
use crate::auth::{Peer, Slot};

/// How often it is looked whether anything of an answer is sent.
const LOOK: Duration = Duration::from_secs(30);
/// Looks in a row at which nothing more of an answer may have been sent.
const STALLS: u32 = 1;
/// The same of a stream, whose service ends it before.
const STALLS_OF_STREAM: u32 = 4;
/// Looks within which an answer that is no stream has to be sent.
const LOOKS: u32 = 4;
/// Bytes of an answer that are handed over at once.
const PIECE: usize = 64 << 10;
/// Bytes that may be on their way before a stream is asked for more.
const UNDER_WAY: usize = 192 << 10;

/// The reservations that an answer holds until it is sent.
#[derive(Debug)]
pub(super) struct Held {
    /// A stream lasts, and holds a place of its own kind.
    pub(super) is_stream: bool,
    pub(super) reserved: Option<Reserved>,
    pub(super) _slot: Option<Slot>,
}

/// All answers that are on their way. One task looks at them: a timer for each would cost more than most answers do.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    places: BTreeMap<u64, Weak<Place>>,
}

impl Answers {
    /// Cuts the connections on which nothing of an answer is sent for a while, though there is something to send.
    pub(super) async fn cut_stalled(&self) -> Infallible {
        loop {
            sleep(LOOK).await;
            // The last to leave a place takes the lock.
            let places: Vec<_> = self.open().places.values().filter_map(Weak::upgrade).collect();
            places.iter().filter(|place| place.look()).for_each(|place| place.cut());
        }
    }

    fn enter(&self, held: Held, peer: Peer) -> Arc<Place> {
        let mut open = self.open();
        open.next += 1;
        let place = Arc::new(Place {
            number: open.next,
            answers: self.clone(),
            is_stream: held.is_stream,
            held: Mutex::new(held),
            peer,
            unsent: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            waker: AtomicWaker::new(),
            seen: Mutex::default(),
        });
        open.places.insert(place.number, Arc::downgrade(&place));
        place
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of an answer, which its bytes share.
#[derive(Debug)]
struct Place {
    /// Among all.
    number: u64,
    answers: Answers,
    held: Mutex<Held>,
    is_stream: bool,
    /// Who reads it.
    peer: Peer,
    /// Bytes that were handed over and not yet sent.
    unsent: AtomicUsize,
    /// Bytes that were sent.
    sent: AtomicU64,
    waker: AtomicWaker,
    seen: Mutex<Seen>,
}

/// What was seen of an answer so far.
#[derive(Debug, Default)]
struct Seen {
    looks: u32,
    /// What had been sent at the last look, if there was more to send.
    sent: Option<u64>,
    /// Looks in a row since then at which nothing more had been sent.
    stalls: u32,
}

impl Place {
    /// Gives back what was set aside for making the answer: it has so many bytes.
    fn shrink(&self, bytes: u64) {
        if let Some(reserved) = &mut self.held.lock().unwrap_or_else(PoisonError::into_inner).reserved {
            reserved.shrink(bytes);
        }
    }

    /// Looks once more. True if it is sent too slowly.
    fn look(&self) -> bool {
        let (unsent, sent) = (self.unsent.load(Relaxed), self.sent.load(Relaxed));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stalls = if unsent > 0 && seen.sent == Some(sent) { seen.stalls + 1 } else { 0 };
        *seen = Seen { looks: seen.looks.saturating_add(1), sent: (unsent > 0).then_some(sent), stalls };
        match self.is_stream {
            true => stalls >= STALLS_OF_STREAM,
            false => stalls >= STALLS || (unsent > 0 && seen.looks >= LOOKS),
        }
    }

    fn cut(&self) {
        let unsent = self.unsent.load(Relaxed);
        tracing::warn!(peer = %self.peer.address, unsent, "A connection is closed: an answer was not read for too long");
        self.peer.close();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.answers.open().places.remove(&self.number);
    }
}

/// Some bytes of an answer.
struct Piece {
    bytes: Bytes,
    place: Arc<Place>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.place.unsent.fetch_sub(self.bytes.len(), Relaxed);
        self.place.sent.fetch_add(self.bytes.len() as u64, Relaxed);
        self.place.waker.wake();
    }
}

/// The body of an answer, which holds its reservations.
#[derive(Debug)]
pub(super) struct Answer {
    inner: Body,
    /// What has been taken of the inner body and not handed over.
    ready: Bytes,
    place: Arc<Place>,
}

impl Answer {
    /// An answer that holds this until it is sent, over a connection with this peer.
    pub(super) fn new(inner: Body, held: Held, peer: Peer, answers: &Answers) -> Self {
        Self { inner, ready: Bytes::new(), place: answers.enter(held, peer) }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.place.unsent.load(Relaxed) >= UNDER_WAY {
            self.place.waker.register(context.waker());
            if self.place.unsent.load(Relaxed) >= UNDER_WAY {
                return Poll::Pending;
            }
        }
        if self.ready.is_empty() {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                ended => return Poll::Ready(ended),
            };
            match frame.into_data() {
                Ok(data) => {
                    self.place.shrink(data.len() as u64);
                    self.ready = data;
                }
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = self.ready.len().min(PIECE);
        let bytes = self.ready.split_to(length);
        self.place.unsent.fetch_add(length, Relaxed);
        let piece = Piece { bytes, place: Arc::clone(&self.place) };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use http_body_util::{BodyExt as _, Full};

    use super::{super::pool::Pool, *};
    use crate::auth::{Address, Connections, Credentials};

    const SECOND: Duration = Duration::from_secs(1);

    async fn answer(pool: &Pool, bytes: usize, peer: &Peer, answers: &Answers) -> Answer {
        let held = Held { is_stream: false, _slot: None, reserved: pool.take(512 << 10, SECOND).await };
        let body = Full::new(Bytes::from(vec![7; bytes])).map_err(|never| match never {});
        Answer::new(Body::new(body), held, peer.clone(), answers)
    }

    fn local() -> Peer {
        Peer::new(Address::Unix, Credentials::NotAsked, None)
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_answer_holds_comes_back_with_its_last_byte() {
        let pool = Pool::new(1 << 20);
        let answers = Answers::default();
        let mut answer = answer(&pool, 200 << 10, &local(), &answers).await;
        assert!(pool.take(900 << 10, SECOND).await.is_none(), "it is set aside for the answer");
        let mut pieces = Vec::new();
        while let Some(frame) = answer.frame().now_or_never() {
            pieces.push(frame.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>(), UNDER_WAY, "more waits until these are sent");
        assert!(pool.take(800 << 10, SECOND).await.is_some(), "it holds what it has, not what it might have had");
        pieces.clear();
        while let Some(Some(frame)) = answer.frame().now_or_never() {
            drop(frame.unwrap());
        }
        let last = answer.frame().now_or_never();
        assert!(matches!(last, Some(None)), "it ends");
        assert!(pool.take(1 << 20, SECOND).await.is_none());
        drop(answer);
        assert!(pool.take(1 << 20, SECOND).await.is_some());
        assert!(answers.open().places.is_empty(), "nothing is kept of it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_answer_is_not_read_is_closed() {
        let connections = Arc::new(Connections::new(64));
        let place = Arc::new(connections.enter([10, 0, 0, 1].into()).unwrap());
        let peer = Peer::new(Address::Tcp(([10, 0, 0, 1], 1).into()), Credentials::NotAsked, Some(Arc::clone(&place)));
        let (pool, answers) = (Pool::new(1 << 20), Answers::default());
        let looking = tokio::spawn({
            let answers = answers.clone();
            async move { answers.cut_stalled().await }
        });
        let mut read = answer(&pool, 10, &peer, &answers).await;
        drop(read.frame().await);
        sleep(SECOND).await;
        let mut unread = answer(&pool, 10, &peer, &answers).await;
        let piece = unread.frame().await;
        sleep(LOOK).await;
        assert!(!place.closed().is_cancelled());
        sleep(LOOK + SECOND).await;
        assert!(place.closed().is_cancelled());
        drop((read, piece));
        looking.abort();
    }
}
