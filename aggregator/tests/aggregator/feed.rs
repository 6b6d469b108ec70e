//! Streams and lists: nothing missed, nothing twice, with any other readers and writers.

use std::time::Duration;

use coroner_aggregator::feed::Timing;
use coroner_proto::v1::{
    Bookmark, Cause, Diagnosis, DiagnosisFilter, ExporterState, GapReason, GetStatusResponse, ListDiagnosesRequest,
    PushDiagnosesRequest, Severity, SubjectKind, WatchDiagnosesRequest, outbox_record::Record,
    watch_diagnoses_request::Start, watch_diagnoses_response::Frame,
};
use prost_types::{FieldMask, Timestamp};
use tonic::Code;

use crate::support::{
    Aggregator, Feed, channel, diagnosis, drain, from_oldest, gap, items, next_news, push, push_numbers, replay,
    resume, status_where, subject, uid,
};

fn quick(bookmark_interval: Duration, stall_limit: Duration) -> Timing {
    Timing { bookmark_interval, stall_limit }
}

#[tokio::test]
async fn resuming_at_every_frame_gives_exactly_the_rest() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    let records =
        (1..=40_u64).map(|n| if n.is_multiple_of(7) { Record::Gap(gap(n)) } else { Record::Diagnosis(diagnosis(n)) });
    ingest.push_diagnoses(push(1, records)).await.unwrap();
    let filter =
        DiagnosisFilter { names: vec!["web-1".into(), "web-12".into(), "web-40".into()], ..Default::default() };
    for (exclude, expected) in [(vec![], 40), (vec![filter], 37)] {
        let request = |start| WatchDiagnosesRequest { exclude: exclude.clone(), max_batch_size: 3, ..start };
        let all = replay(&mut feed, request(from_oldest())).await;
        assert!(matches!(all.last().unwrap().frame, Some(Frame::Bookmark(Bookmark { live: true }))));
        assert_eq!(items(&all).len(), expected);
        for handled in 1..=all.len() {
            let rest = replay(&mut feed, request(resume(&all[handled - 1].resume_token))).await;
            assert_eq!([items(&all[..handled]), items(&rest)].concat(), items(&all), "resumed behind frame {handled}");
        }
    }
}

#[tokio::test]
async fn subscriber_gets_what_arrives_and_only_that() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    push_numbers(&mut ingest, 1..=3).await;
    let mut stream = feed.watch_diagnoses(WatchDiagnosesRequest::default()).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.frame, Some(Frame::Bookmark(Bookmark { live: true })));
    push_numbers(&mut ingest, 4..=4).await;
    assert_eq!(items([&next_news(&mut stream).await]), ["number 4"]);
}

#[tokio::test]
async fn start_time_is_when_records_were_stored() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    push_numbers(&mut ingest, 1..=20).await;
    let between = std::time::SystemTime::now();
    push_numbers(&mut ingest, 21..=25).await;
    let at = |time: Timestamp| WatchDiagnosesRequest { start: Some(Start::StartTime(time)), ..from_oldest() };
    assert_eq!(items(&replay(&mut feed, at(between.into())).await).len(), 5);
    assert_eq!(items(&replay(&mut feed, at(Timestamp::default())).await).len(), 25);
    assert_eq!(items(&replay(&mut feed, at(Timestamp { seconds: 9_000_000_000, nanos: 0 })).await).len(), 0);
}

#[tokio::test]
async fn filters_select_what_is_sent() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    let changed = |n, change: fn(&mut Diagnosis)| {
        let mut diagnosis = diagnosis(n);
        change(&mut diagnosis);
        Record::Diagnosis(diagnosis)
    };
    let records = [
        changed(1, |_| {}),
        changed(2, |d| subject(d).namespace = "pay".into()),
        changed(3, |d| d.set_cause(Cause::CrashSegfault)),
        changed(4, |d| d.set_severity(Severity::Info)),
        changed(6, |d| d.fatal = false),
        changed(7, |d| subject(d).set_kind(SubjectKind::Pod)),
    ];
    let (first, then) = records.split_at(4);
    ingest.push_diagnoses(push(1, first.to_vec())).await.unwrap();
    let of_n2 = PushDiagnosesRequest { node: "n2".into(), ..push(1, [changed(5, |d| subject(d).node = "n2".into())]) };
    ingest.push_diagnoses(of_n2).await.unwrap();
    ingest.push_diagnoses(push(5, then.to_vec())).await.unwrap();
    let none = DiagnosisFilter::default;
    let cases = [
        (DiagnosisFilter { namespaces: vec!["pay".into()], ..none() }, vec![2]),
        (DiagnosisFilter { nodes: vec!["n2".into()], ..none() }, vec![5]),
        (DiagnosisFilter { causes: vec![Cause::CrashSegfault.into()], ..none() }, vec![3]),
        (DiagnosisFilter { min_severity: Severity::Error.into(), ..none() }, vec![1, 2, 3, 5, 6, 7]),
        (DiagnosisFilter { fatal_only: true, ..none() }, vec![1, 2, 3, 4, 5, 7]),
        (DiagnosisFilter { subject_kinds: vec![SubjectKind::Pod.into()], ..none() }, vec![7]),
        (
            DiagnosisFilter { containers: vec!["app".into()], nodes: vec!["n1".into()], ..none() },
            vec![1, 2, 3, 4, 6, 7],
        ),
    ];
    for (filter, numbers) in cases {
        let expected =
            |numbers: &mut dyn Iterator<Item = u64>| numbers.map(|n| format!("number {n}")).collect::<Vec<_>>();
        let include = WatchDiagnosesRequest { include: vec![filter.clone()], ..from_oldest() };
        assert_eq!(items(&replay(&mut feed, include).await), expected(&mut numbers.iter().copied()), "{filter:?}");
        let exclude = WatchDiagnosesRequest { exclude: vec![filter.clone()], ..from_oldest() };
        let others = &mut (1..=7).filter(|n| !numbers.contains(n));
        assert_eq!(items(&replay(&mut feed, exclude).await), expected(others), "all but {filter:?}");
        let listed = list(&mut feed, ListDiagnosesRequest { filter: Some(filter.clone()), ..Default::default() }).await;
        assert_eq!(listed, expected(&mut numbers.iter().rev().copied()), "list {filter:?}");
    }
}

#[tokio::test]
async fn read_mask_limits_what_is_sent() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    push_numbers(&mut ingest, 1..=1).await;
    let mask = |path: &str| Some(FieldMask { paths: vec!["uid".into(), path.into()] });
    let request = WatchDiagnosesRequest { read_mask: mask("subject.name"), ..from_oldest() };
    let frames = replay(&mut feed, request).await;
    let Some(Frame::Batch(batch)) = &frames[0].frame else { panic!("{frames:?}") };
    let mut expected = Diagnosis { uid: uid(1), subject: Some(Default::default()), ..Default::default() };
    subject(&mut expected).name = "web-1".into();
    assert_eq!(batch.diagnoses, [expected]);
    let request = WatchDiagnosesRequest { read_mask: mask("subject.nothing"), ..from_oldest() };
    assert_eq!(feed.watch_diagnoses(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let aggregator = Aggregator::start().await;
    let mut feed = aggregator.feed().await;
    let token = replay(&mut feed, from_oldest()).await[0].resume_token.clone();
    for wrong in ["", "x", "00", &token[1..], &format!("{token}00"), &token.replacen("01", "07", 1)] {
        let status = feed.watch_diagnoses(resume(wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{wrong:?}");
    }
    let filter = DiagnosisFilter { names: vec!["x".into(); 201], ..Default::default() };
    let far = Timestamp { seconds: i64::MAX, nanos: 0 };
    for wrong in [
        WatchDiagnosesRequest { max_batch_size: -1, ..from_oldest() },
        WatchDiagnosesRequest { include: vec![filter.clone()], ..from_oldest() },
        WatchDiagnosesRequest { include: vec![DiagnosisFilter::default(); 33], ..from_oldest() },
        WatchDiagnosesRequest { start: Some(Start::StartTime(far)), ..from_oldest() },
    ] {
        assert_eq!(feed.watch_diagnoses(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
    for wrong in [
        ListDiagnosesRequest { page_size: -1, ..Default::default() },
        ListDiagnosesRequest { page_token: "x".into(), ..Default::default() },
        ListDiagnosesRequest { filter: Some(filter), ..Default::default() },
        ListDiagnosesRequest { end_time: Some(far), ..Default::default() },
    ] {
        assert_eq!(feed.list_diagnoses(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn what_retention_takes_from_a_reader_is_reported_once() {
    let aggregator = Aggregator::start_with(&["--retain-bytes", "1MiB"], Timing::default()).await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    push_numbers(&mut ingest, 1..=10).await;
    let request = WatchDiagnosesRequest { max_batch_size: 5, ..from_oldest() };
    let token = replay(&mut feed, request).await[0].resume_token.clone();
    let mut pushed = 10;
    while status_where(&mut feed, |status| status.waiting_count == 0).await.record_count == pushed {
        push_numbers(&mut ingest, pushed + 1..=pushed + 500).await;
        pushed += 500;
    }
    let all = replay(&mut feed, resume(&token)).await;
    let Some(Frame::Gap(gap)) = &all[0].frame else { panic!("{:?}", all[0]) };
    assert_eq!(gap.reason(), GapReason::Retention);
    assert!(gap.start_time.is_some() && gap.end_time.is_some());
    let received = items(&all[1..]);
    assert!(!received.iter().any(|item| item.starts_with("gap")), "one gap reports all");
    assert_eq!(
        5 + gap.lost_count() + received.len() as u64,
        pushed,
        "what was lost and what was received is everything"
    );
    assert_eq!(received.last().unwrap(), &format!("number {pushed}"));
}

#[tokio::test]
async fn token_of_another_ledger_gives_a_gap_and_then_everything() {
    let other = Aggregator::start().await;
    let token = replay(&mut other.feed().await, from_oldest()).await[0].resume_token.clone();
    let aggregator = Aggregator::start().await;
    push_numbers(&mut aggregator.ingest().await, 1..=2).await;
    let frames = replay(&mut aggregator.feed().await, resume(&token)).await;
    assert_eq!(items(&frames), ["gap ledger 0", "number 1", "number 2"]);
}

#[tokio::test]
async fn bookmarks_move_a_reader_on_that_nothing_matches() {
    let timing = quick(Duration::from_millis(20), Duration::from_secs(60));
    let aggregator = Aggregator::start_with(&[], timing).await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    let filter = DiagnosisFilter { namespaces: vec!["unused".into()], ..Default::default() };
    let request = WatchDiagnosesRequest { include: vec![filter], ..Default::default() };
    let mut stream = feed.watch_diagnoses(request).await.unwrap().into_inner();
    let before = stream.message().await.unwrap().unwrap().resume_token;
    push_numbers(&mut ingest, 1..=5).await;
    let after = loop {
        let frame = stream.message().await.unwrap().unwrap();
        assert_eq!(frame.frame, Some(Frame::Bookmark(Bookmark { live: true })));
        if frame.resume_token != before {
            break frame.resume_token;
        }
    };
    assert_eq!(items(&replay(&mut feed, resume(&after)).await), Vec::<String>::new());
    assert_eq!(items(&replay(&mut feed, resume(&before)).await).len(), 5);
}

#[tokio::test]
async fn slow_reader_blocks_no_other_and_misses_nothing() {
    let timing = quick(Duration::from_secs(15), Duration::from_millis(200));
    let aggregator = Aggregator::start_with(&[], timing).await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    // More than the windows of HTTP/2 hold.
    let large = |n| Record::Diagnosis(Diagnosis { explanation: "x".repeat(60 << 10), ..diagnosis(n) });
    for first in (1..=400).step_by(25) {
        ingest.push_diagnoses(push(first, (first..first + 25).map(large))).await.unwrap();
    }
    let request = WatchDiagnosesRequest { start: Some(Start::FromOldest(true)), ..Default::default() };
    let slow = aggregator.feed().await.watch_diagnoses(request).await.unwrap().into_inner();
    let mut quick = feed.watch_diagnoses(WatchDiagnosesRequest::default()).await.unwrap().into_inner();
    quick.message().await.unwrap();
    for n in 401..=450 {
        push_numbers(&mut ingest, n..=n).await;
        assert_eq!(items([&next_news(&mut quick).await]), [format!("number {n}")]);
    }
    // Time is what is tested here: the limit for a client that takes nothing.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let (mut frames, end) = drain(slow).await;
    assert_eq!(end.expect("it was ended").code(), Code::Unavailable);
    frames.extend(replay(&mut feed, resume(&frames.last().unwrap().resume_token)).await);
    assert_eq!(items(&frames), (1..=450).map(|n| format!("number {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_are_ended_by_a_stop_so_that_they_are_resumed() {
    let aggregator = Aggregator::start().await;
    let mut feed = aggregator.feed().await;
    let mut stream = feed.watch_diagnoses(WatchDiagnosesRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap();
    aggregator.app.stop().await.unwrap();
    assert_eq!(drain(stream).await.1.expect("it was ended").code(), Code::Unavailable);
}

/// Summaries of all pages.
async fn list(feed: &mut Feed, mut request: ListDiagnosesRequest) -> Vec<String> {
    let mut listed = Vec::new();
    loop {
        let page = feed.list_diagnoses(request.clone()).await.unwrap().into_inner();
        assert!(request.page_size == 0 || page.diagnoses.len() <= usize::try_from(request.page_size).unwrap());
        listed.extend(page.diagnoses.into_iter().map(|d| d.summary));
        if page.next_page_token.is_empty() {
            return listed;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn pages_stay_right_while_new_records_arrive() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    // Half of them happened in the same second.
    let same = Some(Timestamp { seconds: 1_700_000_020, nanos: 0 });
    let at = |n: u64| if n.is_multiple_of(2) { same } else { diagnosis(n).event_time };
    let records = (1..=40).map(|n| Record::Diagnosis(Diagnosis { event_time: at(n), ..diagnosis(n) }));
    ingest.push_diagnoses(push(1, records)).await.unwrap();
    let request = ListDiagnosesRequest { page_size: 7, ..Default::default() };
    let before = list(&mut feed, request.clone()).await;
    let mut expected: Vec<u64> = (1..=40).collect();
    expected.sort_by_key(|n| std::cmp::Reverse((at(*n).unwrap().seconds, *n)));
    assert_eq!(before, expected.iter().map(|n| format!("number {n}")).collect::<Vec<_>>());

    let mut listed = Vec::new();
    let mut request = request;
    for round in 0_u64.. {
        let page = feed.list_diagnoses(request.clone()).await.unwrap().into_inner();
        listed.extend(page.diagnoses.into_iter().map(|d| d.summary));
        let newer = 100 + round;
        push_numbers(&mut ingest, newer..=newer).await;
        let revised = Diagnosis { revision: 2 + u32::try_from(round).unwrap(), event_time: at(6), ..diagnosis(6) };
        ingest.push_diagnoses(push(1000 + round, [Record::Diagnosis(revised)])).await.unwrap();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, before);
}

#[tokio::test]
async fn list_takes_a_range_of_event_times_and_several_values() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    push_numbers(&mut ingest, 1..=20).await;
    let request = ListDiagnosesRequest {
        start_time: diagnosis(5).event_time,
        end_time: diagnosis(8).event_time,
        page_size: 2,
        ..Default::default()
    };
    assert_eq!(list(&mut feed, request).await, ["number 7", "number 6", "number 5"]);
    let names = [3, 19, 4, 3, 77].map(|n| format!("web-{n}")).to_vec();
    let filter = Some(DiagnosisFilter { names, ..Default::default() });
    let request = ListDiagnosesRequest { filter, page_size: 2, ..Default::default() };
    assert_eq!(list(&mut feed, request).await, ["number 19", "number 4", "number 3"]);
}

#[tokio::test]
async fn page_token_continues_the_same_question_only() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    push_numbers(&mut ingest, 1..=3).await;
    let request = ListDiagnosesRequest { page_size: 1, ..Default::default() };
    let page_token = feed.list_diagnoses(request).await.unwrap().into_inner().next_page_token;
    let filter = Some(DiagnosisFilter { fatal_only: true, ..Default::default() });
    let status =
        feed.list_diagnoses(ListDiagnosesRequest { filter, page_token, ..Default::default() }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn large_answers_are_cut_into_pages_that_clients_take() {
    let aggregator = Aggregator::start().await;
    let mut ingest = aggregator.ingest().await;
    let large = |n| Record::Diagnosis(Diagnosis { explanation: "x".repeat(60 << 10), ..diagnosis(n) });
    for first in (1..=100).step_by(25) {
        ingest.push_diagnoses(push(first, (first..first + 25).map(large))).await.unwrap();
    }
    // A client with gRPC's default limit of 4 MiB.
    let mut feed = Feed::new(channel(&aggregator.url()).await);
    assert_eq!(list(&mut feed, ListDiagnosesRequest { page_size: 1000, ..Default::default() }).await.len(), 100);
    let request = WatchDiagnosesRequest { max_batch_size: 500, ..from_oldest() };
    assert_eq!(items(&replay(&mut feed, request).await).len(), 100);
}

#[tokio::test]
async fn status_shows_the_state_of_each_exporter() {
    let place = tempfile::tempdir().unwrap();
    let file = format!("file://{}/out.jsonl?name=archive", place.path().display());
    // There is no listener.
    let flags = ["--export", &file, "--export", "syslog+tcp://127.0.0.1:1?name=siem"];
    let aggregator = Aggregator::start_with(&flags, Timing::default()).await;
    push_numbers(&mut aggregator.ingest().await, 1..=20).await;
    let mut feed = aggregator.feed().await;
    let settled = |status: &GetStatusResponse| {
        let [archive, siem] = &status.exporters[..] else { panic!("{status:?}") };
        archive.sent_count == 20 && siem.state() == ExporterState::Retrying
    };
    let status = status_where(&mut feed, settled).await;
    let [archive, siem] = &status.exporters[..] else { panic!("{status:?}") };
    assert_eq!((archive.name.as_str(), archive.state(), archive.lag_count), ("archive", ExporterState::Delivering, 0));
    assert_eq!((siem.name.as_str(), siem.sent_count, siem.lag_count), ("siem", 0, 20));
    assert_eq!(siem.url, "syslog+tcp://127.0.0.1:1");
    assert_eq!(status.refusals, []);
}
