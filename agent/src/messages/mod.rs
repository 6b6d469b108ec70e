//! What keeps the agent from starting: texts for who starts it, beside those of diagnoses.

use coroner_diagnosis::messages::{Catalogue, Message};
use coroner_runtime::{problem::Problem, usage::Help};

/// The help of the program in Chinese.
pub(crate) static CHINESE: Help = Help::new(&[include_str!("zh/help.ftl")]);

static CATALOGUE: Catalogue = Catalogue::new(&[include_str!("en/start.ftl")], &[include_str!("zh/start.ftl")]);

coroner_diagnosis::messages! {
    aggregator_invalid(url: Quote, error: Quote);
    aggregator_without_host(url: Quote);
    aggregator_without_ca(url: Quote);
    aggregator_plain(url: Quote);
    aggregator_plain_token(url: Quote);
    aggregator_scheme(url: Quote);
    cannot_record(error: Quote);
    host_root(path: Quote, error: Quote);
    not_a_socket();
    not_an_agent(path: Quote, error: Quote);
}

pub(crate) fn problem(message: Message) -> Problem {
    Problem::new(message, &CATALOGUE)
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::faults;

    use super::*;

    #[test]
    fn both_catalogues_contain_exactly_the_declared_messages_and_arguments() {
        assert_eq!(faults(&CATALOGUE, DECLARED), Vec::<String>::new());
    }
}
