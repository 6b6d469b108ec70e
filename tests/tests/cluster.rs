//! What API server and kubelet say, over their real protocols: the real agent and aggregator beside stand-ins that list,
//! watch, break off, refuse and hang.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::{Cause, Diagnosis, ListDiagnosesRequest, NodeStatus, SourceHealth, SubjectKind};
use coroner_tests::coroner::{Coroner, Heard, NODE_NAME};
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

/// The last revision of what was told of this subject for this cause.
fn of<'a>(heard: &'a Heard, name: &str, cause: Cause) -> Option<&'a Diagnosis> {
    let about = |diagnosis: &&Diagnosis| diagnosis.subject.as_ref().is_some_and(|subject| subject.name == name);
    heard.last_revisions().into_iter().filter(about).find(|diagnosis| diagnosis.cause() == cause)
}

fn resolved(heard: &Heard, name: &str, cause: Cause) -> Option<()> {
    of(heard, name, cause).filter(|diagnosis| diagnosis.resolve_time.is_some()).map(drop)
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
async fn an_unschedulable_pod_is_told_with_its_workload_and_resolved_once_a_node_takes_it() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    let coroner = cluster.coroner(&[]).await?;
    let mut pod = unschedulable("web-5d9c-x");
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c",
        "uid": "uid-of-web-5d9c", "controller": true}]);
    pod["metadata"]["labels"] = json!({"pod-template-hash": "5d9c"});
    cluster.api.apply("pods", pod);
    let cause = Cause::UnschedulableResources;
    let told = coroner.wait_for("the pod is told", |heard| of(heard, "web-5d9c-x", cause).cloned()).await?;
    let workloads: Vec<_> = told.workloads.iter().map(|workload| (&*workload.kind, &*workload.name)).collect();
    ensure!(workloads == [("ReplicaSet", "web-5d9c"), ("Deployment", "web")], "{workloads:?}");
    ensure!(told.subject.as_ref().is_some_and(|subject| subject.kind() == SubjectKind::Pod) && !told.fatal);
    ensure!(told.node.as_ref().is_some_and(|node| node.cluster_uid == "uid-of-the-cluster"), "{:?}", told.node);

    cluster.api.apply("pods", scheduled("web-5d9c-x"));
    coroner.wait_for("it is resolved", |heard| resolved(heard, "web-5d9c-x", cause)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_while_nobody_could_watch_is_gone_after_the_next_list() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    for name in ["gone", "stays"] {
        cluster.api.apply("pods", unschedulable(name));
    }
    let coroner = cluster.coroner(&[]).await?;
    let cause = Cause::UnschedulableResources;
    let both = |heard: &Heard| of(heard, "gone", cause).and_then(|_| of(heard, "stays", cause)).map(drop);
    coroner.wait_for("both pods are told", both).await?;

    // The way back is shut before the watches end, and the past is forgotten before it opens.
    cluster.api.forbid("pods", true);
    cluster.api.cut();
    let reason = until_source_is(&coroner, "_cluster", "pods", SourceHealth::Absent).await?;
    ensure!(reason.contains("not allowed to list and watch pods"), "{reason}");
    cluster.api.delete("pods", "shop", "gone");
    cluster.api.compact();
    cluster.api.forbid("pods", false);
    coroner.wait_for("the deleted pod is resolved", |heard| resolved(heard, "gone", cause)).await?;
    until_source_is(&coroner, "_cluster", "pods", SourceHealth::Ok).await?;
    let heard = coroner.everything().await?;
    ensure!(of(&heard, "stays", cause).context("it was told")?.resolve_time.is_none(), "the other pod still waits");
    let revisions =
        heard.diagnoses.iter().filter(|diagnosis| diagnosis.subject.as_ref().is_some_and(|s| s.name == "stays"));
    ensure!(revisions.count() == 1, "what has not changed is not told again");
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
    let all = |heard: &Heard| states.iter().all(|(name, cause)| of(heard, name, *cause).is_some()).then_some(());
    coroner.wait_for("all are told", all).await?;
    drop(coroner);

    cluster.api.delete("pods", "shop", "gone");
    let coroner = cluster.coroner(&["pods"]).await?;
    coroner.wait_for("what is gone is resolved", |heard| resolved(heard, "gone", states[0].1)).await?;
    cluster.api.apply("pods", scheduled("stays"));
    cluster.api.apply("pods", running("typo"));
    for (name, cause) in &states[1..] {
        coroner.wait_for("what passes is resolved", |heard| resolved(heard, name, *cause)).await?;
    }
    let heard = coroner.everything().await?;
    for (name, cause) in states {
        let told = of(&heard, name, cause).context("it was told")?;
        let revisions: Vec<u32> =
            heard.diagnoses.iter().filter(|other| other.uid == told.uid).map(|told| told.revision).collect();
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

    cluster.api.fail("namespaces", false);
    let cause = Cause::UnschedulableResources;
    let reported = coroner.wait_for("the pod is reported", |heard| of(heard, "web", cause).cloned()).await?;
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
    coroner.wait_for("the pod is reported", |heard| of(heard, "web", cause).map(drop)).await?;
    drop(coroner);

    cluster.api.forbid("namespaces", true);
    let coroner = cluster.coroner(&[]).await?;
    let reason = until_source_is(&coroner, "_cluster", "namespaces", SourceHealth::Absent).await?;
    ensure!(reason.contains("forbidden"), "{reason}");
    cluster.api.apply("pods", scheduled("web"));
    coroner.wait_for("it is resolved", |heard| resolved(heard, "web", cause)).await?;
    let heard = coroner.everything().await?;
    // The agent's own reports are of whatever dies on this host meanwhile.
    let of_web = heard.diagnoses.iter().filter(|diagnosis| diagnosis.cause() == cause);
    let uids: BTreeSet<_> = of_web.map(|diagnosis| &diagnosis.uid).collect();
    ensure!(uids.len() == 1, "one state has one uid: {:?}", heard.diagnoses);
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
    let told = coroner
        .wait_for("the pull is told with its event", |heard| {
            let told = of(heard, "typo", Cause::ImageNotFound)?;
            told.evidence.iter().any(|evidence| evidence.source == "events").then(|| told.clone())
        })
        .await?;
    ensure!(told.subject.as_ref().is_some_and(|subject| subject.container == "app"), "{told:?}");
    // What else is told of the agent's node would have come by now: it was in the same list. Deaths of this machine that are none
    // of the cluster's may be told too.
    let heard = coroner.everything().await?;
    let ours =
        heard.diagnoses.iter().filter_map(|told| told.subject.as_ref()).filter(|subject| subject.namespace == "shop");
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
async fn a_source_that_is_not_allowed_says_so_and_the_others_go_on() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", node());
    cluster.api.forbid("events", true);
    let coroner = cluster.coroner(&["pods", "nodes"]).await?;
    let reason = until_source_is(&coroner, NODE_NAME, "events", SourceHealth::Absent).await?;
    ensure!(reason.contains("not allowed to list and watch events"), "{reason}");
    cluster.api.apply("pods", pulling("typo"));
    coroner.wait_for("the pull is told", |heard| of(heard, "typo", Cause::ImageNotFound).map(drop)).await?;
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
async fn a_kubelet_that_hangs_lies_or_comes_back_is_told_as_such() -> Result<()> {
    let cluster = Cluster::start().await?;
    let coroner = cluster.coroner(&["kubelet"]).await?;
    let asked = |path: &str| cluster.kubelet.script().asked.iter().any(|asked| asked == path);
    coroner_tests::until("all that the agent may ask is asked", async || {
        Ok(["/healthz", "/configz", "/pods", "/stats/summary"].into_iter().all(asked).then_some(()))
    })
    .await?;

    cluster.kubelet.script().healthz = None;
    let reason = until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Degraded).await?;
    ensure!(reason.contains("no answer within"), "{reason}");
    cluster.kubelet.script().healthz = Some("ok".to_owned());
    until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Ok).await?;
    cluster.kubelet.script().healthz = Some("[-]syncloop failed: sync loop\u{1b}[2J stuck".to_owned());
    let reason = until_source_is(&coroner, NODE_NAME, "kubelet", SourceHealth::Degraded).await?;
    ensure!(reason.contains("500") && !reason.contains('\u{1b}'), "{reason}");

    // Bytes that are no answer at all, as soon as it is asked for them.
    cluster.kubelet.script().summary = "{\"node\": ".repeat(4096);
    cluster.kubelet.script().healthz = Some("ok".to_owned());
    coroner_tests::until("the garbage is told", async || {
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
    ensure!(!reason.is_empty() && other.kubelet.script().asked.is_empty(), "{reason}");
    Ok(())
}

/// What the manifests' roles grant of the API server: resource and verb.
fn granted() -> Result<BTreeSet<(String, String)>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/base/rbac.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(path)?)?;
    let strings = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut granted = BTreeSet::new();
    for rule in objects.iter().flat_map(|object| object["rules"].as_array()).flatten() {
        for resource in strings(&rule["resources"]) {
            granted.extend(strings(&rule["verbs"]).into_iter().map(|verb| (resource.clone(), verb)));
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
    let of_kubelet =
        |path: &&str| format!("nodes/{}", path.trim_start_matches('/').split('/').next().unwrap_or_default());
    // Beyond loopback, an aggregator asks who it is that comes, and what they may see.
    let secured = Secured::start(Some(&cluster.api), &[]).await?;
    cluster.api.issue("token-of-jane", "jane", "coroner", None);
    let mut request = Request::new(ListDiagnosesRequest::default());
    request.metadata_mut().insert("authorization", "Bearer token-of-jane".parse()?);
    secured.feed(None)?.list_diagnoses(request).await.context("ListDiagnoses")?;
    let wanted = granted()?;
    coroner_tests::until("all is asked that is granted", async || {
        let asked = cluster.api.asked().into_iter().map(|asked| (asked.resource, asked.verb.to_owned()));
        let paths = cluster.kubelet.script().asked.clone();
        let asked_of_kubelet = paths.iter().map(|path| (of_kubelet(&path.as_str()), "get".to_owned()));
        let asked: BTreeSet<_> = asked.chain(asked_of_kubelet).collect();
        ensure!(asked.is_subset(&wanted), "not granted: {:?}", asked.difference(&wanted));
        Ok((asked == wanted).then_some(()))
    })
    .await
}
