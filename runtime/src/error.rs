//! Errors as people read them.

use std::{error::Error, fmt::Write};

/// An error with its causes, in one line: `cannot connect to unix:///a.sock: No such file or directory`. A cause whose
/// text is part of the line already, as where an error displays its cause itself, is not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            let _infallible = write!(line, ": {text}");
        }
        cause = error.source();
    }
    if line.contains('\n') { line.split_whitespace().collect::<Vec<_>>().join(" ") } else { line }
}

#[cfg(test)]
mod tests {
    use std::{fmt, io};

    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<dyn Error>>);

    impl fmt::Display for Layer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref()
        }
    }

    #[test]
    fn causes_follow_in_one_line_and_none_is_repeated() {
        let cause = io::Error::from(io::ErrorKind::NotFound);
        let middle = Layer("cannot connect: entity not found", Some(Box::new(cause)));
        assert_eq!(
            chain(&Layer("cannot\n  list", Some(Box::new(middle)))),
            "cannot list: cannot connect: entity not found"
        );
    }
}
