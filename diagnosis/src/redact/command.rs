//! Secrets on command lines and in the statements of databases.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::value::{is_path, is_placeholder};

/// Each with what must stand before the secret. No repetition has a bound: one over characters of any script would take
/// hundreds of kilobytes, compiled.
static SHAPES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    // Up to a blank, or up to the quote that was opened.
    let word = r#"(?:\\*'(?P<a>[^'\n]+)|\\*"(?P<b>(?:[^"\\\n]|\\[^"])+)|(?P<c>[^\s"'][^\s]*))"#;
    let flag = "(?i:password|passwd|passphrase|pass|secret|api-?key|access-?key|secret-?key|private-?key|credentials?|token|auth-?token|pw)";
    [
        // `--db-password x`, `["--token", "x"]`
        format!(r#"(?:^|[\s"'=\[,(])--?[A-Za-z0-9_-]*{flag}(?:\\*["'][ \t]?,[ \t]?|\\*["']?[ \t]+){word}"#),
        // curl -u user:x, also -uuser:x
        format!(r#"\b(?:curl|wget|http|https)\b[^\n|]*?\s(?:-[a-zA-Z]?u|--user|--proxy-user|-U)[ =]{{0,2}}["']?[^\s:"']+:{word}"#),
        // mysql -px, sshpass -p x, redis-cli -a x, docker login -p x, ldapsearch -w x, smbclient -U user%x
        format!(r#"\b(?:mysql|mysqldump|mysqladmin|mariadb(?:-dump)?)\b[^\n|;]*?\s-p{word}"#),
        format!(r#"\b(?:sshpass|mongo(?:sh|dump|restore)?|(?:docker|podman|helm registry|skopeo|buildah|oras|crane auth) login|influx|clickhouse-client)\b[^\n|;]*?\s-p[ =]?{word}"#),
        format!(r#"\bredis-cli\b[^\n|;]*?\s-a[ =]?{word}"#),
        format!(r#"\bldap[a-z]+\b[^\n|;]*?\s-w[ =]?{word}"#),
        format!(r#"\b(?:smbclient|mount\.cifs|rpcclient|net)\b[^\n|;]*?\s-U[ =]?[^\s%]+%{word}"#),
        format!(r#"\bhtpasswd\s+-[a-zA-Z]*b[a-zA-Z]*\s+\S+\s+\S+\s+{word}"#),
        format!(r#"-pass(?:in|out)?\s+["']?pass:{word}"#),
        // SQL, Redis, netrc
        r#"(?i:\bidentified\s+(?:with\s+\S+\s+)?by|\bpassword)\s+(?:[eEnN])?\\*'(?P<d>[^'\n]+)"#.to_owned(),
        format!(r#"(?m:^|["'`>\]\s])(?:AUTH|requirepass|masterauth)\s+{word}"#),
        format!(r#"(?i:\blogin)\s+\S+\s+(?i:password)\s+{word}"#),
        format!(r#"--from-literal[= ]["']?[A-Za-z0-9._-]+={word}"#),
    ]
    .iter()
    .map(|shape| Regex::new(shape).expect("the shape is a constant"))
    .collect()
});

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    for (number, shape) in SHAPES.iter().enumerate() {
        for found in shape.captures_iter(text) {
            let groups = ["a", "b", "c", "d"];
            let Some(secret) = groups.iter().find_map(|group| found.name(group)) else { continue };
            let value = secret.as_str();
            // Behind a flag that takes no value comes the next.
            let is_flag = number == 0 && value.starts_with('-');
            if !is_placeholder(value) && !is_path(value) && !is_flag {
                secrets.push(secret.range());
            }
        }
    }
    secrets.sort_by_key(|secret| (secret.start, std::cmp::Reverse(secret.end)));
    secrets
}
