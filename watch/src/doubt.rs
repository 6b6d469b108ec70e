//! A watch that broke and gives nothing: that it works again shows by its next event only. Where none comes for a
//! while, the watch is restarted, and its list shows it.

use std::time::Duration;

use coroner_runtime::backoff::jittered;
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use kube::runtime::watcher::{self, Event};
use tokio::time::{Instant, timeout_at};

/// How long a watch that broke may give nothing. Most that break give their next event sooner, and need no new list.
const PATIENCE: Duration = Duration::from_secs(40);

/// The events of a watch, which is restarted when it gives nothing for long after an error.
pub(crate) fn doubted<K>(
    begin: impl Fn() -> BoxStream<'static, Result<Event<K>, watcher::Error>>,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> {
    let watch = begin();
    stream::unfold((watch, None, begin), |(mut watch, mut doubted_at, begin)| async move {
        loop {
            let event = match doubted_at {
                None => watch.next().await,
                Some(at) => match timeout_at(at, watch.next()).await {
                    Ok(event) => event,
                    Err(_) => {
                        (watch, doubted_at) = (begin(), None);
                        continue;
                    }
                },
            }?;
            doubted_at = event.is_err().then(|| Instant::now() + jittered(PATIENCE));
            return Some((event, (watch, doubted_at, begin)));
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, sync::Mutex};

    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    fn broken() -> Result<Event<Pod>, watcher::Error> {
        Err(watcher::Error::NoResourceVersion)
    }

    /// The kinds of the events, and how often a watch was begun.
    async fn seen(watches: Vec<Vec<Result<Event<Pod>, watcher::Error>>>, count: usize) -> (Vec<&'static str>, usize) {
        let watches = Mutex::new(VecDeque::from(watches));
        let all = watches.lock().unwrap().len();
        let begin = || stream::iter(watches.lock().unwrap().pop_front().unwrap()).chain(stream::pending()).boxed();
        let kind = |event| match event {
            Ok(Event::InitDone) => "listed",
            Ok(_) => "event",
            Err(_) => "broken",
        };
        let kinds = doubted(begin).map(kind).take(count).collect().await;
        (kinds, all - watches.lock().unwrap().len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_gives_nothing_after_it_broke_is_restarted() {
        let start = Instant::now();
        let watches = vec![vec![broken()], vec![Ok(Event::Init), Ok(Event::InitDone)]];
        assert_eq!(seen(watches, 3).await, (vec!["broken", "event", "listed"], 2));
        assert!(start.elapsed() <= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_goes_on_by_itself_is_left_alone() {
        let watches = vec![vec![broken(), Ok(Event::Delete(Pod::default()))]];
        let quiet = tokio::time::timeout(10 * PATIENCE, seen(watches, 3));
        assert!(quiet.await.is_err(), "nothing more comes, and no other watch is begun");
    }
}
