//! A stand-in for the API server of a large cluster: Services with a Deployment, its ReplicaSets, an EndpointSlice and
//! pods each.
//!
//! Objects are of usual size and written as they are asked for, so that it costs little beside what is measured. It
//! lists in pages and watches; of watches only that of pods reports something, while pods are replaced.

mod objects;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::stream;
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode, Uri};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use self::objects::{Objects, Phase, Replica};
use crate::http::{self, Body, Server};

/// Events come in bursts of so many.
const BURST: u64 = 3;

/// How large a cluster.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Nodes.
    pub nodes: u64,
    /// Namespaces, among which Services are distributed.
    pub namespaces: u64,
    /// Services.
    pub services: u64,
    /// Pods of each Service.
    pub pods: u64,
}

/// The server.
#[derive(Debug)]
pub struct LargeCluster {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    objects: Objects,
    /// Pods are being replaced, with 300 events a second.
    is_busy: AtomicBool,
    /// Events of pods so far.
    events: AtomicU64,
}

impl LargeCluster {
    /// Starts it.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn start(size: Size) -> Result<Self> {
        let objects = Objects::new(size);
        let shared = Arc::new(Shared { objects, is_busy: AtomicBool::new(false), events: AtomicU64::new(0) });
        let of_handler = Arc::clone(&shared);
        let server = Server::start(None, move |request| {
            let answer = Arc::clone(&of_handler).answer(&request);
            async move { answer }
        });
        Ok(Self { server: server.await?, shared })
    }

    /// Writes a kubeconfig for it.
    ///
    /// # Errors
    /// What the file system refused.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": format!("http://{}", self.server.address)}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "users": [{"name": "tests", "user": {"token": "any"}}],
        });
        fs::write(path, config.to_string()).with_context(|| format!("writing {path:?}"))
    }

    /// Whether pods are replaced: 300 events a second, seven for each pod.
    pub fn set_busy(&self, busy: bool) {
        self.shared.is_busy.store(busy, Ordering::Relaxed);
    }

    /// Events of pods so far.
    pub fn events(&self) -> u64 {
        self.shared.events.load(Ordering::Relaxed)
    }

    /// Bytes of a pod.
    pub fn pod_bytes(&self) -> usize {
        self.shared.objects.pod(Replica { number: 0, generation: 0, phase: Phase::Ready }).len()
    }
}

impl Shared {
    fn answer(self: Arc<Self>, request: &Request<hyper::body::Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let resource = path.rsplit('/').next().unwrap_or_default();
        if path.ends_with("/namespaces/kube-system") {
            let namespace = json!({"kind": "Namespace", "apiVersion": "v1",
                                   "metadata": {"name": "kube-system", "uid": "uid-of-the-cluster"}});
            return http::answer(StatusCode::OK, namespace.to_string());
        }
        let argument = |name: &str| argument(request.uri(), name);
        let selects_waiting = argument("fieldSelector").is_some_and(|fields| fields.starts_with("spec.nodeName"));
        if argument("watch").is_some() {
            return match resource {
                "pods" if !selects_waiting => http::stream(self.pod_events()),
                _ => http::stream(stream::pending()),
            };
        }
        let Size { nodes, services, pods, .. } = self.objects.size;
        let (count, object): (u64, fn(&Objects, u64) -> String) = match resource {
            "pods" if selects_waiting => (0, Objects::node),
            "pods" => (services * pods, |all, number| all.pod(Replica { number, generation: 0, phase: Phase::Ready })),
            "nodes" => (nodes, Objects::node),
            "services" => (services, Objects::service),
            "endpointslices" => (services, Objects::slice),
            "deployments" => (services, Objects::deployment),
            // The one that is in use and the one before it.
            "replicasets" => (2 * services, Objects::replica_set),
            _ => (0, Objects::node),
        };
        let first: u64 = argument("continue").and_then(|text| text.parse().ok()).unwrap_or(0);
        let limit: u64 = argument("limit").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
        let end = first.saturating_add(limit).min(count);
        let items: Vec<String> = (first..end).map(|number| object(&self.objects, number)).collect();
        let token = if end < count { end.to_string() } else { String::new() };
        let list = format!(
            r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"1","continue":"{token}"}},"items":[{}]}}"#,
            items.join(",")
        );
        http::answer(StatusCode::OK, list)
    }

    fn pod_events(self: Arc<Self>) -> impl stream::Stream<Item = Bytes> + Send + 'static {
        let mut ticks = interval(Duration::from_millis(1000 * BURST / 300));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        stream::unfold((self, ticks), async |(shared, mut ticks)| {
            loop {
                ticks.tick().await;
                if shared.is_busy.load(Ordering::Relaxed) {
                    let first = shared.events.fetch_add(BURST, Ordering::Relaxed);
                    let lines: String = (first..first + BURST).map(|number| shared.pod_event(number)).collect();
                    return Some((Bytes::from(lines), (shared, ticks)));
                }
            }
        })
    }

    /// The event of this number. Pods are replaced one after the other, as in a rollout through the whole cluster.
    fn pod_event(&self, event: u64) -> String {
        let (replaced, step) = (event / 7, event % 7);
        let pods = self.objects.size.services * self.objects.size.pods;
        // Far from each other, as the pods of different workloads are.
        let number = replaced * 7919 % pods;
        let generation = replaced / pods;
        let (change, generation, phase) = match step {
            0 => ("ADDED", generation + 1, Phase::Created),
            1 => ("MODIFIED", generation + 1, Phase::Bound),
            2 => ("MODIFIED", generation + 1, Phase::Started),
            3 => ("MODIFIED", generation + 1, Phase::Ready),
            4 => ("MODIFIED", generation, Phase::Deleted),
            5 => ("MODIFIED", generation, Phase::Ended),
            _ => ("DELETED", generation, Phase::Ended),
        };
        let pod = self.objects.pod(Replica { number, generation, phase });
        format!("{{\"type\":\"{change}\",\"object\":{pod}}}\n")
    }
}

fn argument(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
}
