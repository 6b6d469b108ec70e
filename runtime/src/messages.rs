//! What keeps both daemons from starting.

use coroner_diagnosis::messages::{Catalogue, Message};

use crate::problem::Problem;

static CATALOGUE: Catalogue = Catalogue::new(&[include_str!("messages/en.ftl")], &[include_str!("messages/zh.ftl")]);

coroner_diagnosis::messages! {
    not_a_size();
    cannot_start(error: Quote);
    cannot_serve_health(address: Identifier, error: Quote);
    task_cannot_go_on(task: Identifier, reason: Quote);
}

pub(crate) fn problem(message: Message) -> Problem {
    Problem::new(message, &CATALOGUE)
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::faults;

    use super::*;

    #[test]
    fn both_catalogues_have_all_messages() {
        assert_eq!(faults(&CATALOGUE, DECLARED), Vec::<String>::new());
    }
}
