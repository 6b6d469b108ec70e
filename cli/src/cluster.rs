//! The way to the aggregator through the API server, by the user's own kubeconfig: a port of its pod is forwarded,
//! the authority of its certificate is read from a ConfigMap, and a short-lived token of a ServiceAccount is
//! requested for it. The user's own credentials go to the API server alone.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, Pod, ServiceAccount},
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    args::{AggregatorArgs, ClusterArgs},
    exit::Failure,
    messages::cluster as messages,
};

/// The port of the feed in the aggregator's pod,
pub(crate) const FEED_PORT: u16 = 7070;
/// and that of its page.
pub(crate) const PAGE_PORT: u16 = 7080;
/// The pods of aggregators.
const AGGREGATORS: &str = "app.kubernetes.io/name=coroner,app.kubernetes.io/component=aggregator";
/// The ConfigMap that publishes the authority, and its key.
const AUTHORITY: (&str, &str) = ("coroner-ca", "ca.crt");
/// The account whose tokens are requested.
const ACCOUNT: &str = "coroner-reader";
/// What the aggregator's tokens are for.
const AUDIENCE: &str = "coroner";
/// How long a token is valid, in seconds; it is renewed at half of that.
const TOKEN_SECONDS: i64 = 3_600;
/// For one answer of the API server.
const DEADLINE: Duration = Duration::from_secs(15);

/// A cluster, as this user may use it.
pub(crate) struct Cluster {
    client: Client,
    namespace: String,
    account: (String, String),
}

/// A port on this machine that leads to the aggregator. It closes when this is dropped.
pub(crate) struct Tunnel {
    /// How to connect to the aggregator through it.
    pub(crate) aggregator: AggregatorArgs,
    /// The files that this names.
    _directory: TempDir,
    _tasks: JoinSet<()>,
}

impl Cluster {
    /// The API server of the kubeconfig, by these arguments.
    pub(crate) async fn find(args: &ClusterArgs) -> Result<Self, Failure> {
        let unusable = |reason: String| Failure::usage(messages::cluster_kubeconfig(reason));
        let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
        let file = match &args.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let file = file.map_err(|error| match error {
            KubeconfigError::ReadConfig(error, path) => {
                Failure::usage(messages::cluster_no_kubeconfig(path.display().to_string(), error.to_string()))
            }
            error => unusable(error.to_string()),
        })?;
        let config =
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(error.to_string()))?;
        let namespace = args.system_namespace.clone();
        let account = match args.account.as_deref() {
            None => (namespace.clone(), ACCOUNT.to_owned()),
            Some(account) => {
                let parts =
                    account.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
                let (namespace, name) = parts.ok_or_else(|| Failure::usage(messages::cluster_account(account)))?;
                (namespace.to_owned(), name.to_owned())
            }
        };
        let client = Client::try_from(config).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { client, namespace, account })
    }

    /// The command that prints a token to sign in with at the aggregator's page.
    pub(crate) fn token_command(&self, args: &ClusterArgs) -> String {
        let context = args.context.as_ref().map_or_else(String::new, |context| format!(" --context {context}"));
        let (namespace, name) = &self.account;
        format!("kubectl{context} -n {namespace} create token {name} --audience {AUDIENCE}")
    }

    /// Forwards a port of this machine to the feed, with what a connection needs.
    pub(crate) async fn open(&self) -> Result<Tunnel, Failure> {
        let (authority, token) = (self.authority().await?, self.token().await?);
        let mut tasks = JoinSet::new();
        let port = self.forward(FEED_PORT, 0, &mut tasks).await?;
        let directory = tempfile::tempdir().map_err(Failure::from)?;
        let (ca, token_file) = (directory.path().join("ca.crt"), directory.path().join("token"));
        write(&ca, &authority)?;
        write(&token_file, &token)?;
        tasks.spawn(renew(
            Self { client: self.client.clone(), namespace: self.namespace.clone(), account: self.account.clone() },
            token_file.clone(),
        ));
        let aggregator = AggregatorArgs {
            url: format!("https://localhost:{port}"),
            tls_ca: Some(ca),
            tls_cert: None,
            tls_key: None,
            token_file: Some(token_file),
            insecure: false,
        };
        Ok(Tunnel { aggregator, _directory: directory, _tasks: tasks })
    }

    /// Forwards a port of this machine, any if it is 0, to one of the aggregator's pod; gives it.
    pub(crate) async fn forward(&self, to: u16, from: u16, tasks: &mut JoinSet<()>) -> Result<u16, Failure> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let listed = answered(pods.list(&ListParams::default().labels(AGGREGATORS))).await;
        let listed =
            listed.map_err(|reason| Failure::unavailable(messages::cluster_no_pods(&self.namespace, reason)))?;
        let is_ready = |pod: &Pod| {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        };
        let pod = listed.items.iter().find(|pod| is_ready(pod)).or_else(|| listed.items.first());
        let pod = pod.ok_or_else(|| Failure::unavailable(messages::cluster_no_aggregator(&self.namespace)))?.name_any();
        // A refusal is better known before the first connection.
        let tried = answered(pods.portforward(&pod, &[to])).await;
        tried.map_err(|reason| Failure::error(messages::cluster_no_forward(&pod, &self.namespace, reason)))?;
        let listener = TcpListener::bind(("127.0.0.1", from)).await.map_err(Failure::from)?;
        let port = listener.local_addr().map_err(Failure::from)?.port();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(carry(stream, pods.clone(), pod.clone(), to));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(port)
    }

    /// Whose certificate the aggregator shows.
    async fn authority(&self) -> Result<String, Failure> {
        let (name, key) = AUTHORITY;
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let unknown = |reason| Failure::unavailable(messages::cluster_no_authority(name, &self.namespace, reason));
        let map = answered(maps.get(name)).await.map_err(unknown)?;
        let published = map.data.and_then(|mut data| data.remove(key));
        published.ok_or_else(|| unknown(format!("{key} is not published yet")))
    }

    async fn token(&self) -> Result<String, Failure> {
        let (namespace, name) = &self.account;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let spec = TokenRequestSpec {
            audiences: vec![AUDIENCE.to_owned()],
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let made = answered(accounts.create_token_request(name, &PostParams::default(), &request)).await;
        let refused =
            |reason: String| Failure::error(messages::cluster_no_token(format!("{namespace}/{name}"), reason));
        let status = made.map_err(refused)?.status;
        status.map(|status| status.token).ok_or_else(|| refused("the answer has no token".to_owned()))
    }
}

/// Writes a new token into the file before the old one ends.
async fn renew(cluster: Cluster, file: PathBuf) {
    loop {
        sleep(Duration::from_secs(TOKEN_SECONDS.unsigned_abs() / 2)).await;
        if let Ok(token) = cluster.token().await {
            // The old one is valid for as long again; a call reports its end.
            let _kept = write(&file, &token);
        }
    }
}

/// Carries one connection through the API server.
async fn carry(mut stream: TcpStream, pods: Api<Pod>, pod: String, port: u16) {
    let Ok(mut forwarder) = pods.portforward(&pod, &[port]).await else { return };
    if let Some(mut upstream) = forwarder.take_stream(port) {
        // However it ends, both sides are closed behind it.
        let _ended = copy_bidirectional(&mut stream, &mut upstream).await;
    }
}

/// An answer of the API server, or why there is none.
async fn answered<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(status.message),
        Ok(Err(error)) => Err(crate::client::chain(&error)),
        Err(_elapsed) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
    }
}

/// Writes a file that only its owner reads.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::error(messages::cluster_file(path.display().to_string(), error.to_string())))
}
