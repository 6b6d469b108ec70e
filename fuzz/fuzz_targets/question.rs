//! What a reader asks the feed for: tokens, filters and masks.
#![no_main]

use coroner_aggregator::{
    filter::Selection,
    key::Key,
    mask::Mask,
    token::{PageToken, ResumeToken},
};
use coroner_proto::v1::{
    Diagnosis, ListDiagnosesRequest, WatchDiagnosesRequest, watch_diagnoses_request::Start,
};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (question, body) = input;
    if let Ok(question) = WatchDiagnosesRequest::decode(question) {
        if let Some(Start::ResumeToken(token)) = question.start
            && let Ok(place) = ResumeToken::decode(&token)
        {
            assert_eq!(place.encode(), token.to_lowercase());
        }
        if let Ok(selection) = Selection::new(question.include, question.exclude) {
            let key = Diagnosis::decode(body).map(|diagnosis| Key::of(&diagnosis, 0)).unwrap_or_default();
            let _wanted = (selection.wants(&key), selection.wants_gap(&key.node));
        }
        if let Ok(mask) = Mask::new(question.read_mask) {
            let kept = mask.apply(body);
            if Diagnosis::decode(body).is_ok() {
                let kept = kept.expect("a sound message is masked");
                Diagnosis::decode(&*kept).expect("a masked message is sound");
            }
        }
    }
    if let Ok(question) = ListDiagnosesRequest::decode(question) {
        let _place = PageToken::decode(&question.page_token, 0);
    }
});
