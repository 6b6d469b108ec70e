//! What a reader sees of the namespaces that come up while a request is answered: asked for a bounded number of them, a
//! few at once.

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::Diagnosis;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tonic::Status;

use super::reader::Reader;

/// Namespaces that the API server is asked about for one request.
const MAX_QUESTIONS: usize = 50;
/// Namespaces of related pods that it is asked about besides.
const MAX_RELATED_QUESTIONS: usize = 10;
/// Of these at once.
const AT_ONCE: usize = 8;

/// What a reader sees of the namespaces that have come up.
#[derive(Debug)]
pub struct Sight<'a> {
    reader: &'a Reader,
    known: BTreeMap<String, bool>,
    questions: usize,
}

impl<'a> Sight<'a> {
    /// What this reader sees.
    pub fn of(reader: &'a Reader) -> Self {
        Self { reader, known: BTreeMap::new(), questions: MAX_QUESTIONS }
    }

    /// Finds out about these namespaces, the first of them first, as far as one request may have it asked.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the API server does not answer.
    pub async fn learn(&mut self, namespaces: impl Iterator<Item = &str>) -> Result<(), Status> {
        let (mut asked, mut to_ask) = (BTreeSet::new(), Vec::new());
        for namespace in namespaces {
            if self.known.contains_key(namespace) || !asked.insert(namespace.to_owned()) {
                continue;
            }
            if let Some(sees) = self.reader.remembers(namespace).await {
                self.known.insert(namespace.to_owned(), sees);
            } else if self.questions > 0 {
                self.questions -= 1;
                to_ask.push(namespace.to_owned());
            }
        }
        let reader = self.reader;
        let questions = to_ask.into_iter().map(|namespace| async move {
            let sees = reader.sees(&namespace).await?;
            Ok::<_, Status>((namespace, sees))
        });
        let answers: Vec<_> = stream::iter(questions).buffer_unordered(AT_ONCE).try_collect().await?;
        self.known.extend(answers);
        Ok(())
    }

    /// Whether the reader sees a namespace; none if that is not known.
    pub fn sees(&self, namespace: &str) -> Option<bool> {
        self.known.get(namespace).copied()
    }
}

/// Leaves out of diagnoses the pods of namespaces that the reader does not see, and those that could not be asked about
/// at once.
///
/// # Errors
/// `UNAVAILABLE` if the API server does not answer.
pub async fn withhold_related(reader: &Reader, diagnoses: &mut [Diagnosis]) -> Result<(), Status> {
    if diagnoses.iter().all(|diagnosis| diagnosis.related.is_empty()) || reader.sees_everything().await? {
        return Ok(());
    }
    let mut sight = Sight { questions: MAX_RELATED_QUESTIONS, ..Sight::of(reader) };
    let related = diagnoses.iter().flat_map(|diagnosis| &diagnosis.related);
    sight.learn(related.map(|related| related.namespace.as_str())).await?;
    for diagnosis in diagnoses {
        diagnosis.related.retain(|related| sight.sees(&related.namespace) == Some(true));
    }
    Ok(())
}
