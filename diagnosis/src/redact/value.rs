//! Where a value ends, and whether it may be a secret.

/// So far is looked ahead for the name of the next value.
const NAME_MAX: usize = 48;

/// Where a value ends that stands behind `open`: at the closing quote of the same depth of escaping, where `open` ends
/// with a quote; else at the end of the line.
pub(super) fn line_end(text: &str, from: usize, open: &str) -> usize {
    let line = text[from..].find('\n').map_or(text.len(), |at| from + at);
    let Some(quote) = open.chars().next_back().filter(|c| matches!(c, '"' | '\'' | '`')) else {
        return escaped_line_end(text, from, line);
    };
    let depth = open.trim_end_matches(quote).bytes().rev().take_while(|byte| *byte == b'\\').count();
    closing(text, from, line, quote, depth).unwrap_or(line)
}

/// Of JSON in JSON, the quotes are behind 1, 3, 7 … backslashes. A quote within the value is behind more of them than
/// its own.
fn closing(text: &str, from: usize, line: usize, quote: char, depth: usize) -> Option<usize> {
    let mut backslashes = 0;
    for (at, c) in text[from..line].char_indices() {
        if c == quote {
            let escaped = if depth == 0 { backslashes % 2 == 1 } else { backslashes > depth };
            if !escaped {
                // A quote in the middle of a word is a part of it.
                let after = text[from + at + 1..].chars().next();
                let ends = after.is_none_or(|c| c.is_whitespace() || ",;:)]}>/\\\"'".contains(c));
                return ends.then(|| from + at - backslashes.min(depth));
            }
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
    }
    None
}

/// The end of an unquoted value: that of the line, or before the name of the next value. An escaped line end counts
/// where a name follows.
pub(super) fn escaped_line_end(text: &str, from: usize, line: usize) -> usize {
    let mut at = from;
    while at < line {
        let rest = &text[at..line];
        let Some(c) = rest.chars().next() else { break };
        let gap = match c {
            ' ' | '\t' => rest.len() - rest.trim_start_matches([' ', '\t']).len(),
            ',' | ';' => 1 + rest[1..].len() - rest[1..].trim_start_matches(' ').len(),
            '\\' if rest.starts_with("\\n") || rest.starts_with("\\r") => 2,
            _ => 0,
        };
        if gap > 0 {
            if at > from && begins_with_name(&rest[gap..], matches!(c, ',' | ';')) {
                return at;
            }
            at += gap;
        } else {
            at += c.len_utf8();
        }
    }
    line
}

/// `name=`, `name: ` or `"name":`. Where no blank must stand before it (`strict`), it has to read like a word or two.
fn begins_with_name(text: &str, strict: bool) -> bool {
    let text = &text[..text.floor_char_boundary(NAME_MAX)];
    let name = text.trim_start_matches(['"', '\'', '-']);
    let of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.') || strict && *b == b' ';
    let length = name.bytes().take_while(|b| of_name(b)).count();
    let like_words = || {
        let mut words = name[..length].split([' ', '_', '-']);
        let of_letters = |word: &str| word.bytes().skip(1).all(|b| b.is_ascii_lowercase()) && !word.is_empty();
        length >= 3 && words.all(of_letters)
    };
    if !name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()) || strict && !like_words() {
        return false;
    }
    let rest = name[length..].trim_start_matches(['"', '\'']);
    rest.starts_with('=') || rest.starts_with(": ") || rest.starts_with(":\"")
}

/// Where a word ends.
pub(super) fn word_end(text: &str, from: usize) -> usize {
    text[from..].find(char::is_whitespace).map_or(text.len(), |at| from + at)
}

/// Whether a single word looks like a secret rather than like one of a language: it mixes digits with letters, capitals
/// with small letters, or is full of signs.
pub(super) fn is_secret_name(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ',', ';', ':', ')', ']', '}', '"', '\'']);
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let (digits, small, capitals) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase));
    let signs = word.len() - digits - small - capitals;
    if word.len() < 6 || is_path(word) || is_number(word) {
        return false;
    }
    let inner_capitals = small > 0 && word.bytes().skip(1).filter(u8::is_ascii_uppercase).count() > 1;
    let mixed = digits > 0 && small + capitals > 0 || inner_capitals;
    (mixed && word.len() >= 8 && !is_identifier(word))
        || (signs * 4 >= word.len() && word.is_ascii() && digits + small + capitals > 2)
}

/// Words joined by signs, with numbers at most at their ends, as in names of Kubernetes and versions: `web-0`,
/// `v1.2.3`, `sha256:…`.
fn is_identifier(word: &str) -> bool {
    let parts = || word.split(['-', '.', '/', ':', '_', '@', '=', '(', ')', '"']).filter(|part| !part.is_empty());
    let plain = |part: &str| {
        let hexadecimal = part.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        let head = part.trim_end_matches(|c: char| c.is_ascii_digit());
        let tail = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let word = |part: &str| {
            part.bytes().all(|b| b.is_ascii_lowercase()) || part.bytes().skip(1).all(|b| b.is_ascii_lowercase())
        };
        (hexadecimal && (part.len() <= 12 || word_is_digest(part))) || word(head) || (word(tail) && tail.len() <= 3)
    };
    // What controllers append to the names of Pods.
    let generated = |part: &str| part.len() <= 10 && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let named = parts().next().is_some_and(|part| part.bytes().all(|b| b.is_ascii_lowercase()));
    parts().count() > 1 && (parts().all(plain) || named && parts().count() > 2 && parts().all(generated))
}

fn word_is_digest(part: &str) -> bool {
    matches!(part.len(), 32 | 40 | 64)
}

/// An absolute path of plain names, or one below a known beginning.
pub(super) fn is_path(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'', '`', ',', ';', ':', ')', '(']);
    let name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    let below = word.strip_prefix('/').or_else(|| word.strip_prefix("./")).or_else(|| word.strip_prefix("~/"));
    below.is_some_and(|below| below.contains('/') && below.trim_end_matches('/').split('/').all(name))
}

/// A number, with or without a unit.
pub(super) fn is_number(word: &str) -> bool {
    let rest =
        word.trim_start_matches(['-', '+']).trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '_'));
    rest.len() < word.len()
        && (rest.is_empty()
            || ["s", "ms", "m", "h", "d", "k", "M", "Ki", "Mi", "Gi", "kB", "MB", "GB", "%"].contains(&rest))
}

/// Names of variables and settings, as in a template.
fn is_of_names(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.' | b' ' | b':'))
}

/// What stands where a value would, and is none.
pub(super) fn is_placeholder(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'', '`', ',', ';']).trim_end_matches(['}', ']', ')']);
    let lower = value.to_ascii_lowercase();
    let known = [
        "",
        "null",
        "nil",
        "none",
        "true",
        "false",
        "undefined",
        "yes",
        "no",
        "redacted",
        "hidden",
        "unset",
        "empty",
        "n/a",
        "\\",
        "|",
        ">",
        "{",
        "[",
        "-",
    ];
    known.contains(&lower.as_str())
        || value.bytes().all(|b| matches!(b, b'*' | b'x' | b'X' | b'.' | b'-' | b'#'))
        || value.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).is_some_and(is_of_names)
        || value
            .strip_prefix("${")
            .or_else(|| value.strip_prefix("$("))
            .or_else(|| value.strip_prefix("{{"))
            .is_some_and(is_of_names)
        || value
            .strip_prefix('$')
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}
