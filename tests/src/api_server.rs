//! A stand-in for the API server that implements its protocol: lists in chunks, watches with bookmarks that end and
//! resume, field selectors, 401, 403, 404 and 410 (<https://kubernetes.io/docs/reference/using-api/api-concepts/>); and
//! reviews of tokens and of what users may see.
//!
//! Objects are kept as JSON, so that what a client makes of them is its own doing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, Result};
use futures::stream;
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use hyper::{Method, Request, Response, StatusCode, Uri};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::http::{self, Body, Server};
use crate::kubelet_server::VALID;

/// What its clients show.
pub const TOKEN: &str = "a-token-of-the-tests";
/// As the version from which a watch goes on: it has ended.
const ENDED: usize = usize::MAX;

/// The server.
#[derive(Debug)]
pub struct ApiServer {
    server: Server,
    shared: Arc<Shared>,
    /// That of its TLS, PEM.
    certificate: Option<String>,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    /// Rises with each change, and with each cut.
    changed: watch::Sender<usize>,
}

/// What was asked, in the order in which it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The component whose kubeconfig it was; may be empty.
    pub by: String,
    /// As `apps`; empty for the core.
    pub group: String,
    /// As `pods`.
    pub resource: String,
    /// `get`, `list`, `watch` or `create`.
    pub verb: &'static str,
    /// The field selector, or the name.
    pub of: String,
}

#[derive(Debug, Default)]
struct Store {
    version: usize,
    objects: BTreeMap<Key, Value>,
    log: Vec<Logged>,
    /// Watches from before this version are too late.
    compacted: usize,
    forbidden: BTreeSet<String>,
    failing: BTreeSet<String>,
    cuts: usize,
    asked: Vec<Asked>,
    tokens: BTreeMap<String, Grant>,
    /// User, resource, namespace.
    allowed: BTreeSet<[String; 3]>,
}

/// Whose a token is.
#[derive(Debug)]
struct Grant {
    user: String,
    audience: String,
    node: Option<String>,
}

/// Resource, namespace, name.
type Key = (String, String, String);

#[derive(Clone, Debug)]
struct Logged {
    version: usize,
    resource: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl ApiServer {
    /// Starts one without objects, but for the namespace `kube-system`, whose uid is the cluster's.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// The same with TLS, in which it offers HTTP/2 and HTTP/1.1 as the real one does.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn start_with_tls() -> Result<Self> {
        let key = KeyPair::generate().context("making the API server's key")?;
        Self::start_with(Some(http::certified(&key, VALID, &[b"h2", b"http/1.1"])?)).await
    }

    async fn start_with(tls: Option<(String, TlsAcceptor)>) -> Result<Self> {
        let (certificate, tls) = tls.unzip();
        let shared = Arc::new(Shared { store: Mutex::default(), changed: watch::Sender::new(0) });
        let of_handler = shared.clone();
        let server = Server::start(tls, move |request| {
            let shared = of_handler.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                shared.answer(&Request::from_parts(head, body))
            }
        });
        let api = Self { server: server.await?, shared, certificate };
        api.apply("namespaces", json!({"metadata": {"name": "kube-system", "uid": "uid-of-the-cluster"}}));
        Ok(api)
    }

    /// Writes a kubeconfig for it.
    ///
    /// # Errors
    /// What the file system refused.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<()> {
        self.write_kubeconfig_of("", path)
    }

    /// The same for a component, by whose name its requests are known.
    ///
    /// # Errors
    /// What the file system refused.
    pub fn write_kubeconfig_of(&self, component: &str, path: &Path) -> Result<()> {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let mut cluster = json!({"server": format!("{scheme}://{}", self.server.address)});
        if let Some(certificate) = &self.certificate {
            let authority = path.with_extension("ca");
            fs::write(&authority, certificate).with_context(|| format!("writing {authority:?}"))?;
            cluster["certificate-authority"] = authority.display().to_string().into();
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "users": [{"name": "tests", "user": {"token": format!("{TOKEN}{component}")}}],
        });
        fs::write(path, config.to_string()).with_context(|| format!("writing {path:?}"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Creates or changes an object; `metadata` needs a name, and a uid where it matters.
    pub fn apply(&self, resource: &str, mut object: Value) {
        let mut store = self.shared.store();
        store.version += 1;
        let version = store.version;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let before = store.objects.insert(key(resource, &object), object.clone());
        store.log.push(Logged { version, resource: resource.to_owned(), before, after: Some(object) });
        drop(store);
        self.shared.notify();
    }

    /// An object as it is now.
    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.shared.store().objects.get(&(resource.to_owned(), namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Deletes an object.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) {
        let mut store = self.shared.store();
        store.version += 1;
        let version = store.version;
        let before = store.objects.remove(&(resource.to_owned(), namespace.to_owned(), name.to_owned()));
        store.log.push(Logged { version, resource: resource.to_owned(), before, after: None });
        drop(store);
        self.shared.notify();
    }

    /// Ends all watches, as an API server that is restarted does.
    pub fn cut(&self) {
        self.shared.store().cuts += 1;
        self.shared.notify();
    }

    /// Forgets the history of its objects: watches from an earlier point get 410.
    pub fn compact(&self) {
        let mut store = self.shared.store();
        store.version += 1;
        store.compacted = store.version;
        store.log.clear();
    }

    /// Refuses this resource from now on, or no more.
    pub fn forbid(&self, resource: &str, forbidden: bool) {
        let mut store = self.shared.store();
        if forbidden {
            store.forbidden.insert(resource.to_owned());
        } else {
            store.forbidden.remove(resource);
        }
    }

    /// Answers questions about this resource with 503 from now on, or no more.
    pub fn fail(&self, resource: &str, failing: bool) {
        let mut store = self.shared.store();
        if failing {
            store.failing.insert(resource.to_owned());
        } else {
            store.failing.remove(resource);
        }
    }

    /// Accepts a token as this user's, for this audience; with a node, as one that is bound to a pod there.
    pub fn issue(&self, token: &str, user: &str, audience: &str, node: Option<&str>) {
        let grant = Grant { user: user.to_owned(), audience: audience.to_owned(), node: node.map(str::to_owned) };
        self.shared.store().tokens.insert(token.to_owned(), grant);
    }

    /// Lets a user get a resource in a namespace; in all of them, if it is empty.
    pub fn allow(&self, user: &str, resource: &str, namespace: &str) {
        let may = [user, resource, namespace].map(str::to_owned);
        self.shared.store().allowed.insert(may);
    }

    /// All that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.store().asked.clone()
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn answer(self: &Arc<Self>, request: &Request<Bytes>) -> Response<Body> {
        let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let Some(by) = token.and_then(|token| token.strip_prefix(TOKEN)) else {
            return refusal(StatusCode::UNAUTHORIZED, "Unauthorized", "no such token");
        };
        let Some(path) = Target::of(request.uri().path()) else {
            return refusal(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource");
        };
        let query = query(request.uri());
        let argument = |name: &str| query.get(name).map_or("", String::as_str);
        let selector = argument("fieldSelector").to_owned();
        let verb = match (&path.name, argument("watch")) {
            _ if request.method() == Method::POST => "create",
            _ if request.method() == Method::PUT => "update",
            _ if request.method() == Method::PATCH => "patch",
            (Some(_), _) => "get",
            (None, "1" | "true") => "watch",
            (None, _) => "list",
        };
        let of = path.name.clone().unwrap_or_else(|| selector.clone());
        let mut store = self.store();
        let (by, group, resource) = (by.to_owned(), path.group.clone(), path.resource.clone());
        store.asked.push(Asked { by, group, resource, verb, of });
        if store.forbidden.contains(&path.resource) {
            let message = format!("{} is forbidden: User \"tests\" cannot {verb} it", path.resource);
            return refusal(StatusCode::FORBIDDEN, "Forbidden", &message);
        }
        if store.failing.contains(&path.resource) {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "the server is not ready");
        }
        match verb {
            "get" => {
                let key = (path.resource, path.namespace.unwrap_or_default(), path.name.unwrap_or_default());
                match store.objects.get(&key) {
                    Some(object) => http::answer(StatusCode::OK, object.to_string()),
                    None => refusal(StatusCode::NOT_FOUND, "NotFound", &format!("{} not found", key.2)),
                }
            }
            "update" | "patch" => {
                let key = (path.resource, path.namespace.unwrap_or_default(), path.name.unwrap_or_default());
                let changed = store.change(&key, verb == "update", request.body());
                drop(store);
                self.notify();
                changed
            }
            "create" if path.resource == "events" => store.create(&path, request.body()),
            "create" => store.review(&path.resource, request.body()),
            "list" => {
                let limit = argument("limit").parse().unwrap_or(usize::MAX);
                store.list(&path, &selector, limit, argument("continue"))
            }
            _ => {
                let from = argument("resourceVersion").parse().unwrap_or(0);
                let bookmarks = argument("allowWatchBookmarks") == "true";
                let watching = Watching { from, cuts: store.cuts, bookmarks, resource: path.resource, selector };
                drop(store);
                self.clone().watch(watching)
            }
        }
    }

    fn watch(self: Arc<Self>, watching: Watching) -> Response<Body> {
        let changed = self.changed.subscribe();
        http::stream(stream::unfold((self, changed, watching), async |(shared, mut changed, mut watching)| {
            loop {
                changed.mark_unchanged();
                let lines = watching.next(&shared.store())?;
                if !lines.is_empty() {
                    return Some((Bytes::from(lines), (shared, changed, watching)));
                }
                changed.changed().await.ok()?;
            }
        }))
    }
}

impl Store {
    fn review(&self, resource: &str, body: &[u8]) -> Response<Body> {
        let mut review: Value = serde_json::from_slice(body).unwrap_or_default();
        let spec = &review["spec"];
        let status = match resource {
            "tokenreviews" => self.review_token(spec),
            "subjectaccessreviews" => self.review_access(spec),
            _ => return refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "nothing can be created"),
        };
        review["status"] = status;
        http::answer(StatusCode::CREATED, review.to_string())
    }

    fn review_token(&self, spec: &Value) -> Value {
        let grant = spec["token"].as_str().and_then(|token| self.tokens.get(token));
        let audiences = spec["audiences"].as_array();
        let is_for =
            |grant: &&Grant| audiences.is_some_and(|audiences| audiences.iter().any(|named| *named == grant.audience));
        let Some(Grant { user, audience, node }) = grant.filter(is_for) else {
            return json!({"user": {}, "error": "[invalid bearer token, token audiences are not the target audiences]"});
        };
        let extra = match node {
            Some(node) => json!({"authentication.kubernetes.io/node-name": [node]}),
            None => json!({}),
        };
        let user = json!({"username": user, "uid": format!("uid-of-{user}"), "groups": ["system:authenticated"], "extra": extra});
        json!({"authenticated": true, "audiences": [audience], "user": user})
    }

    fn review_access(&self, spec: &Value) -> Value {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let asked = &spec["resourceAttributes"];
        let may =
            |namespace: String| self.allowed.contains(&[text(&spec["user"]), text(&asked["resource"]), namespace]);
        let allowed = asked["verb"] == "get" && (may(text(&asked["namespace"])) || may(String::new()));
        json!({"allowed": allowed})
    }

    /// Stores a new object of a namespace.
    fn create(&mut self, path: &Target, body: &[u8]) -> Response<Body> {
        let mut object: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = (path.resource.clone(), path.namespace.clone().unwrap_or_default(), name);
        if self.objects.contains_key(&key) {
            return refusal(StatusCode::CONFLICT, "AlreadyExists", &format!("{} exists already", key.2));
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key, object.clone());
        http::answer(StatusCode::CREATED, object.to_string())
    }

    /// Replaces an object by one that was read as it is now, or merges into it.
    fn change(&mut self, key: &(String, String, String), replaces: bool, body: &[u8]) -> Response<Body> {
        let Some(before) = self.objects.get(key).cloned() else {
            return refusal(StatusCode::NOT_FOUND, "NotFound", &format!("{} not found", key.2));
        };
        let given: Value = serde_json::from_slice(body).unwrap_or_default();
        let read = &given["metadata"]["resourceVersion"];
        if replaces && !read.is_null() && *read != before["metadata"]["resourceVersion"] {
            return refusal(StatusCode::CONFLICT, "Conflict", "the object has been modified");
        }
        let mut after = if replaces { given } else { before.clone() };
        if !replaces {
            merge(&mut after, serde_json::from_slice(body).unwrap_or_default());
        }
        self.version += 1;
        after["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(key.clone(), after.clone());
        let (version, resource) = (self.version, key.0.clone());
        self.log.push(Logged { version, resource, before: Some(before), after: Some(after.clone()) });
        http::answer(StatusCode::OK, after.to_string())
    }

    fn list(&self, path: &Target, selector: &str, limit: usize, token: &str) -> Response<Body> {
        let all = self.objects.iter().filter(|((resource, namespace, _), object)| {
            *resource == path.resource
                && path.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
                && selects(selector, object)
        });
        let start = token.parse().unwrap_or(0);
        let mut items: Vec<&Value> = all.map(|(_, object)| object).skip(start).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let token = if more { (start + limit).to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": token});
        let list = json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items});
        http::answer(StatusCode::OK, list.to_string())
    }
}

/// A watch that is under way.
struct Watching {
    from: usize,
    /// Cuts before it began: one more ends it.
    cuts: usize,
    bookmarks: bool,
    resource: String,
    selector: String,
}

/// Merges as RFC 7386 has it.
fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().map(|fields| fields.remove(&key));
        } else {
            merge(&mut into[&key], value);
        }
    }
}

impl Watching {
    /// The lines that are new; `None` when it ends.
    fn next(&mut self, store: &Store) -> Option<String> {
        if store.cuts != self.cuts || self.from == ENDED {
            return None;
        }
        let line = |kind: &str, object: &Value| format!("{}\n", json!({"type": kind, "object": object}));
        if self.from < store.compacted {
            self.from = ENDED;
            let message = "too old resource version";
            return Some(line("ERROR", &status(StatusCode::GONE, "Expired", message)));
        }
        let mut lines = String::new();
        for logged in store.log.iter().filter(|logged| logged.version > self.from && logged.resource == self.resource) {
            let selected = |object: &Option<Value>| object.clone().filter(|object| selects(&self.selector, object));
            let (kind, object) = match (selected(&logged.before), selected(&logged.after)) {
                (None, Some(after)) => ("ADDED", after),
                (Some(_), Some(after)) => ("MODIFIED", after),
                (Some(mut before), None) => {
                    before["metadata"]["resourceVersion"] = logged.version.to_string().into();
                    ("DELETED", before)
                }
                (None, None) => continue,
            };
            lines += &line(kind, &object);
        }
        if store.version > self.from && self.bookmarks && lines.is_empty() {
            let metadata = json!({"resourceVersion": store.version.to_string()});
            lines = line("BOOKMARK", &json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata}));
        }
        self.from = store.version;
        Some(lines)
    }
}

/// What a path names.
struct Target {
    group: String,
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
}

impl Target {
    fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, "v1", rest @ ..] => (*group, rest),
            _ => return None,
        };
        let owned = |text: &str| Some(text.to_owned());
        let (namespace, resource, name) = match rest {
            ["namespaces", namespace, resource] => (owned(namespace), resource, None),
            ["namespaces", namespace, resource, name] => (owned(namespace), resource, owned(name)),
            [resource] => (None, resource, None),
            [resource, name] => (None, resource, owned(name)),
            _ => return None,
        };
        Some(Self { group: group.to_owned(), resource: (*resource).to_owned(), namespace, name })
    }
}

fn key(resource: &str, object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (resource.to_owned(), text("namespace"), text("name"))
}

/// Whether a field selector, as `a.b=c,d=e`, takes the object.
fn selects(selector: &str, object: &Value) -> bool {
    selector.split(',').filter(|term| !term.is_empty()).all(|term| {
        let (path, wanted) = term.split_once('=').unwrap_or((term, ""));
        let field = path.split('.').fold(object, |object, part| &object[part]);
        field.as_str().unwrap_or_default() == wanted
    })
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), unescaped(value))).collect()
}

/// `%3D` and `+` as what they stand for.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(code: StatusCode, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
           "reason": reason, "code": code.as_u16()})
}

fn refusal(code: StatusCode, reason: &str, message: &str) -> Response<Body> {
    http::answer(code, status(code, reason, message).to_string())
}
