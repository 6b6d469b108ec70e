//! Recorded cases, drawn out: others live and die before the fault, hours pass in silence, and it happens once more.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use coroner_diagnosis::observation::{Fact, Health, Observation, Source, kube::Object};
use coroner_proto::v1::{Diagnosis, Node};
use coroner_tests::{
    case::Case,
    life::{End, Playback, Pod, Shift},
};
use jiff::{SignedDuration, Timestamp};

/// Between the two parts of a case.
const DAYS: SignedDuration = SignedDuration::from_hours(72);
/// Of these, in which nothing at all is reported.
const SILENCE: SignedDuration = SignedDuration::from_hours(6);
/// From the end of a case to its repetition.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// Cases of `make test`.
const DRAW: [&str; 6] = ["delete-graceful", "liveness-137", "oom-child", "oom-limit", "two-faults", "v2-oom-group"];
/// Others that live and die in between: in `make test`, and in `make soak`.
const FEW: u32 = 150;
const MANY: u32 = 5_000;

#[test]
fn some_cases_stay_right_among_other_pods() -> Result<()> {
    all_right(Case::all()?.into_iter().filter(|case| DRAW.contains(&case.name.as_str())), FEW)
}

#[test]
#[ignore = "takes minutes: make soak"]
fn every_case_stays_right_among_thousands_of_pods() -> Result<()> {
    all_right(Case::all()?, MANY)
}

fn all_right(cases: impl IntoIterator<Item = Case>, others: u32) -> Result<()> {
    let mut complaints = Vec::new();
    for case in cases {
        for split in splits(&case)? {
            complaints.extend(complaints_of(&case, split, others)?);
        }
    }
    ensure!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

/// Where a case is parted: three seconds after its start, or when nothing happens after that; and where a container
/// runs that will die, before it is asked to stop.
fn splits(case: &Case) -> Result<Vec<Timestamp>> {
    let observations = case.observations()?;
    let mut splits = vec![quiet(&observations, case.recording.start + SignedDuration::from_secs(3))];
    let victims = case.diagnoses(observations.clone());
    for victim in victims.iter().filter_map(|diagnosis| diagnosis.container.as_ref()) {
        let starts = |o: &&Observation| matches!(&o.fact, Fact::Task(event) if event.container.0 == victim.id);
        let Some(start) = observations.iter().find(starts).map(|o| o.seen_at) else { continue };
        let concerns = |o: &&Observation| match &o.fact {
            Fact::Task(event) => event.container.0 == victim.id,
            Fact::Signal(_) => true,
            Fact::Object(_, Object::Pod(pod)) => pod.deletion.is_some(),
            _ => false,
        };
        let Some(next) = observations.iter().filter(|o| o.seen_at > start).find(concerns) else { continue };
        splits.push(start + next.happened_at.duration_since(start) / 2);
        break;
    }
    Ok(splits)
}

/// The first moment from `from` on that does not part what belongs together, such as a kill and its report by the
/// runtime.
fn quiet(observations: &[Observation], from: Timestamp) -> Timestamp {
    const AROUND: SignedDuration = SignedDuration::from_millis(200);
    let sudden = |o: &&Observation| {
        matches!(o.fact.source(), Source::KernelLog | Source::Signals | Source::Containerd | Source::Cri)
    };
    let mut moment = from;
    for event in observations.iter().filter(sudden) {
        if event.seen_at > moment - AROUND && event.seen_at < moment + AROUND {
            moment = event.seen_at + AROUND;
        }
    }
    moment
}

fn complaints_of(case: &Case, split: Timestamp, others: u32) -> Result<Vec<String>> {
    let node = || Node::from(&case.recording.node);
    let of_case = |revisions: Vec<Diagnosis>, namespace: &str| -> Vec<Diagnosis> {
        let about = |d: &Diagnosis| d.subject.as_ref().is_some_and(|subject| subject.namespace == namespace);
        revisions.into_iter().filter(about).collect()
    };
    let plain = Playback::all(node(), case.observations()?, case.recording.end);
    let plain = of_case(plain, &case.recording.namespace);

    let stretched = stretched(case, split, others)?;
    let end = case.recording.end + DAYS;
    let again = case.again()?;
    let repeated = moved(again.observations()?, Timestamp::MIN, DAYS + AGAIN);
    let mut playback = Playback::of_cluster(node());
    let mut first = Vec::new();
    for observation in stretched {
        first.extend(playback.observe(observation));
    }
    first.extend(playback.pass(end));
    let first = of_case(first, &case.recording.namespace);
    let mut second = Vec::new();
    for observation in repeated.into_iter().filter(|o| !matches!(o.fact, Fact::Health(..))) {
        second.extend(playback.observe(observation));
    }
    second.extend(playback.pass(end + AGAIN));
    let second = of_case(second, &again.recording.namespace);

    let never = case.missed(&last(&plain));
    let mut complaints = Vec::new();
    for (what, revisions) in [("stretched", &first), ("again", &second)] {
        let name = format!("{} {what} at {:#}", case.name, split - case.recording.start);
        let last = last(revisions);
        let missed = case.missed(&last).into_iter().filter(|truth| !never.contains(truth));
        complaints.extend(missed.map(|truth| format!("{name}: missed {truth}")));
        complaints.extend(case.accused(&last).into_iter().map(|d| format!("{name}: accused {d}")));
        let (expected, given) = (deaths(&plain), deaths(revisions));
        if expected != given {
            complaints.push(format!("{name}:\n  {expected:?}\n  {given:?}"));
        }
    }
    Ok(complaints)
}

/// The last revisions.
fn last(revisions: &[Diagnosis]) -> Vec<Diagnosis> {
    let last: BTreeMap<_, _> = revisions.iter().map(|diagnosis| (&diagnosis.uid, diagnosis)).collect();
    last.into_values().cloned().collect()
}

/// The last revision of each death in short, and how often such a one was begun. What is reported of states changes
/// with how long they last.
fn deaths(revisions: &[Diagnosis]) -> BTreeMap<String, usize> {
    let mut deaths = BTreeMap::new();
    for d in last(revisions).iter().filter(|d| d.exit.is_some()) {
        let subject = d.subject.clone().unwrap_or_default();
        let exit = d.exit.as_ref().map(|exit| (exit.code, exit.signal));
        let text = format!(
            "{} {:?} {}/{} fatal={} {exit:?}",
            d.cause().as_str_name(),
            d.confidence(),
            subject.name,
            subject.container,
            d.fatal,
        );
        let begun = revisions.iter().filter(|r| r.uid == d.uid && r.revision == 1).count();
        *deaths.entry(text).or_default() += begun;
    }
    deaths
}

/// The case with all from `split` on moved by days, and what happens meanwhile.
fn stretched(case: &Case, split: Timestamp, others: u32) -> Result<Vec<Observation>> {
    // The recorder took the logs last of all; a node reads them when a container has failed.
    let read = |o: &Observation| match &o.fact {
        Fact::Log(tail) => tail.lines.last().map_or(o.seen_at, |line| line.at),
        _ => o.seen_at,
    };
    let (mut all, later): (Vec<_>, Vec<_>) = case.observations()?.into_iter().partition(|o| read(o) < split);
    for observation in &mut all {
        observation.seen_at = observation.seen_at.min(split);
    }
    let healthy = |o: &Observation| match &o.fact {
        Fact::Health(source, Health::Ok) => Some(*source),
        _ => None,
    };
    let sources: Vec<Source> = all.iter().filter_map(healthy).collect();
    let boot = Timestamp::from_nanosecond(i128::from(case.recording.boot_offset_ns))?;
    let step = (DAYS - SILENCE) / i32::try_from(others)?;
    let mut meanwhile: Vec<_> =
        (0..others).flat_map(|i| other(i, split + step * i32::try_from(i).unwrap_or(0), boot)).collect();
    meanwhile.retain(|observation| sources.contains(&observation.fact.source()));
    meanwhile.sort_by_key(|observation| observation.seen_at);
    all.extend(meanwhile);
    all.extend(moved(later, split, DAYS));
    Ok(all)
}

/// Another pod: every third is a finished job, the others are deleted.
fn other(serial: u32, at: Timestamp, boot: Timestamp) -> Vec<Observation> {
    let job = serial.is_multiple_of(3);
    let mut pod = Pod::new(serial.into(), "others", if job { "Never" } else { "Always" }, boot);
    let pid = 20_000 + i32::try_from(serial % 5000).unwrap_or(0) * 2;
    let seconds = SignedDuration::from_secs;
    let mut observations = pod.arrive(at + seconds(1), pid);
    observations.extend(pod.start(at + seconds(2), pid + 1));
    observations.extend(pod.end(at + seconds(12), if job { End::Exits(0) } else { End::Stopped }));
    observations.extend(pod.leave(at + seconds(14)));
    observations
}

fn moved(mut observations: Vec<Observation>, since: Timestamp, by: SignedDuration) -> Vec<Observation> {
    observations.iter_mut().for_each(|observation| Shift { since, by }.apply(observation));
    observations
}
