//! `kubectl coroner` through an API server: a stand-in with its protocol for ConfigMaps, tokens and forwarded ports,
//! before a real aggregator with a certificate that it has issued itself.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use coroner_tests::api_server::ApiServer;
use coroner_tests::http::{Body, Server, answer};
use coroner_tests::until;
use futures::{SinkExt as _, StreamExt as _};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, handshake::derive_accept_key, protocol::Role};

use super::{program, repository};

const NAMESPACE: &str = "coroner";
const TOKEN: &str = "a-token-of-the-reader";
/// The subprotocol of streams through the API server.
const PROTOCOL: &str = "v4.channel.k8s.io";

/// An aggregator behind the two stand-ins: one reviews tokens, the other is what a user's kubeconfig names.
struct Stage {
    directory: TempDir,
    aggregator: Child,
    front: Server,
    _api: Arc<ApiServer>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ended = self.aggregator.kill().and_then(|()| self.aggregator.wait());
    }
}

impl Stage {
    /// With `refuses`, tokens are refused to the user.
    async fn start(refuses: bool) -> Result<Self> {
        let directory = TempDir::new()?;
        let api = Arc::new(ApiServer::start().await?);
        for (resource, name) in [("secrets", "coroner-authority"), ("configmaps", "coroner-ca")] {
            api.apply(resource, json!({"metadata": {"namespace": NAMESPACE, "name": name, "uid": name}}));
        }
        let reader = "system:serviceaccount:coroner:coroner-reader";
        api.issue(TOKEN, reader, "coroner", None);
        for resource in ["pods", "nodes"] {
            api.allow(reader, resource, "");
        }
        let kubeconfig = directory.path().join("aggregator.kubeconfig");
        api.write_kubeconfig(&kubeconfig)?;
        let mut config: Value = serde_json::from_slice(&fs::read(&kubeconfig)?)?;
        config["contexts"][0]["context"]["namespace"] = NAMESPACE.into();
        fs::write(&kubeconfig, config.to_string())?;

        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = directory.path().join("aggregator.log");
        let file = |name: &str| directory.path().join(name).display().to_string();
        let mut aggregator = Command::new(program("coroner-aggregator")?)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--cluster-watch=off", "--issue-tls=coroner-aggregator"])
            .args(["--issue-tls-file", &file("tls.pem"), "--ledger", &file("ledger.db")])
            .args(["--kubeconfig", &kubeconfig.display().to_string()])
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        until("the aggregator listens", async || {
            let output_text = fs::read_to_string(&log)?;
            ensure!(aggregator.try_wait()?.is_none(), "it has ended: {output_text}");
            Ok(output_text.contains("listening on ").then_some(()))
        })
        .await?;
        let of_front = Arc::clone(&api);
        let front = Server::start(None, move |request| {
            let api = Arc::clone(&of_front);
            async move { user_asks(&api, port, refuses, request) }
        })
        .await?;
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": format!("http://{}", front.address)}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "users": [{"name": "tests", "user": {"token": "the-user's-own"}}],
        });
        fs::write(directory.path().join("kubeconfig"), config.to_string())?;
        symlink(program("coroner")?, directory.path().join("kubectl-coroner"))?;
        Ok(Self { directory, aggregator, front, _api: api })
    }

    fn plugin(&self, arguments: &[&str]) -> Result<Output> {
        let path = |name: &str| self.directory.path().join(name);
        let mut command = Command::new(path("kubectl-coroner"));
        command.args(arguments).env("KUBECONFIG", path("kubeconfig")).env_remove("CORONER_AGGREGATOR").env("LANG", "C");
        tokio::task::block_in_place(|| command.output()).context("run the plugin")
    }

    fn log(&self) -> String {
        let log = |name: &str| fs::read_to_string(Path::new(self.directory.path()).join(name)).unwrap_or_default();
        format!("{}\n{}", self.front.address, log("aggregator.log"))
    }
}

/// What the API server answers to the user.
fn user_asks(api: &ApiServer, aggregator: u16, refuses: bool, request: Request<Incoming>) -> Response<Body> {
    let forbidden = |what: &str| {
        let message = format!("{what} is forbidden: User \"jane\" cannot create it");
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": message});
        answer(StatusCode::FORBIDDEN, status.to_string())
    };
    if request.headers().get("authorization").is_none_or(|value| value != "Bearer the-user's-own") {
        return answer(StatusCode::UNAUTHORIZED, "{}");
    }
    let path = request.uri().path().trim_start_matches("/api/v1/namespaces/coroner/").to_owned();
    match path.as_str() {
        "configmaps/coroner-ca" => {
            let map = api.object("configmaps", NAMESPACE, "coroner-ca").unwrap_or_default();
            answer(StatusCode::OK, map.to_string())
        }
        "serviceaccounts/coroner-reader/token" if refuses => forbidden("serviceaccounts/token"),
        "serviceaccounts/coroner-reader/token" => {
            let status = json!({"token": TOKEN, "expirationTimestamp": "2100-01-01T00:00:00Z"});
            let made = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {"audiences": ["coroner"]}, "status": status});
            answer(StatusCode::CREATED, made.to_string())
        }
        "pods" => {
            let pod = json!({"metadata": {"name": "coroner-aggregator-0", "namespace": NAMESPACE}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
            answer(
                StatusCode::OK,
                json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [pod]}).to_string(),
            )
        }
        "pods/coroner-aggregator-0/portforward" => forward(request, aggregator),
        _ => answer(StatusCode::NOT_FOUND, "{}"),
    }
}

/// Carries one connection to the aggregator's port over a WebSocket: the first byte of a message names its channel, 0
/// for data.
fn forward(mut request: Request<Incoming>, aggregator: u16) -> Response<Body> {
    let Some(key) = request.headers().get("sec-websocket-key").map(|key| derive_accept_key(key.as_bytes())) else {
        return answer(StatusCode::BAD_REQUEST, "{}");
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgrade.await?), Role::Server, None).await;
        let (mut sink, mut source) = socket.split();
        // Each channel begins with the port that it is for.
        for channel in [0, 1] {
            sink.send(Message::binary([&[channel][..], &7070_u16.to_le_bytes()].concat())).await?;
        }
        let (mut reader, mut writer) = TcpStream::connect(("127.0.0.1", aggregator)).await?.into_split();
        let up = async {
            while let Some(Ok(message)) = source.next().await {
                if let Some((0, data)) = message.into_data().split_first() {
                    writer.write_all(data).await?;
                }
            }
            anyhow::Ok(())
        };
        let down = async {
            let mut buffer = [0; 4096];
            loop {
                let read = reader.read(&mut buffer).await?;
                if read == 0 {
                    return anyhow::Ok(());
                }
                sink.send(Message::binary([&[0][..], &buffer[..read]].concat())).await?;
            }
        };
        tokio::select! {
            ended = up => ended,
            ended = down => ended,
        }
    });
    let mut response = answer(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", PROTOCOL)];
    response.headers_mut().remove("content-type");
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("it is a header"));
    }
    response.headers_mut().insert("sec-websocket-accept", key.parse().expect("it is a header"));
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_reaches_the_aggregator_with_nothing_but_a_kubeconfig() -> Result<()> {
    let stage = Stage::start(false).await?;
    let output = stage.plugin(&["status", "-o", "json"])?;
    let output_text = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{}: {output_text}\n{}", output.status, stage.log());
    let status: Value = serde_json::from_slice(&output.stdout).with_context(|| output_text.clone())?;
    ensure!(status["certificates"][0]["purpose"] == "server", "{output_text}");
    // Another namespace: nothing is there, and the option is named.
    let output = stage.plugin(&["status", "--system-namespace", "elsewhere"])?;
    let output_text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        !output.status.success() && output_text.contains("coroner-ca") && output_text.contains("elsewhere"),
        "{output_text}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_request_no_token_is_shown_which_permission_is_missing() -> Result<()> {
    let stage = Stage::start(true).await?;
    let output = stage.plugin(&["list"])?;
    let output_text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{}: {output_text}\n{}", output.status, stage.log());
    for part in ["coroner/coroner-reader", "serviceaccounts/token", "--account NAMESPACE/NAME"] {
        ensure!(output_text.contains(part), "{part}: {output_text}");
    }
    Ok(())
}

#[test]
fn kubectl_gets_completions_of_the_plugin_through_its_script() -> Result<()> {
    let directory = TempDir::new()?;
    symlink(program("coroner")?, directory.path().join("kubectl-coroner"))?;
    let script = repository().join("deploy/plugins/kubectl_complete-coroner");
    let path = std::env::join_paths([directory.path(), Path::new("/usr/bin"), Path::new("/bin")])?;
    for (words, wanted) in [
        (&["wh"][..], "why\tExplain what happened to a pod, workload, node, Service or Ingress\n:4\n"),
        (&["list", "--cause", "OOM_NOD"], "OOM_NODE\n:4\n"),
        (&["replay", ""], ":0\n"),
    ] {
        let output = Command::new(&script).args(words).env("PATH", &path).output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success() && printed == wanted, "{words:?}: {printed:?} {output:?}");
    }
    Ok(())
}
