//! What API server and kubelet report, over their real protocols: the real agent and aggregator beside stand-ins that
//! list, watch, break off, refuse and hang.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::{Cause, Diagnosis, ListDiagnosesRequest, NodeStatus, SourceHealth, SubjectKind};
use coroner_tests::coroner::{Coroner, NODE_NAME, Received};
use coroner_tests::secured::Secured;
use coroner_tests::stand_ins::Cluster;
use serde_json::{Value, json};
use tonic::Request;

/// A moment long ago: what waits for patience has had it.
const THEN: &str = "2026-11-20T10:00:00Z";

fn metadata(name: &str) -> Value {
    json!({"namespace": "shop", "name": name, "uid": format!("uid-of-{name}"), "creationTimestamp": THEN})
}

/// A pod that no node takes.
fn unschedulable(name: &str) -> Value {
    json!({
        "metadata": metadata(name),
        "spec": {"containers": [{"name": "app", "image": "r.example/app:1", "resources": {"requests": {"cpu": "64"}}}]},
        "status": {"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": THEN,
            "message": "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes \
                        are available: 1 Preemption is not helpful for scheduling.",
        }]},
    })
}

/// The same once a node was found.
fn scheduled(name: &str) -> Value {
    let mut pod = unschedulable(name);
    pod["spec"]["nodeName"] = "another-node".into();
    pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "True", "lastTransitionTime": THEN}]);
    pod
}

fn node() -> Value {
    json!({
        "metadata": {"name": NODE_NAME, "uid": "uid-of-the-node"},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                   "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": THEN}]},
    })
}

/// A pod of the node whose image is not there.
fn pulling(name: &str) -> Value {
    let refused = "failed to pull and unpack image \"r.example/typo:1\": failed to resolve reference \"r.example/typo:1\": \
                   r.example/typo:1: not found";
    json!({
        "metadata": metadata(name),
        "spec": {"nodeName": NODE_NAME, "containers": [{"name": "app", "image": "r.example/typo:1"}]},
        "status": {"phase": "Pending", "startTime": THEN, "containerStatuses": [{
            "name": "app", "image": "r.example/typo:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull", "message": refused}},
        }]},
    })
}

/// A pod of the node that is well.
fn running(name: &str) -> Value {
    json!({
        "metadata": metadata(name),
        "spec": {"nodeName": NODE_NAME, "containers": [{"name": "app", "image": "r.example/app:1"}]},
        "status": {"phase": "Running", "startTime": THEN, "containerStatuses": [{
            "name": "app", "image": "r.example/app:1", "imageID": "", "ready": true, "restartCount": 0, "started": true,
            "containerID": format!("containerd://{name}"), "state": {"running": {"startedAt": THEN}},
        }]},
    })
}

/// The last revision of what was reported about this subject for this cause.
fn of<'a>(received: &'a Received, name: &str, cause: Cause) -> Option<&'a Diagnosis> {
    let about = |diagnosis: &&Diagnosis| diagnosis.subject.as_ref().is_some_and(|subject| subject.name == name);
    received.last_revisions().into_iter().filter(about).find(|diagnosis| diagnosis.cause() == cause)
}

fn resolved(received: &Received, name: &str, cause: Cause) -> Option<()> {
    of(received, name, cause).filter(|diagnosis| diagnosis.resolve_time.is_some()).map(drop)
}

/// Waits until a source of a node has this health; gives its reason.
async fn until_source_is(coroner: &Coroner, node: &str, name: &str, health: SourceHealth) -> Result<String> {
    let what = format!("{name} of {node} is {health:?}");
    coroner_tests::until(&what, async || {
        let nodes: Vec<NodeStatus> = coroner.nodes().await?;
        let sources = nodes.into_iter().filter(|status| status.node == node).flat_map(|status| status.sources);
        let mut found = sources.filter(|source| source.source == name && source.health() == health);
        Ok(found.next().map(|source| source.reason))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unschedulable_pod_is_reported_with_its_workload_and_resolved_once_a_node_takes_it() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    let coroner = cluster.coroner(&[]).await?;
    let mut pod = unschedulable("web-5d9c-x");
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c",
        "uid": "uid-of-web-5d9c", "controller": true}]);
    pod["metadata"]["labels"] = json!({"pod-template-hash": "5d9c"});
    cluster.api.apply("pods", pod);
    let cause = Cause::UnschedulableResources;
    let diagnosis =
        coroner.wait_for("the pod is reported", |received| of(received, "web-5d9c-x", cause).cloned()).await?;
    let workloads: Vec<_> = diagnosis.workloads.iter().map(|workload| (&*workload.kind, &*workload.name)).collect();
    ensure!(workloads == [("ReplicaSet", "web-5d9c"), ("Deployment", "web")], "{workloads:?}");
    ensure!(diagnosis.subject.as_ref().is_some_and(|subject| subject.kind() == SubjectKind::Pod) && !diagnosis.fatal);
    ensure!(
        diagnosis.node.as_ref().is_some_and(|node| node.cluster_uid == "uid-of-the-cluster"),
        "{:?}",
        diagnosis.node
    );

    cluster.api.apply("pods", scheduled("web-5d9c-x"));
    coroner.wait_for("it is resolved", |received| resolved(received, "web-5d9c-x", cause)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_during_an_interruption_is_gone_after_the_next_list() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    for name in ["gone", "stays"] {
        cluster.api.apply("pods", unschedulable(name));
    }
    let coroner = cluster.coroner(&[]).await?;
    let cause = Cause::UnschedulableResources;
    let both = |received: &Received| of(received, "gone", cause).and_then(|_| of(received, "stays", cause)).map(drop);
    coroner.wait_for("both pods are reported", both).await?;

    // The way back is shut before the watches end, and the past is forgotten before it opens.
    cluster.api.forbid("pods", true);
    cluster.api.cut();
    let reason = until_source_is(&coroner, "_cluster", "pods", SourceHealth::Absent).await?;
    ensure!(reason.contains("not allowed to list and watch pods"), "{reason}");
    cluster.api.delete("pods", "shop", "gone");
    cluster.api.compact();
    cluster.api.forbid("pods", false);
    coroner.wait_for("the deleted pod is resolved", |received| resolved(received, "gone", cause)).await?;
    until_source_is(&coroner, "_cluster", "pods", SourceHealth::Ok).await?;
    let received = coroner.everything().await?;
    ensure!(
        of(&received, "stays", cause).context("it was reported")?.resolve_time.is_none(),
        "the other pod still waits"
    );
    let revisions =
        received.diagnoses.iter().filter(|diagnosis| diagnosis.subject.as_ref().is_some_and(|s| s.name == "stays"));
    ensure!(revisions.count() == 1, "what has not changed is not reported again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_revisions_go_on_and_what_ended_meanwhile_is_over() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    for pod in [unschedulable("gone"), unschedulable("stays"), pulling("typo")] {
        cluster.api.apply("pods", pod);
    }
    let states = [
        ("gone", Cause::UnschedulableResources),
        ("stays", Cause::UnschedulableResources),
        ("typo", Cause::ImageNotFound),
    ];
    let coroner = cluster.coroner(&["pods"]).await?;
    let all =
        |received: &Received| states.iter().all(|(name, cause)| of(received, name, *cause).is_some()).then_some(());
    coroner.wait_for("all are reported", all).await?;
    drop(coroner);

    cluster.api.delete("pods", "shop", "gone");
    let coroner = cluster.coroner(&["pods"]).await?;
    coroner.wait_for("what is gone is resolved", |received| resolved(received, "gone", states[0].1)).await?;
    cluster.api.apply("pods", scheduled("stays"));
    cluster.api.apply("pods", running("typo"));
    for (name, cause) in &states[1..] {
        coroner.wait_for("what passes is resolved", |received| resolved(received, name, *cause)).await?;
    }
    let received = coroner.everything().await?;
    for (name, cause) in states {
        let diagnosis = of(&received, name, cause).context("it was reported")?;
        let revisions: Vec<u32> = received
            .diagnoses
            .iter()
            .filter(|other| other.uid == diagnosis.uid)
            .map(|diagnosis| diagnosis.revision)
            .collect();
        ensure!(revisions == [1, 2], "{name}: {revisions:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_before_the_uid_of_the_cluster_is_known() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    cluster.api.apply("pods", unschedulable("web"));
    cluster.api.fail("namespaces", true);
    let coroner = cluster.coroner(&[]).await?;
    let reason = until_source_is(&coroner, "_cluster", "namespaces", SourceHealth::Degraded).await?;
    ensure!(reason.contains("cannot get namespace kube-system"), "{reason}");
    let asked = cluster.api.asked();
    ensure!(!asked.iter().any(|asked| asked.resource == "services"), "the aggregator watches already: {asked:?}");

    // Roles that are applied after the pod: a refusal is not final at once.
    cluster.api.forbid("namespaces", true);
    cluster.api.fail("namespaces", false);
    coroner_tests::until("the refusal is reported", async || {
        let reason = until_source_is(&coroner, "_cluster", "namespaces", SourceHealth::Degraded).await?;
        Ok(reason.contains("forbidden").then_some(()))
    })
    .await?;
    cluster.api.forbid("namespaces", false);
    let cause = Cause::UnschedulableResources;
    let reported = coroner.wait_for("the pod is reported", |received| of(received, "web", cause).cloned()).await?;
    ensure!(reported.node.is_some_and(|node| node.cluster_uid == "uid-of-the-cluster"));
    until_source_is(&coroner, "_cluster", "namespaces", SourceHealth::Ok).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_uid_of_the_cluster_may_not_be_read_the_recorded_one_stays() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    cluster.api.apply("pods", unschedulable("web"));
    let coroner = cluster.coroner(&[]).await?;
    let cause = Cause::UnschedulableResources;
    coroner.wait_for("the pod is reported", |received| of(received, "web", cause).map(drop)).await?;
    drop(coroner);

    cluster.api.forbid("namespaces", true);
    let coroner = cluster.coroner(&[]).await?;
    let reason = until_source_is(&coroner, "_cluster", "namespaces", SourceHealth::Absent).await?;
    ensure!(reason.contains("forbidden"), "{reason}");
    cluster.api.apply("pods", scheduled("web"));
    coroner.wait_for("it is resolved", |received| resolved(received, "web", cause)).await?;
    let received = coroner.everything().await?;
    // The agent's own reports are of whatever dies on this host meanwhile.
    let of_web = received.diagnoses.iter().filter(|diagnosis| diagnosis.cause() == cause);
    let uids: BTreeSet<_> = of_web.map(|diagnosis| &diagnosis.uid).collect();
    ensure!(uids.len() == 1, "one state has one uid: {:?}", received.diagnoses);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_asks_for_the_pods_of_its_node_and_for_events_of_those_in_trouble() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    cluster.api.apply("pods", running("well"));
    cluster.api.apply("pods", pulling("typo"));
    let mut elsewhere = pulling("elsewhere");
    elsewhere["spec"]["nodeName"] = "another-node".into();
    cluster.api.apply("pods", elsewhere);
    let event = "Failed to pull image \"r.example/typo:1\": not found";
    cluster.api.apply(
        "events",
        json!({
            "metadata": metadata("typo.1"), "reason": "Failed", "type": "Warning", "message": event, "count": 3,
            "firstTimestamp": THEN, "lastTimestamp": "2026-11-20T10:01:00Z", "source": {"component": "kubelet"},
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "typo", "uid": "uid-of-typo",
                               "fieldPath": "spec.containers{app}"},
        }),
    );
    let coroner = cluster.coroner(&["pods", "nodes", "events"]).await?;
    let diagnosis = coroner
        .wait_for("the pull is reported with its event", |received| {
            let diagnosis = of(received, "typo", Cause::ImageNotFound)?;
            diagnosis.evidence.iter().any(|evidence| evidence.source == "events").then(|| diagnosis.clone())
        })
        .await?;
    ensure!(diagnosis.subject.as_ref().is_some_and(|subject| subject.container == "app"), "{diagnosis:?}");
    // Everything else about the agent's node would have come by now: it was in the same list. Deaths of this machine
    // that are none of the cluster's may be reported too.
    let received = coroner.everything().await?;
    let ours = received
        .diagnoses
        .iter()
        .filter_map(|diagnosis| diagnosis.subject.as_ref())
        .filter(|subject| subject.namespace == "shop");
    ensure!(ours.clone().all(|subject| subject.name == "typo"), "{:?}", ours.collect::<Vec<_>>());

    let asked = cluster.api.asked();
    let selectors = |resource: &str| {
        let selected = asked.iter().filter(|asked| asked.resource == resource && asked.verb != "get");
        selected.map(|asked| asked.of.as_str()).collect::<Vec<_>>()
    };
    let allowed = [
        "involvedObject.uid=uid-of-typo",
        &format!("involvedObject.kind=Node,involvedObject.name={NODE_NAME}"),
        // The aggregator's.
        "reason=FailedCreate",
        "reason=ProvisioningFailed",
    ];
    let of_events = selectors("events");
    ensure!(of_events.iter().all(|selector| allowed.contains(selector)), "{of_events:?}");
    let of_node = format!("spec.nodeName={NODE_NAME}");
    // The aggregator asks for all pods, the agent for its own.
    let of_pods = selectors("pods");
    ensure!(of_pods.contains(&of_node.as_str()), "{of_pods:?}");
    ensure!(of_pods.iter().all(|selector| *selector == of_node || selector.is_empty()), "{of_pods:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_states_its_reason_after_the_deletion_of_its_pods_is_asked_again() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    let job = json!({"metadata": metadata("import")});
    cluster.api.apply("jobs", job.clone());
    let mut pod = running("import-x2b4");
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "import", "uid": "uid-of-import",
        "controller": true}]);
    cluster.api.apply("pods", pod.clone());
    let coroner = cluster.coroner(&["pods", "nodes"]).await?;
    pod["metadata"]["deletionTimestamp"] = "2026-11-20T10:05:30Z".into();
    pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    cluster.api.apply("pods", pod.clone());
    coroner_tests::until("the Job is asked for", async || {
        Ok(cluster.api.asked().iter().any(|asked| asked.resource == "jobs").then_some(()))
    })
    .await?;

    let mut failed = job;
    failed["status"]["conditions"] = json!([{"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded",
        "message": "Job was active longer than specified deadline", "lastTransitionTime": "2026-11-20T10:05:00Z"}]);
    cluster.api.apply("jobs", failed);
    pod["status"]["containerStatuses"][0]["state"] = json!({"terminated": {
        "exitCode": 143, "reason": "Error", "startedAt": THEN, "finishedAt": "2026-11-20T10:05:01Z",
        "containerID": "containerd://import-x2b4"}});
    coroner_tests::until("its reason is reported", async || {
        cluster.api.apply("pods", pod.clone());
        Ok(of(&coroner.everything().await?, "import-x2b4", Cause::DeadlineExceeded).map(drop))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_allowed_reports_it_and_the_others_continue() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    cluster.api.forbid("events", true);
    let coroner = cluster.coroner(&["pods", "nodes"]).await?;
    let reason = until_source_is(&coroner, NODE_NAME, "events", SourceHealth::Absent).await?;
    ensure!(reason.contains("not allowed to list and watch events"), "{reason}");
    cluster.api.apply("pods", pulling("typo"));
    coroner.wait_for("the pull is reported", |received| of(received, "typo", Cause::ImageNotFound).map(drop)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_broke_is_well_again_even_if_nothing_happens() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    let coroner = cluster.coroner(&["pods", "nodes", "events"]).await?;
    cluster.api.forbid("events", true);
    cluster.api.cut();
    until_source_is(&coroner, NODE_NAME, "events", SourceHealth::Absent).await?;
    cluster.api.forbid("events", false);
    until_source_is(&coroner, NODE_NAME, "events", SourceHealth::Ok).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_written_after_the_agents_start_are_found() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    let mut surroundings = cluster.surroundings()?;
    let files = ["kubeconfig", "kubelet-ca.pem"].map(|name| cluster.directory().join(name));
    let later = files.clone().map(|file| file.with_extension("later"));
    for (file, later) in files.iter().zip(&later) {
        let argument = surroundings.agent.iter_mut().find(|argument| **argument == file.display().to_string());
        *argument.context("the agent is given the file")? = later.display().to_string();
    }
    let coroner = cluster.coroner_in(surroundings).await?;
    let sources = ["pods", "nodes", "events", "kubelet"];
    for source in sources {
        until_source_is(&coroner, NODE_NAME, source, SourceHealth::Absent).await?;
    }
    for (file, later) in files.iter().zip(&later) {
        std::fs::copy(file, later)?;
    }
    for source in sources {
        until_source_is(&coroner, NODE_NAME, source, SourceHealth::Ok).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_were_deleted_keep_nobodys_events_out() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    let coroner = cluster.coroner(&["pods", "nodes", "events"]).await?;
    for n in 0..200 {
        cluster.api.apply("pods", pulling(&format!("gone-{n}")));
        cluster.api.delete("pods", "shop", &format!("gone-{n}"));
    }
    cluster.api.apply("pods", pulling("typo"));
    coroner_tests::until("its events are asked for", async || {
        let asked = cluster.api.asked();
        Ok(asked.iter().any(|asked| asked.of == "involvedObject.uid=uid-of-typo").then_some(()))
    })
    .await?;
    until_source_is(&coroner, NODE_NAME, "events", SourceHealth::Ok).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_the_kubelet_that_fails_once_degrades_until_it_answers() -> Result<()> {
    let cluster = Cluster::start().await?;
    let coroner = cluster.coroner(&["kubelet"]).await?;
    let summary = std::mem::replace(&mut cluster.kubelet.script().summary, "{".to_owned());
    let reason = until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Degraded).await?;
    ensure!(reason.starts_with("it is well, but /stats/summary: "), "{reason}");
    cluster.kubelet.script().summary = summary;
    until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Ok).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_that_hangs_fails_or_recovers_is_reported_as_such() -> Result<()> {
    let cluster = Cluster::start().await?;
    let coroner = cluster.coroner(&["kubelet"]).await?;
    let asked = |path: &str| cluster.kubelet.script().asked.iter().any(|asked| asked == path);
    coroner_tests::until("all that the agent may ask is asked", async || {
        Ok(["/healthz", "/configz", "/pods", "/stats/summary"].into_iter().all(asked).then_some(()))
    })
    .await?;

    cluster.kubelet.script().healthz = None;
    let reason = until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Degraded).await?;
    ensure!(reason.starts_with("it hangs: /healthz: no answer within"), "{reason}");
    cluster.kubelet.script().healthz = Some("ok".to_owned());
    until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Ok).await?;
    // A real kubelet has the API server review tokens, and refuses at once what has none.
    cluster.kubelet.script().reviews = false;
    let reason = until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Degraded).await?;
    ensure!(reason.contains("reviews the token slowly"), "{reason}");
    cluster.kubelet.script().reviews = true;
    until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Ok).await?;
    cluster.kubelet.script().healthz = Some("[-]syncloop failed: sync loop\u{1b}[2J stuck".to_owned());
    let reason = until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Degraded).await?;
    ensure!(reason.contains("500") && reason.contains("[-]syncloop failed: sync loop"), "{reason}");
    ensure!(!reason.contains('\u{1b}'), "{reason}");

    // Bytes that are no answer at all, as soon as it is asked for them.
    cluster.kubelet.script().summary = "{\"node\": ".repeat(4096);
    cluster.kubelet.script().healthz = Some("ok".to_owned());
    coroner_tests::until("the garbage is reported", async || {
        let reason = until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Degraded).await?;
        Ok(reason.contains("not what it should be").then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_with_another_certificate_is_not_believed() -> Result<()> {
    let cluster = Cluster::start().await?;
    let other = Cluster::start().await?;
    let mut surroundings = cluster.surroundings()?;
    let url = surroundings.agent.iter_mut().find(|argument| argument.starts_with("https://"));
    *url.context("the kubelet has a URL")? = other.kubelet.url();
    let coroner = cluster.coroner_in(surroundings).await?;
    let reason = until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Degraded).await?;
    ensure!(reason.contains("its certificate is not trusted") && reason.contains("--kubelet-ca"), "{reason}");
    ensure!(other.kubelet.script().asked.is_empty(), "it was asked all the same");
    Ok(())
}

/// A permission: the component that has it, API group, resource and verb.
type Permission = [String; 4];

/// What the manifests' roles grant of the API server.
fn granted() -> Result<BTreeSet<Permission>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/base/rbac.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(path)?)?;
    let strings = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut granted = BTreeSet::new();
    for role in objects.iter().filter(|object| object["kind"] == "ClusterRole") {
        let component = role["metadata"]["name"].as_str().and_then(|name| name.strip_prefix("coroner-"));
        let component = component.context("a role of a component")?;
        for rule in role["rules"].as_array().context("rules")? {
            let lists = [&rule["apiGroups"], &rule["resources"], &rule["verbs"]].map(strings);
            let [groups, resources, verbs] = &lists;
            for (group, resource) in groups.iter().flat_map(|group| resources.iter().map(move |of| (group, of))) {
                let of = |verb: &String| [component.to_owned(), group.clone(), resource.clone(), verb.clone()];
                granted.extend(verbs.iter().map(of));
            }
        }
    }
    Ok(granted)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_grant_what_is_asked_and_nothing_else() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    // Of each kind of controller one pod that is being deleted, so that the agent asks for its owner.
    let kinds = ["ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job"];
    for kind in kinds {
        let mut pod = running(&kind.to_lowercase());
        pod["metadata"]["deletionTimestamp"] = THEN.into();
        pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": kind, "name": "web", "uid": format!("uid-of-{kind}"), "controller": true}]);
        cluster.api.apply("pods", pod);
    }
    let _coroner = cluster.coroner(&["pods", "nodes", "events", "kubelet"]).await?;
    let of_kubelet = |path: &String| {
        let endpoint = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        ["agent", "", &format!("nodes/{endpoint}"), "get"].map(str::to_owned)
    };
    // Beyond loopback, an aggregator asks who it is that comes, and what they may see.
    let secured = Secured::start(Some(&cluster.api), &[]).await?;
    cluster.api.issue("token-of-jane", "jane", "coroner", None);
    let mut request = Request::new(ListDiagnosesRequest::default());
    request.metadata_mut().insert("authorization", "Bearer token-of-jane".parse()?);
    secured.feed(None)?.list_diagnoses(request).await.context("ListDiagnoses")?;
    let wanted = granted()?;
    coroner_tests::until("all is asked that is granted", async || {
        let asked = cluster.api.asked().into_iter();
        let asked = asked.map(|asked| [asked.by, asked.group, asked.resource, asked.verb.to_owned()]);
        let paths = cluster.kubelet.script().asked.clone();
        let asked: BTreeSet<Permission> = asked.chain(paths.iter().map(of_kubelet)).collect();
        ensure!(asked.is_subset(&wanted), "not granted: {:?}", asked.difference(&wanted));
        Ok((asked == wanted).then_some(()))
    })
    .await
}
