//! The declaration of messages, and the comparison of declarations with catalogues.

use std::collections::{BTreeMap, BTreeSet};

use super::{Catalogue, Language, catalogue::entries};

/// A declared message: its id, and the names of its arguments.
pub type Declared = (&'static str, &'static [&'static str]);

/// Declares messages as functions of their arguments, and lists them in `DECLARED`.
///
/// `oom_swap(used: Bytes);` becomes `fn oom_swap(used: impl Into<Bytes>) -> Message`, whose wording stands in the
/// catalogues as `oom_swap = … { $used } …`. With `pub;` before them, other crates can use them too.
#[macro_export]
macro_rules! messages {
    (pub; $($declarations:tt)*) => { $crate::messages! { @declare [pub] $($declarations)* } };
    (@declare [$visibility:vis] $($id:ident($($argument:ident: $kind:ident),* $(,)?);)*) => {
        $(
            #[doc = concat!("The message `", stringify!($id), "`.")]
            $visibility fn $id($($argument: impl Into<$crate::messages::$kind>),*) -> $crate::messages::Message {
                $(let $argument: $crate::messages::$kind = $argument.into();)*
                $crate::messages::message(stringify!($id), [$((stringify!($argument), $argument.into())),*])
            }
        )*

        /// The messages that are declared here.
        #[cfg(test)]
        pub(crate) const DECLARED: &[$crate::messages::Declared] = &[$((stringify!($id), &[$(stringify!($argument)),*])),*];
    };
    ($($declarations:tt)*) => { $crate::messages! { @declare [pub(crate)] $($declarations)* } };
}

/// Where a catalogue and the declarations of its messages disagree, one line each: messages without wording, wordings
/// without message, and arguments that a wording lacks or has beyond those declared. For tests.
pub fn faults(catalogue: &Catalogue, declared: &[Declared]) -> Vec<String> {
    let mut faults = Vec::new();
    for language in [Language::English, Language::Chinese] {
        let mut worded = BTreeMap::new();
        for (id, arguments) in catalogue.sources(language).iter().copied().flat_map(wordings) {
            if worded.insert(id, arguments).is_some() {
                faults.push(format!("{language:?}: {id} is worded twice"));
            }
        }
        for (id, arguments) in declared {
            let arguments: BTreeSet<&str> = arguments.iter().copied().collect();
            match worded.remove(id) {
                None => faults.push(format!("{language:?}: {id} has no wording")),
                Some(used) if used != arguments => {
                    faults.push(format!("{language:?}: {id} uses {used:?} and is declared with {arguments:?}"));
                }
                Some(_) => {}
            }
        }
        faults.extend(worded.keys().map(|id| format!("{language:?}: {id} is not declared")));
    }
    faults
}

/// The messages of a catalogue's file, and the arguments that each uses.
fn wordings(source: &'static str) -> impl Iterator<Item = (&'static str, BTreeSet<&'static str>)> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    entries(source).into_iter().map(move |(id, lines)| {
        let lines = lines.lines().filter(|line| !line.starts_with('#'));
        let after = lines.flat_map(|line| line.split('$').skip(1));
        (id, after.map(|rest| rest.split(|c: char| !is_name(c)).next().unwrap_or_default()).collect())
    })
}
