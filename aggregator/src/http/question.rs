//! What a reader asks the overview for: the parameters of its address.

use coroner_proto::v1::{Cause, Diagnosis, DiagnosisFilter, Severity};
use jiff::{SignedDuration, Timestamp};
use tonic::Status;
use url::form_urlencoded;

use super::{view::View, words};

/// Parameters that are read.
const MAX_PARAMETERS: usize = 64;
/// Bytes of a text that is searched for.
const MAX_TEXT_BYTES: usize = 200;

/// How far back one can look: as it stands in the address, and how long it is.
pub(super) const RANGES: [(&str, SignedDuration); 5] = [
    ("1h", SignedDuration::from_hours(1)),
    ("6h", SignedDuration::from_hours(6)),
    ("24h", SignedDuration::from_hours(24)),
    ("7d", SignedDuration::from_hours(7 * 24)),
    ("30d", SignedDuration::from_hours(30 * 24)),
];
/// The range if none is asked for.
const USUAL_RANGE: (&str, SignedDuration) = RANGES[2];

/// The filters of a request, from its query.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) range: (&'static str, SignedDuration),
    pub(super) namespace: String,
    pub(super) node: String,
    /// The code of a cause, such as `OOM_NODE`; empty for all.
    pub(super) cause: String,
    pub(super) severity: Severity,
    pub(super) search: String,
    /// The page token; empty for the first page.
    pub(super) page: String,
    /// Where its time began when the first page was made, in seconds since 1970.
    pub(super) from: Option<Timestamp>,
}

impl Question {
    /// Takes it from the query of an address. What is not known there is passed over.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a value that means nothing.
    pub(super) fn of(query: &str) -> Result<Self, Status> {
        let mut question = Self {
            range: USUAL_RANGE,
            namespace: String::new(),
            node: String::new(),
            cause: String::new(),
            severity: Severity::Unspecified,
            search: String::new(),
            page: String::new(),
            from: None,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_PARAMETERS) {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            match &*name {
                "since" => {
                    let known = RANGES.into_iter().find(|(range, _)| *range == value);
                    question.range =
                        known.ok_or_else(|| Status::invalid_argument("since is none of 1h, 6h, 24h, 7d, 30d"))?;
                }
                "ns" => value.clone_into(&mut question.namespace),
                "node" => value.clone_into(&mut question.node),
                "cause" => {
                    let cause = Cause::from_str_name(&format!("CAUSE_{value}"));
                    cause.ok_or_else(|| Status::invalid_argument("there is no such cause"))?;
                    value.clone_into(&mut question.cause);
                }
                "severity" => {
                    let known = words::SEVERITIES.into_iter().find(|(name, _)| *name == value);
                    let (_, severity) = known.ok_or_else(|| {
                        Status::invalid_argument("severity is none of info, warning, error, critical")
                    })?;
                    question.severity = severity;
                }
                "q" => coroner_diagnosis::text::clean(value, MAX_TEXT_BYTES).clone_into(&mut question.search),
                "page" => value.clone_into(&mut question.page),
                "from" => {
                    let time = value.parse().ok().and_then(|second| Timestamp::from_second(second).ok());
                    question.from = Some(time.ok_or_else(|| Status::invalid_argument("from is no number of seconds"))?);
                }
                _ => {}
            }
        }
        Ok(question)
    }

    /// The same filters, as the services take them.
    pub(super) fn filter(&self) -> DiagnosisFilter {
        let one = |text: &String| if text.is_empty() { Vec::new() } else { vec![text.clone()] };
        DiagnosisFilter {
            namespaces: one(&self.namespace),
            nodes: one(&self.node),
            causes: Cause::from_str_name(&format!("CAUSE_{}", self.cause)).into_iter().map(Into::into).collect(),
            min_severity: self.severity.into(),
            ..DiagnosisFilter::default()
        }
    }

    /// Where its time begins: of a further page, where that of the first did.
    pub(super) fn start(&self, now: Timestamp) -> Timestamp {
        let start = self.from.or_else(|| Timestamp::from_second(now.as_second() - self.range.1.as_secs()).ok());
        start.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The same question about what is older than this page.
    pub(super) fn older(&self, page: &str, now: Timestamp) -> Self {
        Self { page: page.to_owned(), from: Some(self.start(now)), ..self.clone() }
    }

    /// Whether it asks for less than all.
    pub(super) fn is_narrow(&self) -> bool {
        !self.search.is_empty() || self.filter() != DiagnosisFilter::default()
    }

    /// Whether a diagnosis holds the text that is searched for, in the words in which its reader sees it.
    pub(super) fn finds(&self, diagnosis: &Diagnosis, view: &View) -> bool {
        if self.search.is_empty() {
            return true;
        }
        let wanted = self.search.to_lowercase();
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let workloads = diagnosis.workloads.iter().map(|workload| format!("{}/{}", workload.kind, workload.name));
        let summary = words::summary(diagnosis, view.language);
        [subject.namespace, subject.name, subject.container, subject.node, words::cause(diagnosis.cause), summary]
            .into_iter()
            .chain(workloads)
            .chain([diagnosis.uid.clone()])
            .any(|text| text.to_lowercase().contains(&wanted))
    }

    /// Its parameters, without those that ask for nothing.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let severity = words::SEVERITIES.into_iter().find(|(_, severity)| *severity == self.severity);
        let range = Some(self.range.0).filter(|range| *range != USUAL_RANGE.0).unwrap_or_default();
        let from = self.from.map(|from| from.as_second().to_string());
        let all = [
            ("since", range),
            ("ns", &self.namespace),
            ("node", &self.node),
            ("cause", &self.cause),
            ("severity", severity.map_or("", |(name, _)| name)),
            ("q", &self.search),
            ("page", &self.page),
            ("from", from.as_deref().unwrap_or_default()),
        ];
        let all = all.into_iter().filter(|(_, value)| !value.is_empty());
        all.map(|(name, value)| (name, value.to_owned())).collect()
    }

    /// The address of its answer below a path, with further parameters.
    pub(super) fn address(&self, path: &str, further: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.parameters()).extend_pairs(further);
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_its_address() {
        let query = "since=7d&ns=shop&node=n1&cause=OOM_NODE&severity=error&q=a+b%26c";
        let question = Question::of(query).unwrap();
        assert_eq!(question.address("/", &[]), format!("/?{query}"));
        assert!(question.is_narrow() && !Question::of("since=1h&other=x&q=+").unwrap().is_narrow());
        assert_eq!(Question::of("").unwrap().address("/", &[]), "/");
        for wrong in ["since=2h", "cause=NOPE", "severity=high", "cause=CAUSE_OOM_NODE"] {
            assert_eq!(Question::of(wrong).unwrap_err().code(), tonic::Code::InvalidArgument, "{wrong}");
        }
    }
}
