//! Which diagnoses are shown.

use std::ffi::OsStr;

use clap::{
    ValueEnum,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};
use coroner_proto::v1::{Cause, DiagnosisFilter, Severity};
use coroner_runtime::problem::Problem;

use crate::messages::{self, command};

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only these namespaces, separated by commas
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) namespace: Vec<String>,
    /// All namespaces; the default
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// Only these nodes, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub(crate) node: Vec<String>,
    /// Only these causes, such as OOM_NODE; `coroner causes` lists them
    #[arg(long, value_name = "CAUSE", value_delimiter = ',', value_parser = Causes, hide_possible_values = true)]
    pub(crate) cause: Vec<Cause>,
    /// Only this severity and above
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<AtLeast>,
    /// Only what ended a container or pod
    #[arg(long)]
    pub(crate) fatal: bool,
}

impl From<&FilterArgs> for DiagnosisFilter {
    fn from(args: &FilterArgs) -> Self {
        let FilterArgs { namespace, all_namespaces: _, node, cause, severity, fatal } = args;
        Self {
            namespaces: namespace.clone(),
            nodes: node.clone(),
            causes: cause.iter().map(|cause| i32::from(*cause)).collect(),
            min_severity: severity.map_or(Severity::Unspecified, Severity::from).into(),
            fatal_only: *fatal,
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AtLeast {
    Info,
    Warning,
    Error,
    Critical,
}

impl From<AtLeast> for Severity {
    fn from(severity: AtLeast) -> Self {
        match severity {
            AtLeast::Info => Self::Info,
            AtLeast::Warning => Self::Warning,
            AtLeast::Error => Self::Error,
            AtLeast::Critical => Self::Critical,
        }
    }
}

/// Parses causes in any of their spellings, and lists them for completions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Causes;

impl TypedValueParser for Causes {
    type Value = Cause;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Cause, clap::Error> {
        StringValueParser::new().try_map(|text| parse_cause(&text)).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let codes = coroner_diagnosis::catalogue::rows().map(|row| row.cause.as_str_name());
        Some(Box::new(codes.map(|code| PossibleValue::new(code.trim_start_matches("CAUSE_")))))
    }
}

/// A cause in any of its spellings: `OOM_NODE` as it is shown, `CAUSE_OOM_NODE` as in JSON, `OomNode`, `oom-node`.
fn parse_cause(text: &str) -> Result<Cause, Problem> {
    let code = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    };
    let wanted = code(text);
    let wanted = wanted.strip_prefix("CAUSE").unwrap_or(&wanted);
    coroner_diagnosis::catalogue::rows()
        .map(|row| row.cause)
        .find(|cause| code(cause.as_str_name()).strip_prefix("CAUSE") == Some(wanted))
        .ok_or_else(|| messages::problem(command::not_a_cause()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_accepted_in_every_spelling() {
        for text in ["OOM_NODE", "oom_node", "oom-node", "CAUSE_OOM_NODE", "OomNode"] {
            assert_eq!(parse_cause(text), Ok(Cause::OomNode), "{text}");
        }
        for text in ["", "UNSPECIFIED", "OOM", "CAUSE_"] {
            assert!(parse_cause(text).is_err(), "{text}");
        }
    }
}
