//! Tokens and keys that their providers gave a shape of its own. A text may have been cut in the middle of one, which
//! an ellipsis shows.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

/// What begins a token, and the characters and least number of them that follow.
const PREFIXES: &[(&str, &str, usize)] = &[
    // Clouds
    ("(?:AKIA|ASIA|AGPA|AIDA|AROA|ABIA|ACCA)", "[A-Z0-9]", 16),
    ("AIza", "[A-Za-z0-9_-]", 30),
    (r"ya29\.", "[A-Za-z0-9_.-]", 20),
    ("GOCSPX-", "[A-Za-z0-9_-]", 20),
    ("do[opr]_v1_", "[a-f0-9]", 32),
    ("dapi", "[a-f0-9]", 32),
    ("LTAI", "[A-Za-z0-9]", 12),
    ("AKID", "[A-Za-z0-9]", 28),
    // Code, packages, images
    ("gh[pousr]_", "[A-Za-z0-9]", 20),
    ("github_pat_", "[A-Za-z0-9_]", 20),
    ("gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-", "[A-Za-z0-9_.=-]", 16),
    ("npm_", "[A-Za-z0-9]", 24),
    ("pypi-", "[A-Za-z0-9_-]", 24),
    ("rubygems_", "[a-f0-9]", 32),
    ("dckr_(?:pat|oat)_", "[A-Za-z0-9_-]", 16),
    ("ATATT3", "[A-Za-z0-9_=-]", 24),
    ("ATBB", "[A-Za-z0-9_=]", 20),
    ("PMAK-", "[a-f0-9-]", 32),
    ("AKCp", "[A-Za-z0-9]", 40),
    // Vaults and infrastructure
    ("hv[sbr]\\.", "[A-Za-z0-9_.-]", 20),
    ("[bs]\\.", "[A-Za-z0-9]{24}\\b", 0),
    ("[A-Za-z0-9]{14}\\.atlasv1\\.", "[A-Za-z0-9_.=-]", 20),
    ("pul-", "[a-f0-9]", 32),
    ("AGE-SECRET-KEY-1", "[A-Z0-9]", 30),
    ("K10", "[a-f0-9]{64}::server:[a-f0-9]", 8),
    ("dp\\.(?:pt|st|ct|sa|scim|audit)\\.", "[A-Za-z0-9._-]", 20),
    ("ops_ey", "[A-Za-z0-9]", 30),
    // Money, mail, chat
    ("(?:sk|rk|pk)_(?:live|test|prod)_", "[A-Za-z0-9]", 10),
    ("whsec_", "[A-Za-z0-9+/=]", 16),
    ("shp(?:at|ca|pa|ss)_", "[a-fA-F0-9]", 24),
    ("sq0(?:atp|csp|idp)-", "[A-Za-z0-9_-]", 20),
    ("EAAA", "[A-Za-z0-9_-]", 50),
    ("SG\\.", "[A-Za-z0-9_-]{10,}\\.[A-Za-z0-9_-]", 10),
    ("key-", "[a-f0-9]", 32),
    ("(?:SK|AC)", "[a-f0-9]{32}\\b", 0),
    ("xkeysib-", "[a-f0-9]", 40),
    ("xox[abeoprs]-", "[A-Za-z0-9-]", 10),
    ("xapp-", "[A-Za-z0-9-]", 16),
    ("[0-9]{8,10}:AA", "[A-Za-z0-9_-]", 30),
    ("[MNO][A-Za-z0-9_-]{23,25}\\.[A-Za-z0-9_-]{6}\\.", "[A-Za-z0-9_-]", 27),
    // Models, metrics, others
    ("sk-(?:ant-|proj-|svcacct-|or-)?", "[A-Za-z0-9_-]", 20),
    ("hf_", "[A-Za-z0-9]", 24),
    ("gsk_", "[A-Za-z0-9]", 24),
    ("r8_", "[A-Za-z0-9]", 24),
    ("gl(?:sa|c)_", "[A-Za-z0-9_=+/]", 20),
    ("NRA[KA]-", "[A-Z0-9]", 20),
    ("sntr[yu]s?_", "[A-Za-z0-9_=+/]", 24),
    ("lin_api_", "[A-Za-z0-9]", 24),
    ("fig[dou]_", "[A-Za-z0-9_-]", 24),
    ("secret_", "[A-Za-z0-9]", 40),
    ("phc_", "[A-Za-z0-9]", 30),
    ("tskey-", "[A-Za-z0-9-]", 16),
    ("HRKU-", "[A-Za-z0-9_-]", 24),
    ("sbp_", "[a-f0-9]", 30),
];

/// A JSON Web Token, or one that was cut.
const JWT: &str = r"eyJ[A-Za-z0-9_-]{8,}\.(?:[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?)?";

static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    let shape = |(prefix, class, least): &(&str, &str, usize)| match least {
        0 => format!("{prefix}{class}"),
        least => format!("{prefix}{class}(?:{class}*…|{class}{{{},}})", least - 1),
    };
    // Classes of several parts repeat their last one only.
    let shapes: Vec<_> = PREFIXES
        .iter()
        .map(|(prefix, class, least)| match class.rfind('[') {
            Some(at) if at > 0 && *least > 0 => shape(&(&format!("{prefix}{}", &class[..at]), &class[at..], *least)),
            _ => shape(&(prefix, class, *least)),
        })
        .collect();
    Regex::new(&format!(r"(?:^|[^A-Za-z0-9_])(?P<secret>{}|{JWT})", shapes.join("|")))
        .expect("the shapes are constants")
});

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    SHAPES.captures_iter(text).filter_map(|found| Some(found.name("secret")?.range())).collect()
}
