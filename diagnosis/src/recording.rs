//! A recorded case, line by line, back into observations. `tests/corpus/README.md` describes the format.
