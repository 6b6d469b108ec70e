//! A busy node in virtual time: whatever comes and goes on it, each death is reported once, and no other; what
//! is kept stays as small as it was after the first day.

use std::{fs, time::Instant};

use anyhow::{Context, Result, ensure};
use coroner_diagnosis::observation::cri::ContainerId;
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Node};
use coroner_tests::life::{BusyNode, Death, Playback, Victim};
use jiff::{SignedDuration, Timestamp};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// After so long, a death has been reported or was missed.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);
/// A source that is away this long before or after a death may have missed what is known of it.
const BLIND: SignedDuration = SignedDuration::from_mins(2);
/// What more is living on a later day than on the first may take so much, of this whole process.
const GROWTH_KIB: u64 = 16 << 10;

#[test]
fn a_day_of_a_busy_node() -> Result<()> {
    live(4_000, 1)
}

#[test]
#[ignore = "takes minutes: make soak"]
fn a_year_of_a_busy_node() -> Result<()> {
    live(1_400, 365)
}

/// Lives through so many days.
fn live(pods_a_day: u32, days: u32) -> Result<()> {
    let start = Timestamp::from_second(1_800_000_000)?;
    let end = start + DAY * i32::try_from(days)?;
    let mut node = BusyNode::new(7, start, pods_a_day);
    let mut playback = Playback::of_node(Node { name: "node1".to_owned(), ..Node::default() });
    let mut check = Check::default();
    let mut after_a_day = None;
    let (mut day, mut observations, mut clock) = (0, 0_u64, Instant::now());
    while let Some(observation) = node.next() {
        let now = observation.seen_at;
        if now > end {
            break;
        }
        let revisions = playback.observe(observation);
        observations += 1;
        for revision in revisions {
            check.take(&node, &revision);
        }
        check.expire(&mut node, now - PATIENCE);
        if now >= start + DAY * (day + 1) {
            day += 1;
            ensure!(check.complaints.is_empty(), "complaints on day {day}:\n{}", check.complaints.join("\n"));
            let sizes = playback.examiner.sizes();
            let (lately, living) = (node.started_within_an_hour(), node.living());
            ensure!(
                sizes.containers <= living + lately,
                "day {day}: {living} live, {lately} started lately, kept: {sizes:?}"
            );
            ensure!(
                sizes.pods <= living + lately,
                "day {day}: {living} live, {lately} started lately, kept: {sizes:?}"
            );
            ensure!(sizes.refused == 0, "day {day}: no case file for some of {living}: {sizes:?}");
            let resident = resident_kib()?;
            let first = *after_a_day.get_or_insert(resident);
            ensure!(resident <= first + GROWTH_KIB, "day {day}: {resident} KiB, after the first {first} KiB");
            println!(
                "day {day}: {} pods so far, {} there, {observations} observations, {:?}, {} KiB resident, {} reported, {:?}",
                node.pods_so_far,
                living,
                clock.elapsed(),
                resident,
                check.reported,
                sizes,
            );
            (observations, clock) = (0, Instant::now());
        }
    }
    ensure!(check.reported > 0, "nothing was reported");
    ensure!(check.complaints.is_empty(), "complaints:\n{}", check.complaints.join("\n"));
    Ok(())
}

/// Compares what is reported with what was done.
#[derive(Default)]
struct Check {
    /// The last revision that was reported of each death that has not expired.
    last: std::collections::BTreeMap<Victim, (Diagnosis, bool)>,
    reported: u64,
    complaints: Vec<String>,
}

impl Check {
    fn take(&mut self, node: &BusyNode, diagnosis: &Diagnosis) {
        let victim = victim(diagnosis);
        let Some(death) = node.deaths.get(&victim) else {
            self.complaints.push(format!("no death at that time: {}", describe(diagnosis)));
            return;
        };
        if diagnosis.revision == 1 {
            self.reported += 1;
            if let Some((before, _)) = self.last.get(&victim) {
                self.complaints.push(format!("twice: {} and {}", describe(before), describe(diagnosis)));
            }
        }
        let blind = death.at - BLIND <= node.blind_until;
        self.last.insert(victim, (diagnosis.clone(), blind));
    }

    /// Judges the deaths before this moment.
    fn expire(&mut self, node: &mut BusyNode, before: Timestamp) {
        let old = |(_, death): &(&Victim, &Death)| death.at < before;
        let expired: Vec<_> = node.deaths.iter().filter(old).map(|(victim, _)| victim.clone()).collect();
        for victim in expired {
            let Some(death) = node.deaths.remove(&victim) else { continue };
            match self.last.remove(&victim) {
                None => self.complaints.push(format!("missed: {victim:?} {death:?}")),
                Some((given, blind)) => {
                    let right = given.cause() == death.cause && given.fatal == death.fatal;
                    let honest = blind
                        && (right || given.cause() == Cause::Unattributed || given.confidence() < Confidence::Certain);
                    if !right && !honest {
                        self.complaints.push(format!("wrong: {death:?} is {}", describe(&given)));
                    }
                }
            }
        }
    }
}

fn victim(diagnosis: &Diagnosis) -> Victim {
    let container = diagnosis.container.as_ref().map(|container| container.id.clone()).unwrap_or_default();
    let pid = diagnosis.process.as_ref().map(|process| process.pid).filter(|_| !diagnosis.fatal);
    (ContainerId(container), pid)
}

fn describe(d: &Diagnosis) -> String {
    let subject = d.subject.clone().unwrap_or_default();
    let at = d.event_time.map(|at| at.seconds).unwrap_or_default();
    format!(
        "{} {:?} {}/{} fatal={} at {at} revision {} uid {} missing {:?}",
        d.cause().as_str_name(),
        d.confidence(),
        subject.name,
        subject.container,
        d.fatal,
        d.revision,
        d.uid,
        d.missing_sources
    )
}

/// Memory of this process that is in use.
fn resident_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("reading this process' status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS is a number")
}
