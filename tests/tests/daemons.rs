//! The daemons that a node depends on, as processes of their own beside a real agent: a kubelet that is stopped, hangs,
//! is killed, does not accept its configuration, and whose certificates expire; and an API server that hangs. How long
//! each takes to be reported is printed.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use coroner_proto::v1::{Cause, Confidence, Diagnosis};
use coroner_tests::{
    Daemon,
    coroner::{Coroner, NODE_NAME, Received, Surroundings},
    stand_ins::Cluster,
    until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::KeyPair;
use serde_json::{Value, json};

/// How long a state must stay as it is to count as such, longer than what would change it.
const STAYS: Duration = Duration::from_secs(20);

const STAND_IN: &str = env!("CARGO_BIN_EXE_coroner-stand-in");
/// What a kubelet prints last, with its pid in place of `PID`.
const SWAP: &str =
    r#"E1129 09:12:01.100000 PID run.go:72] "command failed" err="running with swap on is not supported""#;
const EXPIRED: &str = "F1129 09:12:01.100000 PID transport.go:110] The currently active client certificate has expired \
                       and the server is responsive, exiting.";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn signalled(daemon: &Daemon, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(daemon.pid())?), signal)?)
}

fn node() -> Value {
    json!({
        "metadata": {"name": NODE_NAME, "uid": "uid-of-the-node"},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}]},
    })
}

/// The last revision of a state of this cause that is over, or is not.
fn found(received: &Received, cause: Cause, is_over: bool) -> Option<Diagnosis> {
    let mut last = received.last_revisions().into_iter();
    last.find(|of| of.cause() == cause && of.resolve_time.is_some() == is_over).cloned()
}

/// Waits until a state of this cause is there, or is over, and prints how long that took.
async fn reported(coroner: &Coroner, what: &str, cause: Cause, is_over: bool) -> Result<Diagnosis> {
    let since = Instant::now();
    let wanted = format!("{what}: {cause:?}, over: {is_over}");
    let diagnosis = coroner.wait_for(&wanted, |received| found(received, cause, is_over)).await?;
    println!("{wanted}, after {:.2} s", since.elapsed().as_secs_f64());
    Ok(diagnosis)
}

/// A node whose kubelet is a process.
struct KubeletNode {
    cluster: Cluster,
    program: PathBuf,
    port: u16,
    root: PathBuf,
}

impl KubeletNode {
    async fn new() -> Result<Self> {
        let cluster = Cluster::start().await?;
        let root = cluster.directory().join("root");
        for directory in ["run", "var/log"] {
            fs::create_dir_all(root.join(directory))?;
        }
        for shared in ["proc", "sys", "dev", "etc"] {
            symlink(Path::new("/").join(shared), root.join(shared))?;
        }
        // The name of a process is that of its program.
        let program = cluster.directory().join("kubelet");
        symlink(STAND_IN, &program)?;
        fs::write(cluster.directory().join("kubelet.key"), KeyPair::generate()?.serialize_pem())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let metadata = json!({"name": NODE_NAME, "namespace": "kube-node-lease", "uid": "uid-of-the-lease"});
        cluster.api.apply("nodes", node());
        cluster.api.apply("leases", json!({"metadata": metadata, "spec": {"holderIdentity": NODE_NAME}}));
        Ok(Self { cluster, program, port, root })
    }

    /// Starts the kubelet, and with another word as the stand-in takes it.
    fn start(&self, word: &[&str]) -> Result<Daemon> {
        let directory = self.cluster.directory().display().to_string();
        let always = ["kubelet", &directory, &self.port.to_string(), &self.cluster.api.address().to_string()];
        let log = self.root.join("var/log/kubelet.log");
        self.cluster.daemon(&self.program, &words(&[&always, word].concat()), log)
    }

    async fn coroner(&self) -> Result<Coroner> {
        let path = |name: &str| self.cluster.directory().join(name).display().to_string();
        let surroundings = self.cluster.surroundings()?;
        // The certificate that the stand-in has when it is started.
        let ca = path("kubelet-ca.pem");
        let key = KeyPair::from_pem(&fs::read_to_string(path("kubelet.key"))?)?;
        let (certificate, _) = coroner_tests::http::certified(&key, coroner_tests::kubelet_server::VALID, &[])?;
        fs::write(&ca, certificate)?;
        let (root, url) = (self.root.display().to_string(), format!("https://127.0.0.1:{}", self.port));
        let kubeconfig = path("kubeconfig");
        let agent = ["--kubeconfig", &kubeconfig, "--kubelet-url", &url, "--kubelet-ca", &ca, "--host-root", &root];
        let sources = vec!["nodes", "kubelet", "node_checks"];
        self.cluster.coroner_in(Surroundings { agent: words(&agent), sources, ..surroundings }).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_kubelet_is_named_until_it_is_back() -> Result<()> {
    let node = KubeletNode::new().await?;
    let mut kubelet = node.start(&[])?;
    let mut coroner = node.coroner().await?;

    signalled(&kubelet, Signal::SIGSTOP)?;
    let stopped = reported(&coroner, "stopped", Cause::KubeletHung, false).await?;
    ensure!(stopped.confidence() == Confidence::Certain, "state T is certain: {stopped:?}");
    signalled(&kubelet, Signal::SIGCONT)?;
    reported(&coroner, "continued", Cause::KubeletHung, true).await?;

    // It runs and does not answer. What the next agent cannot know, it does not take back.
    signalled(&kubelet, Signal::SIGUSR1)?;
    let hung = reported(&coroner, "silent", Cause::KubeletHung, false).await?;
    ensure!(hung.uid == stopped.uid && hung.confidence() == Confidence::Likely, "{hung:?}");
    coroner.restart_agent()?;
    tokio::time::sleep(STAYS).await;
    let last = coroner.wait_for("the state", |received| found(received, Cause::KubeletHung, false)).await?;
    ensure!(last.revision == hung.revision, "the next agent has nothing to add: {last:?}");
    signalled(&kubelet, Signal::SIGUSR1)?;
    reported(&coroner, "answers again", Cause::KubeletHung, true).await?;

    kubelet.kill()?;
    let down = reported(&coroner, "killed", Cause::KubeletDown, false).await?;
    ensure!(down.uid == hung.uid && down.confidence() == Confidence::Certain, "{down:?}");
    kubelet = node.start(&[])?;
    reported(&coroner, "started again", Cause::KubeletDown, true).await?;

    // Its service manager starts it again and again.
    for (what, line, cause) in
        [("misconfigured", SWAP, Cause::KubeletMisconfigured), ("no credentials", EXPIRED, Cause::CertificateExpired)]
    {
        kubelet.kill()?;
        let mut failed = Ok(());
        let restarting = async {
            loop {
                match node.start(&[line]) {
                    Ok(mut refused) => {
                        while refused.ended().is_ok_and(|status| status.is_none()) {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    }
                    Err(error) => failed = Err(error),
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let named = tokio::select! {
            found = reported(&coroner, what, cause, false) => found?,
            () = restarting => return Ok(()),
        };
        failed?;
        let head = line.split_once("] ").map_or(line, |(_, message)| message);
        ensure!(named.evidence.iter().any(|of| of.text.contains(&head[..40])), "{named:?}");
        kubelet = node.start(&[])?;
        reported(&coroner, "accepted", cause, true).await?;
    }

    // The certificate that it serves with.
    kubelet.kill()?;
    kubelet = node.start(&["expired"])?;
    let expired = reported(&coroner, "expired", Cause::CertificateExpired, false).await?;
    ensure!(expired.evidence.iter().any(|of| of.text.contains("notAfter")), "{expired:?}");
    kubelet.kill()?;
    kubelet = node.start(&[])?;
    reported(&coroner, "renewed", Cause::CertificateExpired, true).await?;

    let expected = [Cause::KubeletHung, Cause::KubeletDown, Cause::KubeletMisconfigured, Cause::CertificateExpired];
    // The kernel's log is that of this machine, in which another test may have made a fault.
    let received = coroner.everything().await?;
    let others = received.diagnoses.iter().filter(|of| !expected.contains(&of.cause()));
    let others: Vec<_> = others.filter(|of| of.cause() != Cause::KernelFault).collect();
    ensure!(others.is_empty(), "accused beside it: {others:?}");
    drop(kubelet);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_hangs_is_noticed_by_the_quiet_of_its_connections() -> Result<()> {
    let cluster = Cluster::start().await?;
    let directory = cluster.directory();
    fs::write(directory.join("objects.json"), json!({"nodes": [node()]}).to_string())?;
    let arguments = words(&["api-server", &directory.display().to_string()]);
    let mut api = cluster.daemon(STAND_IN.as_ref(), &arguments, directory.join("api-server.log"))?;
    let kubeconfig = directory.join("kubeconfig");
    until("the API server listens", async || {
        api.check()?;
        Ok(kubeconfig.exists().then_some(()))
    })
    .await?;
    let agent = words(&["--kubeconfig", kubeconfig.to_str().context("a path")?, "--kubelet-url", "none"]);
    let sources = vec!["nodes", "pods", "node_checks"];
    let aggregator = words(&["--cluster-watch", "off"]);
    let surroundings = Surroundings { agent, aggregator, sources, uid_prefix: String::new() };
    let coroner = cluster.coroner_in(surroundings).await?;

    // Quiet for longer than it takes to notice: a server that is well answers.
    tokio::time::sleep(Duration::from_secs(30)).await;
    ensure!(coroner.everything().await?.diagnoses.iter().all(|of| of.cause() != Cause::ApiServerUnreachable));

    signalled(&api, Signal::SIGSTOP)?;
    let hung = reported(&coroner, "API server stopped", Cause::ApiServerUnreachable, false).await?;
    ensure!(hung.explanation.contains("accepts connections, but TLS fails"), "{}", hung.explanation);
    signalled(&api, Signal::SIGCONT)?;
    reported(&coroner, "API server continued", Cause::ApiServerUnreachable, true).await?;
    drop(api);
    Ok(())
}
