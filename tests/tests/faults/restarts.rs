//! A machine that is reset, panics, is restarted in order and loses its power, whose clock is set back and ahead, and
//! whose disk becomes read-only: its agent and an aggregator outside of it name each.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context as _, Result, ensure};
use coroner_proto::v1::{
    Cause, Diagnosis, GetStatusRequest, WatchDiagnosesRequest, watch_diagnoses_request::Start,
    watch_diagnoses_response::Frame,
};
use coroner_tests::{
    api_server::ApiServer,
    coroner::aggregator,
    until,
    virtual_node::{NAME, VirtualNode},
};
use serde_json::json;

use crate::stage::{Stage, listens};

/// What an init system does before it restarts the machine, and what it writes then.
const CLEAN: &str =
    "echo 'System is going down.' > /run/nologin; kill -TERM $agent; wait $agent; umount /disk; reboot -f";

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
async fn each_fault_of_a_machine_is_named_and_a_clock_that_is_set_is_no_restart() -> Result<()> {
    let stage = Stage::new()?;
    let api = ApiServer::start().await?;
    api.apply("nodes", json!({"metadata": {"name": NAME, "uid": "uid-of-the-machine"}}));
    let kubeconfig = stage.path("kubeconfig");
    api.write_kubeconfig(&kubeconfig)?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (program, ledger) = (aggregator()?.display().to_string(), stage.path("ledger.db").display().to_string());
    let (address, kubeconfig) = (format!("127.0.0.1:{port}"), kubeconfig.display().to_string());
    let command = [&program, "--listen", &stage.url(), "--listen", &address, "--ledger", &ledger];
    let command = command.into_iter().chain(["--kubeconfig", &kubeconfig]).map(str::to_owned);
    let mut aggregator = stage.start("aggregator", &command.collect::<Vec<_>>())?;
    listens(&mut aggregator).await?;

    let began = Instant::now();
    let mut machine = VirtualNode::start(&stage.path(""), port)?;
    until("the machine reports", async || {
        aggregator.check()?;
        let nodes = stage.feed()?.get_status(GetStatusRequest {}).await?.into_inner().nodes;
        Ok(nodes.iter().any(|node| node.report.is_some()).then_some(()))
    })
    .await
    .with_context(|| machine.tail())?;
    println!("the machine reports after {:.0} s", began.elapsed().as_secs_f64());

    for (index, (what, text)) in [
        ("reset", "without a shutdown"),
        ("panic", "kernel panic"),
        ("restart in order", "regular shutdown"),
        ("loss of power", "without a shutdown"),
    ]
    .into_iter()
    .enumerate()
    {
        let since = Instant::now();
        match what {
            "reset" => machine.reset()?,
            "panic" => machine.run("echo c > /proc/sysrq-trigger")?,
            "loss of power" => {
                machine.power_off()?;
                machine.power_on()?;
            }
            _ => machine.run(CLEAN)?,
        }
        let named = until(what, async || {
            aggregator.check()?;
            let all = diagnoses(&stage).await?;
            Ok(all.into_iter().filter(|of| of.cause() == Cause::NodeRebooted).nth(index))
        })
        .await
        .with_context(|| format!("{}\n{}", machine.tail(), aggregator.tail()))?;
        println!("{what}: {:?} after {:.0} s", named.summary, since.elapsed().as_secs_f64());
        ensure!(named.summary.contains(text), "{what}: {} {}\n{}", named.summary, named.explanation, machine.tail());
    }

    // Back, right again, and ahead.
    for (by, direction) in [("- 600", Some("behind")), ("+ 600", None), ("+ 600", Some("ahead"))] {
        let since = Instant::now();
        machine.run(&format!("date -s @$(($(date +%s) {by}))"))?;
        let named = until("the clock is wrong, or right again", async || {
            aggregator.check()?;
            let mut skewed = diagnoses(&stage).await?.into_iter().filter(|of| of.cause() == Cause::ClockSkewed);
            Ok(skewed.find(|of| match direction {
                Some(direction) => of.resolve_time.is_none() && of.summary.contains(direction),
                None => of.resolve_time.is_some(),
            }))
        })
        .await
        .with_context(|| format!("{by} s\n{}\n{}", machine.tail(), aggregator.tail()))?;
        println!("clock set by {by} s: {:?} after {:.0} s", named.summary, since.elapsed().as_secs_f64());
    }
    ensure!(machine.console().matches("The clock was set back").count() == 1, "{}", machine.tail());

    // All file systems, as the kernel does on an error.
    let since = Instant::now();
    machine.run("echo u > /proc/sysrq-trigger")?;
    let named = until("the disk is read-only", async || {
        aggregator.check()?;
        let mut all = diagnoses(&stage).await?.into_iter();
        Ok(all.find(|of| of.cause() == Cause::KernelFault && of.summary.contains("read-only")))
    })
    .await
    .with_context(|| machine.tail())?;
    println!("disk read-only: {:?} after {:.0} s", named.summary, since.elapsed().as_secs_f64());

    let expected = [Cause::NodeRebooted, Cause::ClockSkewed, Cause::NodeUnreachable, Cause::KernelFault];
    let all = diagnoses(&stage).await?;
    let others: Vec<_> = all.iter().filter(|of| !expected.contains(&of.cause())).collect();
    ensure!(others.is_empty(), "accused beside it: {others:?}");
    ensure!(all.iter().filter(|of| of.cause() == Cause::NodeRebooted).count() == 4, "each once: {all:?}");
    println!("all of it took {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}
