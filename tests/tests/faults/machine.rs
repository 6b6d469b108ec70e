//! A machine that is reset, panics, is restarted in order and loses its power, whose clock is set back and ahead, whose
//! volumes do not answer, which runs out of memory until none of its programs gets any further, and whose disk becomes
//! read-only: its agent and an aggregator outside of it name each, and nothing else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use coroner_proto::v1::{
    Cause, Confidence, Diagnosis, GetStatusRequest, WatchDiagnosesRequest, watch_diagnoses_request::Start,
    watch_diagnoses_response::Frame,
};
use coroner_tests::{
    Daemon,
    api_server::ApiServer,
    coroner::aggregator,
    until,
    virtual_node::{ADDRESS, NAME, VirtualNode},
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    hosts::{AGGREGATOR, API, forward, kubeconfig, renew},
    network::Network,
    nfs_server::NfsServer,
    stage::{Stage, listens},
};

/// What an init system does before it restarts the machine, and what it writes then.
const CLEAN: &str =
    "echo 'System is going down.' > /run/nologin; kill -TERM $agent; wait $agent; umount /disk; reboot -f";
/// Mounts a file system whose server takes requests and answers none, and has a thread ask it. Before its process is to
/// be ended, it sleeps as if it waited for a key; then it waits without end, and the first thread is gone.
const HANG: &str =
    "mkdir /fuse; /fault fuse /fuse & server=$!; sleep 1; /fault ask /fuse & asks=$!; sleep 1; kill -9 $asks";
/// Mounts the exported directory; the kernel asks again, and reports the server, after two seconds.
const MOUNT: &str = "mkdir /nfs; /fault mount 192.0.2.9:/ /nfs nfs vers=3,proto=tcp,port=2049,mountproto=tcp,\
                     mountport=2049,nolock,noac,timeo=10,retrans=1,addr=192.0.2.9; stat /nfs";
/// Takes all memory but 8 MiB, with the program of the agent in it for the time being. The kernel spares those that
/// take it, and the agent, as on a node.
const EAT: &str = "/fault hold /disk/agent & holder=$!; /fault eat 8 & eater=$!; /fault reread /disk/other & \
                   for spared in $agent $holder $eater $!; do echo -999 > /proc/$spared/oom_score_adj; done";

/// A machine, what is around it, and an aggregator that sees no more of it than its network shows.
struct Watched {
    stage: Stage,
    api: Arc<ApiServer>,
    network: Network,
    aggregator: Daemon,
    machine: VirtualNode,
    /// Its kubelet renews its Lease.
    renews: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watched {
    async fn start() -> Result<Self> {
        let stage = Stage::new()?;
        let network = Network::start(&stage, "network").await?;
        network.run("ip link set lo up")?;
        network.run("ip tuntap add tap0 mode tap")?;
        for address in ["192.0.2.9/24", "192.0.2.10/24"] {
            network.run(&format!("ip address add {address} dev tap0"))?;
        }
        network.run("ip link set tap0 up")?;
        let api = Arc::new(ApiServer::start().await?);
        api.apply(
            "nodes",
            json!({
                "metadata": {"name": NAME, "uid": "uid-of-the-machine"},
                "status": {
                    "addresses": [{"type": "InternalIP", "address": ADDRESS}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                },
            }),
        );
        let tasks = vec![tokio::spawn(forward(network.listener(API)?, kubeconfig(&stage, &api)?))];
        let (program, ledger) = (aggregator()?.display().to_string(), stage.path("ledger.db").display().to_string());
        let config = stage.path("kubeconfig").display().to_string();
        let command = [&program, "--listen", &stage.url(), "--listen", AGGREGATOR, "--insecure", "--ledger", &ledger];
        let command = command.into_iter().chain(["--kubeconfig", &config]).map(str::to_owned).collect();
        let mut aggregator = stage.start("aggregator", &network.command(command))?;
        listens(&mut aggregator).await?;
        let machine = VirtualNode::start(&stage.path(""), network.pid())?;
        let renews = Arc::new(AtomicBool::new(true));
        let mut watched = Self { stage, api, network, aggregator, machine, renews, tasks };
        watched
            .until("the machine reports", async |stage| {
                let nodes = stage.feed()?.get_status(GetStatusRequest {}).await?.into_inner().nodes;
                Ok(nodes.iter().any(|node| node.report.is_some()).then_some(()))
            })
            .await?;
        Ok(watched)
    }

    async fn until<T>(&mut self, what: &str, question: impl AsyncFn(&Stage) -> Result<Option<T>>) -> Result<T> {
        let since = Instant::now();
        let Self { stage, aggregator, machine, .. } = self;
        let found = until(what, async || {
            aggregator.check()?;
            question(stage).await
        })
        .await;
        let found = found.with_context(|| format!("{}\n{}", machine.tail(), aggregator.tail()));
        println!("{what}: after {:.0} s", since.elapsed().as_secs_f64());
        match found {
            Ok(found) => Ok(found),
            Err(error) => Err(error.context(format!("{:#?}", self.diagnoses().await?))),
        }
    }

    /// Waits until there is such a diagnosis.
    async fn named(&mut self, what: &str, is_it: impl Fn(&Diagnosis) -> bool) -> Result<Diagnosis> {
        let found =
            self.until(what, async |stage| Ok(diagnoses(stage).await?.into_iter().find(|of| is_it(of)))).await?;
        println!("    {:?}", found.summary);
        Ok(found)
    }

    async fn diagnoses(&self) -> Result<Vec<Diagnosis>> {
        diagnoses(&self.stage).await
    }

    async fn restarts(&mut self) -> Result<()> {
        for (index, (what, text)) in [
            ("reset", "without a shutdown"),
            ("panic", "kernel panic"),
            ("restart in order", "regular shutdown"),
            ("loss of power", "without a shutdown"),
        ]
        .into_iter()
        .enumerate()
        {
            match what {
                "reset" => self.machine.reset()?,
                "panic" => self.machine.run("echo c > /proc/sysrq-trigger")?,
                "loss of power" => {
                    self.machine.power_off()?;
                    self.machine.power_on()?;
                }
                _ => self.machine.run(CLEAN)?,
            }
            let named = self.until(what, async |stage| {
                let all = diagnoses(stage).await?;
                Ok(all.into_iter().filter(|of| of.cause() == Cause::NodeRebooted).nth(index))
            });
            let named = named.await?;
            ensure!(named.summary.contains(text), "{what}: {named:?}\n{}", self.machine.tail());
        }
        Ok(())
    }

    /// Back, right again, and ahead.
    async fn clocks(&mut self) -> Result<()> {
        for (by, direction) in [("- 600", Some("behind")), ("+ 600", None), ("+ 600", Some("ahead"))] {
            self.machine.run(&format!("date -s @$(($(date +%s) {by}))"))?;
            let what = format!("the clock is set by {by} s");
            let is_it = |of: &Diagnosis| match direction {
                Some(direction) => of.resolve_time.is_none() && of.summary.contains(direction),
                None => of.resolve_time.is_some(),
            };
            self.named(&what, |of| of.cause() == Cause::ClockSkewed && is_it(of)).await?;
            // The agent compares its clocks every two seconds.
            let machine = &self.machine;
            let starts_over = async || Ok(machine.console().contains("The clock was set back").then_some(()));
            until("the agent starts over", starts_over).await.with_context(|| machine.tail())?;
        }
        ensure!(self.machine.console().matches("The clock was set back").count() == 1, "{}", self.machine.tail());
        Ok(())
    }

    /// A file system in user space whose server hangs, and beside it a server of NFS, which is named.
    async fn volumes(&mut self) -> Result<()> {
        let nfs = NfsServer::start(self.network.listener("192.0.2.9:2049")?.into_std()?)?;
        self.machine.run(MOUNT)?;
        self.machine.run(HANG)?;
        let is_hung = |of: &Diagnosis| of.cause() == Cause::VolumeHung && of.resolve_time.is_none();
        let waits = |of: &Diagnosis, channel: &str| of.evidence.iter().any(|of| of.text.contains(channel));
        let found = self.named("a FUSE server hangs", is_hung).await?;
        ensure!(waits(&found, "request_wait_answer"), "{found:?}");
        ensure!(found.confidence() == Confidence::Likely, "{found:?}");
        nfs.set_silent(true);
        self.machine.run("stat /nfs &")?;
        let of_server = |of: &Diagnosis| is_hung(of) && of.confidence() == Confidence::Certain;
        let found = self.named("an NFS server does not answer", of_server).await?;
        ensure!(waits(&found, "nfs: server 192.0.2.9 not responding"), "{found:?}");
        ensure!(found.explanation.contains("192.0.2.9"), "{found:?}");
        nfs.set_silent(false);
        self.machine.run("kill $server")?;
        self.named("both answer", |of| of.cause() == Cause::VolumeHung && of.resolve_time.is_some()).await?;
        self.machine.run("umount /nfs; umount /fuse")
    }

    /// So little memory that programs are read again and again: the agent reports it while it can. Then its program is
    /// read again, too, from a slow disk. Its kubelet, which is so small here that it would get by, is stopped.
    async fn livelock(&mut self) -> Result<()> {
        self.tasks.push(tokio::spawn(renew(Arc::clone(&self.api), NAME.to_owned(), Arc::clone(&self.renews))));
        self.machine.run(EAT)?;
        let is_short = |of: &Diagnosis| of.cause() == Cause::NodeMemoryPressure;
        self.named("memory is short", |of| is_short(of) && of.resolve_time.is_none()).await?;
        self.machine.slow_down_disk(1)?;
        self.machine.run("kill $holder; kill -STOP $kubelet")?;
        self.renews.store(false, Ordering::Relaxed);
        let is_silent = |of: &Diagnosis| of.cause() == Cause::NodeUnreachable && of.resolve_time.is_none();
        let found = self.named("no program gets any further", is_silent).await?;
        ensure!(found.summary.contains("its kernel accepts connections"), "{found:?}");
        ensure!(found.confidence() == Confidence::Likely, "{found:?}");
        self.machine.slow_down_disk(0)?;
        self.machine.run("killall fault; kill -CONT $kubelet")?;
        self.renews.store(true, Ordering::Relaxed);
        let is_back = |of: &Diagnosis| of.uid == found.uid && of.resolve_time.is_some();
        let over = self.named("they run again", is_back).await?;
        ensure!(over.explanation.contains("same boot ID"), "{over:?}");
        self.named("memory is free", |of| is_short(of) && of.resolve_time.is_some()).await?;
        Ok(())
    }

    /// All file systems, as the kernel does on an error.
    async fn read_only(&mut self) -> Result<()> {
        self.machine.run("echo u > /proc/sysrq-trigger")?;
        let is_it = |of: &Diagnosis| of.cause() == Cause::KernelFault && of.summary.contains("read-only");
        self.named("the disk is read-only", is_it).await?;
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The last revision of each diagnosis, the oldest first.
async fn diagnoses(stage: &Stage) -> Result<Vec<Diagnosis>> {
    let request =
        WatchDiagnosesRequest { start: Some(Start::FromOldest(true)), stop_at_end: true, ..Default::default() };
    let mut frames = stage.feed()?.watch_diagnoses(request).await?.into_inner();
    let (mut order, mut last) = (Vec::new(), BTreeMap::new());
    while let Some(response) = frames.message().await? {
        let Some(Frame::Batch(batch)) = response.frame else { continue };
        for diagnosis in batch.diagnoses {
            if last.insert(diagnosis.uid.clone(), diagnosis.clone()).is_none() {
                order.push(diagnosis.uid);
            }
        }
    }
    Ok(order.into_iter().filter_map(|uid| last.remove(&uid)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_machine_is_named_and_nothing_is_accused_beside_it() -> Result<()> {
    let began = Instant::now();
    let mut watched = Watched::start().await?;
    watched.restarts().await?;
    watched.clocks().await?;
    watched.volumes().await?;
    watched.livelock().await?;
    watched.read_only().await?;

    let all = watched.diagnoses().await?;
    let count = |cause: Cause| all.iter().filter(|of| of.cause() == cause).count();
    let expected = [
        Cause::NodeRebooted,
        Cause::ClockSkewed,
        Cause::VolumeHung,
        Cause::NodeMemoryPressure,
        Cause::NodeUnreachable,
        Cause::KernelFault,
    ];
    let others: Vec<_> = all.iter().filter(|of| !expected.contains(&of.cause())).collect();
    ensure!(others.is_empty(), "accused beside it: {others:#?}");
    ensure!(count(Cause::NodeRebooted) == 4 && count(Cause::KernelFault) == 1, "each once: {all:#?}");
    println!("all of it took {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}
