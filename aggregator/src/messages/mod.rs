//! What keeps the aggregator from starting: texts for who starts it, beside those of diagnoses.

use coroner_diagnosis::messages::{Catalogue, Message};
use coroner_runtime::{problem::Problem, usage::Help};

pub(crate) mod start;
pub(crate) mod url;

/// The help of the program in Chinese.
pub(crate) static CHINESE: Help = Help::new(&[include_str!("zh/help.ftl")]);

static CATALOGUE: Catalogue = Catalogue::new(
    &[include_str!("en/start.ftl"), include_str!("en/url.ftl")],
    &[include_str!("zh/start.ftl"), include_str!("zh/url.ftl")],
);

pub(crate) fn problem(message: Message) -> Problem {
    Problem::new(message, &CATALOGUE)
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::faults;

    use super::*;

    #[test]
    fn both_catalogues_contain_exactly_the_declared_messages_and_arguments() {
        assert_eq!(faults(&CATALOGUE, &[start::DECLARED, url::DECLARED].concat()), Vec::<String>::new());
    }
}
