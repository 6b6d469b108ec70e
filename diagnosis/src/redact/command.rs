//! Secrets on command lines and in the statements of databases.

use std::ops::Range;

use super::{
    shape::Shape,
    value::{is_path, is_placeholder},
};

/// Each with what must stand before the secret. No repetition has a bound: one over characters of any script would take
/// hundreds of kilobytes, compiled.
static SHAPES: [Shape; 13] = [
    // `--db-password x`, `["--token", "x"]`
    Shape::new(&["pass", "secret", "key", "credential", "token", "pw"], || {
        format!(r#"(?:^|[\s"'=\[,(])--?[A-Za-z0-9_-]*{FLAG}(?:\\*["'][ \t]?,[ \t]?|\\*["']?[ \t]+){WORD}"#)
    }),
    // curl -u user:x, also -uuser:x
    Shape::new(&["curl", "wget", "http"], || {
        format!(
            r#"\b(?:curl|wget|http|https)\b[^\n|]*?\s(?:-[a-zA-Z]?u|--user|--proxy-user|-U)[ =]{{0,2}}["']?[^\s:"']+:{WORD}"#
        )
    }),
    // mysql -px, sshpass -p x, redis-cli -a x, docker login -p x, ldapsearch -w x, smbclient -U user%x
    Shape::new(&["mysql", "mariadb"], || {
        format!(r#"\b(?:mysql|mysqldump|mysqladmin|mariadb(?:-dump)?)\b[^\n|;]*?\s-p{WORD}"#)
    }),
    Shape::new(&["sshpass", "mongo", "login", "influx", "clickhouse-client"], || {
        format!(
            r#"\b(?:sshpass|mongo(?:sh|dump|restore)?|(?:docker|podman|helm registry|skopeo|buildah|oras|crane auth) login|influx|clickhouse-client)\b[^\n|;]*?\s-p[ =]?{WORD}"#
        )
    }),
    Shape::new(&["redis-cli"], || format!(r#"\bredis-cli\b[^\n|;]*?\s-a[ =]?{WORD}"#)),
    Shape::new(&["ldap"], || format!(r#"\bldap[a-z]+\b[^\n|;]*?\s-w[ =]?{WORD}"#)),
    Shape::new(&["smbclient", "mount.cifs", "rpcclient", "net"], || {
        format!(r#"\b(?:smbclient|mount\.cifs|rpcclient|net)\b[^\n|;]*?\s-U[ =]?[^\s%]+%{WORD}"#)
    }),
    Shape::new(&["htpasswd"], || format!(r#"\bhtpasswd\s+-[a-zA-Z]*b[a-zA-Z]*\s+\S+\s+\S+\s+{WORD}"#)),
    Shape::new(&["pass:"], || format!(r#"-pass(?:in|out)?\s+["']?pass:{WORD}"#)),
    // SQL, Redis, netrc
    Shape::new(&["identified", "password"], || {
        r#"(?i:\bidentified\s+(?:with\s+\S+\s+)?by|\bpassword)\s+(?:[eEnN])?\\*'(?P<d>[^'\n]+)"#.to_owned()
    }),
    Shape::new(&["auth", "requirepass"], || format!(r#"(?m:^|["'`>\]\s])(?:AUTH|requirepass|masterauth)\s+{WORD}"#)),
    Shape::new(&["login"], || format!(r#"(?i:\blogin)\s+\S+\s+(?i:password)\s+{WORD}"#)),
    Shape::new(&["--from-literal"], || format!(r#"--from-literal[= ]["']?[A-Za-z0-9._-]+={WORD}"#)),
];
const FLAG: &str = "(?i:password|passwd|passphrase|pass|secret|api-?key|access-?key|secret-?key|private-?key|credentials?|token|auth-?token|pw)";
/// Up to a blank, or up to the quote that was opened.
const WORD: &str = r#"(?:\\*'(?P<a>[^'\n]+)|\\*"(?P<b>(?:[^"\\\n]|\\[^"])+)|(?P<c>[^\s"'][^\s]*))"#;

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    let shapes = SHAPES.iter().enumerate().filter_map(|(number, shape)| Some((number, shape.of(text)?)));
    for (number, shape) in shapes {
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
