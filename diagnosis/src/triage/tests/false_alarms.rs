//! What looks like a node that fell silent and is none, each with the diagnoses that may come of it.

use super::*;

/// What happens, how many nodes there are, and the causes that may be reported.
type Row = (&'static str, usize, fn(&mut Cluster), &'static [Cause]);

const ROWS: [Row; 19] = [
    ("the aggregator is stopped for a while", 30, stopped, &[]),
    ("the aggregator is stopped while one node is lost", 30, stopped_with_a_loss, &[Cause::NodeUnreachable]),
    ("the aggregator is stopped after a node has gone on purpose", 8, stopped_after_a_removal, &[Cause::NodeRemoved]),
    ("the aggregator is replaced, and agents return late", 30, replaced, &[]),
    ("a tenth of all agents is replaced at a time", 60, rolled_out, &[]),
    ("the clocks of nodes are set", 8, clocks_set, &[]),
    ("a machine is set back to a snapshot of the same boot", 8, snapshot, &[]),
    ("a drained node is restarted without notice", 8, drained_restart, &[Cause::NodeRemoved, Cause::NodeRebooted]),
    ("the autoscaler removes three nodes at once", 40, scaled_down, &[Cause::NodeRemoved]),
    ("the autoscaler takes its taints back from nodes that have gone", 40, untainted, &[Cause::NodeRemoved]),
    ("three drained nodes are switched off at once", 40, drained_together, &[Cause::NodeRemoved]),
    ("the network to the nodes is slow for everybody", 30, slow, &[]),
    ("a deleted node reports for a while and is switched off", 8, deleted_first, &[Cause::NodeRemoved]),
    ("the autoscaler deletes four nodes without a taint", 40, deleted_together, &[Cause::NodeRemoved]),
    ("a machine of the same name replaces one whose last reports are late", 8, succeeded, &[Cause::NodeRemoved]),
    ("the same, and its end was not observed", 8, succeeded_unseen, &[]),
    ("a deleted node is registered again", 8, registered_again, &[Cause::NodeRemoved]),
    ("a cache that lags behind shows the boot before", 8, shown_again, &[Cause::NodeRebooted]),
    ("agents are replaced where no kubelet can be probed, and renewals are late", 30, filtered, &[]),
];

#[test]
fn what_is_no_outage_is_not_reported_as_one() {
    let mut complaints = Vec::new();
    for (name, nodes, happens, allowed) in ROWS {
        let mut cluster = Cluster::new(nodes);
        happens(&mut cluster);
        let reported = cluster.reported();
        let wrong: Vec<_> = reported.iter().filter(|(cause, _)| !allowed.contains(cause)).collect();
        let missing: Vec<_> = allowed.iter().filter(|cause| reported.iter().all(|(of, _)| of != *cause)).collect();
        if !wrong.is_empty() || !missing.is_empty() {
            complaints.push(format!("{name}: wrong {wrong:?}, missing {missing:?}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn stopped(cluster: &mut Cluster) {
    for pause in [8, 30, 100, 3600] {
        cluster.second += pause;
        cluster.run(200);
    }
}

fn stopped_with_a_loss(cluster: &mut Cluster) {
    cluster.cut(3);
    cluster.second += 60;
    cluster.run(40);
    // Another pause takes nothing back.
    cluster.second += 60;
    cluster.run(200);
    assert_eq!(cluster.revisions.iter().filter(|of| of.resolve_time.is_some()).count(), 0);
}

fn stopped_after_a_removal(cluster: &mut Cluster) {
    let key = "ToBeDeletedByClusterAutoscaler".to_owned();
    cluster.apply(3, |node| node.taints = vec![kube::Taint { key, ..kube::Taint::default() }]);
    cluster.cut(3);
    cluster.run(60);
    // Who removes it takes its announcement back.
    cluster.apply(3, |node| node.taints.clear());
    for pause in [8, 100] {
        cluster.second += pause;
        cluster.run(200);
    }
}

fn replaced(cluster: &mut Cluster) {
    cluster.triage = Triage::new("c");
    cluster.fact(Fact::Watch(Health::Ok));
    for machine in cluster.machines.clone().into_values() {
        cluster.fact(Fact::Node(Change::Applied, Box::new(machine.node)));
    }
    cluster.machines.values_mut().for_each(|machine| machine.reports = false);
    for n in 0..30 {
        cluster.machine(n).reports = true;
        cluster.run(4);
    }
    cluster.run(120);
}

fn rolled_out(cluster: &mut Cluster) {
    for batch in 0..10 {
        let batch = batch * 6..(batch + 1) * 6;
        for n in batch.clone() {
            cluster.machine(n).report.stopping = Some(Stopping::Agent);
        }
        cluster.run(5);
        let created = Some(at(cluster.second));
        for n in batch.clone() {
            let machine = cluster.machine(n);
            (machine.reports, machine.answers[1]) = (false, ProbeOutcome::Refused);
            machine.pods = vec![Pod { created, ..agent_pod() }];
        }
        cluster.run(55);
        for n in batch {
            cluster.machine(n).report.stopping = None;
            cluster.restore(n);
        }
    }
    cluster.run(60);
}

fn clocks_set(cluster: &mut Cluster) {
    // The renewals of a node are by its own clock. One that was set back repeats values that were there before.
    for by in [600, -600, 86_400, -86_400] {
        for step in 0..6 {
            let renewal = Some(at(cluster.second + by + step));
            cluster.machine(3).renews = false;
            cluster.fact(Fact::Lease { node: named(3), renewal });
            cluster.run(10);
        }
        cluster.machine(3).renews = true;
        cluster.run(30);
    }
}

fn snapshot(cluster: &mut Cluster) {
    cluster.machine(3).booted += 7200;
    cluster.run(300);
}

fn drained_restart(cluster: &mut Cluster) {
    cluster.apply(3, |node| node.cordoned = true);
    cluster.machine(3).pods = vec![agent_pod()];
    cluster.run(60);
    cluster.cut(3);
    cluster.run(120);
    cluster.reboot(3, "boot-new", PreviousEnd::Abrupt);
    cluster.apply(3, |node| (node.cordoned, node.boot_id) = (false, "boot-new".to_owned()));
    cluster.run(120);
}

fn scaled_down(cluster: &mut Cluster) {
    for n in 0..3 {
        cluster.apply(n, |node| {
            let key = "ToBeDeletedByClusterAutoscaler".to_owned();
            (node.cordoned, node.taints) = (true, vec![kube::Taint { key, ..kube::Taint::default() }]);
        });
    }
    cluster.run(60);
    for n in 0..3 {
        cluster.cut(n);
        cluster.run(2);
    }
    cluster.run(120);
    for n in 0..3 {
        let node = Box::new(cluster.machine(n).node.clone());
        cluster.fact(Fact::Node(Change::Deleted, node));
    }
    cluster.run(120);
}

fn untainted(cluster: &mut Cluster) {
    let taint = |node: &mut kube::Node| {
        let key = "ToBeDeletedByClusterAutoscaler".to_owned();
        node.taints = vec![kube::Taint { key, ..kube::Taint::default() }];
    };
    for n in 0..3 {
        cluster.apply(n, taint);
        cluster.cut(n);
    }
    cluster.run(30);
    for n in 0..3 {
        cluster.apply(n, |node| node.taints.clear());
    }
    cluster.run(120);
}

fn drained_together(cluster: &mut Cluster) {
    for n in 0..3 {
        cluster.apply(n, |node| node.cordoned = true);
        cluster.machine(n).pods = vec![agent_pod()];
    }
    cluster.run(60);
    (0..3).for_each(|n| cluster.cut(n));
    cluster.run(300);
}

fn slow(cluster: &mut Cluster) {
    for round in 0..20 {
        cluster.arrives = [round % 2 == 0, true];
        cluster.run(9);
    }
    cluster.arrives = [true, true];
    cluster.run(60);
}

fn delete(cluster: &mut Cluster, n: usize) {
    let node = Box::new(cluster.machine(n).node.clone());
    cluster.fact(Fact::Node(Change::Deleted, node));
}

fn deleted_first(cluster: &mut Cluster) {
    delete(cluster, 3);
    cluster.run(60);
    cluster.cut(3);
    cluster.run(4000);
}

fn deleted_together(cluster: &mut Cluster) {
    (0..4).for_each(|n| delete(cluster, n));
    cluster.run(30);
    (0..4).for_each(|n| cluster.cut(n));
    cluster.run(300);
}

/// Another machine takes its name, and what the former one sent last arrives then.
fn succeed(cluster: &mut Cluster) {
    let uptime = SignedDuration::from_hours(24);
    let late = Report { uptime, ..cluster.machine(3).report.clone() };
    let report = |report: &Report| Fact::Report { node: named(3), report: report.clone() };
    cluster.fact(report(&late));
    cluster.apply(3, |node| (node.meta.uid, node.boot_id) = ("uid-new".to_owned(), "boot-new".to_owned()));
    cluster.fact(report(&late));
    let second = cluster.second;
    let machine = cluster.machine(3);
    (machine.report.boot_id, machine.booted) = ("boot-new".into(), second);
    cluster.run(60);
    cluster.fact(report(&late));
    cluster.run(60);
}

fn succeeded(cluster: &mut Cluster) {
    delete(cluster, 3);
    succeed(cluster);
}

fn succeeded_unseen(cluster: &mut Cluster) {
    succeed(cluster);
}

fn registered_again(cluster: &mut Cluster) {
    delete(cluster, 3);
    cluster.run(30);
    cluster.apply(3, |node| node.meta.uid = "uid-new".to_owned());
    cluster.run(60);
    assert!(!cluster.triage.silent.contains(&named(3)), "its reports count");
}

fn shown_again(cluster: &mut Cluster) {
    cluster.cut(3);
    cluster.run(2);
    cluster.reboot(3, "boot-new", PreviousEnd::Clean);
    for boot in ["boot-new", "boot-3", "boot-new"] {
        cluster.apply(3, |node| node.boot_id = boot.to_owned());
        cluster.run(10);
    }
    let uids: BTreeSet<_> = cluster.revisions.iter().map(|of| &of.uid).collect();
    assert_eq!(uids.len(), 1, "{:?}", cluster.revisions);
}

fn filtered(cluster: &mut Cluster) {
    cluster.machines.values_mut().for_each(|machine| machine.answers[0] = ProbeOutcome::TimedOut);
    cluster.run(60);
    for n in 0..30 {
        let created = Some(at(cluster.second));
        let machine = cluster.machine(n);
        (machine.reports, machine.answers[1]) = (false, ProbeOutcome::TimedOut);
        machine.pods = vec![Pod { created, ..agent_pod() }];
        // The API server is slow.
        cluster.arrives[1] = false;
        cluster.run(16);
        cluster.arrives[1] = true;
        cluster.run(24);
        let machine = cluster.machine(n);
        (machine.reports, machine.answers[1]) = (true, ProbeOutcome::Answered);
        cluster.run(10);
    }
}
