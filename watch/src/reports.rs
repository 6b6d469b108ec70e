//! What a watch reports, object by object and as it comes.

use std::fmt::Debug;

use coroner_diagnosis::{messages::health, observation::Health};
use futures::{Stream, StreamExt as _, stream};
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Error, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use crate::doubt::doubted;

/// A change of an object, or of the health of its watch.
#[derive(Clone, Debug, PartialEq)]
pub enum Report<T> {
    /// All objects are about to be listed.
    ListBegun,
    /// An object is there: new, changed, or listed.
    Applied(T),
    /// An object is gone; as it was last.
    Deleted(T),
    /// All were listed: what was not among them is gone. Without this the list was broken off, and another one begins.
    ListDone,
    /// How well the watch works, at start and at each change.
    Health(Health),
}

/// Watches the objects that `fields` selects (all, if it is empty), for ever. A list is asked for in pages of so many
/// objects: what of them is not kept is in memory until the next. `prune` takes of each what is needed. Nothing is kept
/// here.
pub fn reports<K, T>(
    api: Api<K>,
    fields: &str,
    page: u32,
    resource: &'static str,
    prune: impl Fn(&K) -> T + Send + 'static,
) -> impl Stream<Item = Report<T>> + Send + 'static
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Send + 'static,
{
    let config = watcher::Config::default().page_size(page);
    let config = if fields.is_empty() { config } else { config.fields(fields) };
    let mut last = None;
    let mut health = move |health: Health| {
        let is_news = last.as_ref() != Some(&health);
        last = Some(health.clone());
        is_news.then_some(Report::Health(health))
    };
    let begin = move || watcher(api.clone(), config.clone()).default_backoff().boxed();
    doubted(begin).flat_map(move |event| {
        let (report, health) = match event {
            Ok(Event::Init) => (Some(Report::ListBegun), None),
            Ok(Event::InitApply(object)) => (Some(Report::Applied(prune(&object))), None),
            Ok(Event::InitDone) => (Some(Report::ListDone), health(Health::Ok)),
            Ok(Event::Apply(object)) => (Some(Report::Applied(prune(&object))), health(Health::Ok)),
            Ok(Event::Delete(object)) => (Some(Report::Deleted(prune(&object))), health(Health::Ok)),
            Err(error) => (None, health(broken(resource, &error))),
        };
        stream::iter([report, health].into_iter().flatten())
    })
}

fn broken(resource: &str, error: &Error) -> Health {
    let code = match error {
        Error::InitialListFailed(kube::Error::Api(status)) | Error::WatchStartFailed(kube::Error::Api(status)) => {
            status.code
        }
        Error::WatchError(status) => status.code,
        _ => 0,
    };
    match code {
        401 | 403 => Health::Absent(health::health_watch_refused(resource, error.to_string()).into()),
        404 => Health::Absent(health::health_watch_unknown(resource).into()),
        0 => Health::Degraded(health::health_watch_broken(resource, error.to_string()).into()),
        code => Health::Degraded(health::health_watch_failed(resource, code.to_string(), error.to_string()).into()),
    }
}
