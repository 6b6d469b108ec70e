//! Who reads: in which language, and in which time zone.

use std::borrow::Cow;

use coroner_diagnosis::messages::{CATALOGUE, Language, Message};
use coroner_proto::v1::{Argument, Diagnosis, argument::Value};
use jiff::{Timestamp, tz::TimeZone};

use crate::labels;

/// The reader of a page.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) language: Language,
    pub(crate) zone: TimeZone,
}

impl Reader {
    /// The zone of TZ or of the system; UTC where neither names one that is known.
    pub(crate) fn local_zone() -> TimeZone {
        let zone = TimeZone::system();
        if zone.is_unknown() { TimeZone::UTC } else { zone }
    }

    /// `2026-11-20T18:02:11.482+08:00`.
    pub(crate) fn moment(&self, time: Timestamp) -> String {
        labels::moment(time, &self.zone)
    }

    /// `18:02:11.482+08:00`, or the whole moment if it was on another day of the reader than `beside`.
    pub(crate) fn clock(&self, time: Timestamp, beside: Option<Timestamp>) -> String {
        let day = |time: Timestamp| self.zone.to_datetime(time).date();
        let moment = self.moment(time);
        match moment.split_once('T') {
            Some((_, clock)) if beside.is_none_or(|beside| day(beside) == day(time)) => clock.to_owned(),
            _ => moment,
        }
    }

    /// The diagnosis with the times within its texts in the reader's zone. They are in UTC otherwise.
    pub(crate) fn localize<'a>(&self, diagnosis: &'a Diagnosis) -> Cow<'a, Diagnosis> {
        if self.zone == TimeZone::UTC {
            return Cow::Borrowed(diagnosis);
        }
        let mut local = diagnosis.clone();
        let summary = local.summary_message.as_mut().map(|message| (message, &mut local.summary));
        let evidence = local.evidence.iter_mut().chain(&mut local.against);
        let evidence = evidence.chain(local.related.iter_mut().filter_map(|related| related.evidence.as_mut()));
        let evidence = evidence.filter_map(|item| item.message.as_mut().map(|message| (message, &mut item.text)));
        let reasons = local.candidates.iter_mut();
        let reasons = reasons
            .filter_map(|candidate| candidate.reason_message.as_mut().map(|message| (message, &mut candidate.reason)));
        let steps = local.suggestion_messages.iter_mut().zip(&mut local.suggestions);
        for (message, text) in summary.into_iter().chain(evidence).chain(reasons).chain(steps) {
            if self.localize_message(message)
                && let Some(worded) = CATALOGUE.render(message, Language::English)
            {
                *text = worded;
            }
        }
        let mut changed = false;
        for message in &mut local.explanation_messages {
            changed |= self.localize_message(message);
        }
        let sentences = local.explanation_messages.iter().map(|message| CATALOGUE.render(message, Language::English));
        if changed && let Some(sentences) = sentences.collect::<Option<Vec<_>>>() {
            local.explanation = sentences.join(Language::English.between_sentences());
        }
        Cow::Owned(local)
    }

    /// True if the message holds a time.
    fn localize_message(&self, message: &mut Message) -> bool {
        let values = message.arguments.iter_mut().filter_map(|Argument { value, .. }| value.as_mut());
        values.fold(false, |changed, value| changed | self.localize_value(value))
    }

    fn localize_value(&self, value: &mut Value) -> bool {
        match value {
            Value::Time(time) => {
                let Ok(time) = Timestamp::new(time.seconds, time.nanos) else { return false };
                if self.zone.to_offset(time).is_zero() {
                    return false;
                }
                *value = Value::Identifier(time.to_zoned(self.zone.clone()).strftime("%H:%M:%S %:z").to_string());
                true
            }
            Value::Message(message) => self.localize_message(message),
            Value::List(list) => {
                let values = list.items.iter_mut().filter_map(|Argument { value, .. }| value.as_mut());
                values.fold(false, |changed, value| changed | self.localize_value(value))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::Evidence;

    use super::*;

    fn reader(hours: i8) -> Reader {
        let zone = if hours == 0 { TimeZone::UTC } else { TimeZone::fixed(jiff::tz::offset(hours)) };
        Reader { language: Language::English, zone }
    }

    #[test]
    fn a_clock_time_on_another_day_of_the_reader_shows_its_day() {
        let event: Timestamp = "2026-11-20T00:00:01Z".parse().unwrap();
        let before: Timestamp = "2026-11-19T23:59:59.5Z".parse().unwrap();
        assert_eq!(reader(0).clock(event, Some(event)), "00:00:01.000Z");
        assert_eq!(reader(0).clock(before, Some(event)), "2026-11-19T23:59:59.500Z");
        assert_eq!(reader(8).clock(before, Some(event)), "07:59:59.500+08:00");
        assert_eq!(reader(8).moment(event), "2026-11-20T08:00:01.000+08:00");
    }

    #[test]
    fn times_within_texts_are_in_the_zone_of_the_reader() {
        let time = prost_types::Timestamp { seconds: 1_795_168_000, nanos: 0 };
        let inner = Message {
            id: "unknown".to_owned(),
            arguments: vec![Argument { name: "time".to_owned(), value: Some(Value::Time(time)) }],
        };
        let evidence_item = Evidence { text: "as recorded".to_owned(), message: Some(inner), ..Evidence::default() };
        let diagnosis = Diagnosis { evidence: vec![evidence_item], ..Diagnosis::default() };
        assert_eq!(*reader(0).localize(&diagnosis), diagnosis);
        let local = reader(8).localize(&diagnosis);
        let value = local.evidence[0].message.as_ref().unwrap().arguments[0].value.clone();
        assert_eq!(value, Some(Value::Identifier("17:46:40 +08:00".to_owned())));
        // The text of a message that this version does not know stays as it is.
        assert_eq!(local.evidence[0].text, "as recorded");
    }
}
