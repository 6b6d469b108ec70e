//! Why a recorded case cannot be read.

coroner_diagnosis::messages! {
    case_missing(path: Identifier);
    case_without_json(path: Identifier);
    case_unreadable(path: Identifier, error: Quote);
    case_not_a_file(path: Identifier);
    case_twice(path: Identifier);
    case_json(path: Identifier, error: Quote);
    case_later(path: Identifier, version: Identifier);
    case_line(path: Identifier, file: Identifier, line: Count, fault: Phrase);
    case_too_large();
    line_not_json(error: Quote);
    line_not_parsed(error: Quote);
    line_not_text();
    line_time();
    line_too_long();
    line_unreadable(error: Quote);
    archive_unreadable(path: Identifier, error: Quote);
    archive_too_many(path: Identifier, limit: Count);
    archive_too_large(path: Identifier, limit: Bytes);
    archive_outside(path: Identifier, name: Quote);
    archive_not_unpacked(path: Identifier, error: Quote);
}
