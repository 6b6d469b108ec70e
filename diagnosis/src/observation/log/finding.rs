//! What runtimes of languages, shells, the C library and servers write last when a program fails, in plain or in JSON
//! logs.
//!
//! A log is the program's own statement, so a text is recognised by its wording alone and only names what the exit code
//! must agree with. Wordings: V8 `src/api/api.cc`; HotSpot `share/utilities/{vmError,debug}.cpp`; CPython
//! `Python/pylifecycle.c`; Go `src/runtime/{panic,malloc,proc}.go`; Rust
//! `library/{std/src/panicking,alloc/src/alloc}.rs`; glibc `malloc/malloc.c`, `debug/{stack_chk_fail,fortify_fail}.c`,
//! `assert/assert.c`; musl `src/exit/assert.c`, `ldso/dynlink.c`; libstdc++ `libsupc++/vterminate.cc`; libc++abi
//! `src/abort_message.cpp`; .NET `src/coreclr/vm`; PHP `main/main.c`; Ruby `error.c`.

mod wordings;

use std::borrow::Cow;

use super::Line;

/// What the last lines of a program's log show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The heap of V8 is at its limit.
    JavaScriptHeap,
    /// `java.lang.OutOfMemoryError`.
    JavaMemory,
    /// The JVM could not get memory from the system.
    JavaNativeMemory,
    /// The JVM itself crashed.
    JavaCrash,
    /// The JVM found no class or archive to run, or one that is too new for it.
    JavaStart,
    /// A Java exception that was not caught.
    JavaException,
    /// The heap of .NET is at its limit.
    DotnetMemory,
    /// A .NET exception that was not caught.
    DotnetException,
    /// The .NET runtime that the program needs is not installed.
    DotnetRuntime,
    /// The Go runtime got no memory.
    GoMemory,
    /// `fatal error:` of the Go runtime.
    GoFatal,
    /// A panic of Go.
    Panic,
    /// A panic of Rust.
    RustPanic,
    /// A Rust program got no memory, or panicked beyond recovery.
    RustAbort,
    /// `MemoryError` of Python.
    PythonMemory,
    /// A Python module is missing.
    PythonModule,
    /// The Python interpreter itself failed.
    PythonFatal,
    /// A Python exception that was not caught.
    PythonException,
    /// A Node.js module is missing.
    NodeModule,
    /// A JavaScript exception that was not caught.
    NodeException,
    /// PHP's `memory_limit`.
    PhpMemory,
    /// `Fatal error:` of PHP.
    PhpFatal,
    /// The Ruby interpreter itself crashed.
    RubyCrash,
    /// Ruby got no memory.
    RubyMemory,
    /// A Ruby exception that was not caught.
    RubyException,
    /// The C library found its heap corrupted.
    HeapCorrupted,
    /// The C library found a buffer that was overrun.
    BufferOverrun,
    /// An assertion of a C or C++ program failed, also a `CHECK` of glog and Abseil.
    Assertion,
    /// A C++ exception that was not caught.
    CppException,
    /// A library or a virtual machine gives up, by abort() as a rule.
    Abort,
    /// A sanitizer of the compiler found an error.
    Sanitizer,
    /// A shell or handler reports the signal that ended a program.
    Signal(i32),
    /// The processor lacks instructions that the program needs.
    Processor,
    /// A shared library is missing or too old.
    Library,
    /// No more processes or threads.
    Threads,
    /// No more memory.
    Memory,
    /// A limit of open files.
    Files,
    /// An address is in use.
    AddressInUse,
    /// A file system is full.
    NoSpace,
    /// nginx refuses its configuration or environment.
    Nginx,
    /// PostgreSQL gives up.
    Postgres,
    /// A certificate is not accepted.
    Certificate,
    /// A login was refused.
    Login,
    /// A host's name was not resolved.
    NameResolution,
    /// A connection was refused.
    Refused,
    /// A connection timed out.
    TimedOut,
    /// Permission denied.
    Permission,
    /// A file is missing.
    MissingFile,
}

/// SIGABRT.
const ABORT: i32 = 6;

impl Finding {
    /// The signal that ends a program with this text, if it does not choose a status.
    pub fn signal(self) -> Option<i32> {
        match self {
            Self::Panic
            | Self::RustPanic
            | Self::JavaScriptHeap
            | Self::JavaMemory
            | Self::JavaCrash
            | Self::DotnetMemory
            | Self::DotnetException
            | Self::RustAbort
            | Self::PythonFatal
            | Self::RubyCrash
            | Self::HeapCorrupted
            | Self::BufferOverrun
            | Self::Assertion
            | Self::CppException
            | Self::Abort
            | Self::Sanitizer
            | Self::Memory => Some(ABORT),
            Self::Signal(signal) => Some(signal),
            Self::Processor => Some(4),
            _ => None,
        }
    }

    /// Whether it agrees with an exit code of its signal. abort() of a process that ignores SIGABRT, as PID 1 does,
    /// ends in SIGSEGV; that of Go's runtime does not. What uses memory that it did not get ends in SIGSEGV as well.
    pub fn agrees(self, code: i32) -> bool {
        let by_libc = !matches!(self, Self::Panic | Self::Memory);
        let of_init = (self.signal(), code) == (Some(ABORT), 139) && by_libc;
        self.signal().is_some_and(|signal| code == 128 + signal) || of_init
    }

    /// Whether the runtime's own heap was at its limit, which may be far below the container's.
    pub fn is_heap_limit(self) -> bool {
        matches!(self, Self::JavaScriptHeap | Self::JavaMemory | Self::DotnetMemory | Self::PhpMemory)
    }
}

/// What a shell prints of a program that a signal ended (`strsignal(3)`), as a line or behind the place in the script.
const SIGNALS: [(&str, i32); 6] = [
    ("Segmentation fault", 11),
    ("Aborted", ABORT),
    ("Bus error", 7),
    ("Illegal instruction", 4),
    ("Floating point exception", 8),
    ("Bad system call", 31),
];

/// What the last lines name, and which of them does: the most specific that agrees with the exit code, else the most
/// specific.
pub fn finding(lines: &[Line], code: i32) -> Option<(Finding, &Line)> {
    let texts: Vec<(Cow<'_, str>, &Line)> = lines.iter().map(|line| (message(&line.text), line)).collect();
    let known = |(place, words): &(wordings::Place, Finding)| {
        let (_, line) = texts.iter().rev().find(|(text, _)| place.is_in(text))?;
        Some((*words, *line))
    };
    let by_signal = texts.iter().rev().find_map(|(text, line)| Some((Finding::Signal(signal(text)?), *line)));
    let by_ruby = texts.iter().rev().find(|(text, _)| is_ruby(text)).map(|(_, line)| (Finding::RubyException, *line));
    let crashes = wordings::crashes().filter_map(known).chain(by_signal);
    let found: Vec<_> = crashes.chain(wordings::others().filter_map(known)).chain(by_ruby).collect();
    let exactly = || found.iter().copied().find(|(finding, _)| finding.signal() == Some(code - 128));
    let named = || naming_signal(&texts, code - 128).map(|line| (Finding::Signal(code - 128), line));
    let agreeing = || found.iter().copied().find(|(finding, _)| finding.agrees(code));
    let (words, line) = exactly().or_else(named).or_else(agreeing).or_else(|| found.first().copied())?;
    if words != Finding::PythonException {
        return Some((words, line));
    }
    // The exception stands below its trace, as the first line that is not indented.
    let after = lines.iter().skip_while(|known| !std::ptr::eq(*known, line)).skip(1);
    let exception = after.filter(|line| !line.text.starts_with(' ') && !line.text.is_empty()).last();
    Some((words, exception.unwrap_or(line)))
}

/// The signal that a shell reports: `Segmentation fault (core dumped)`, `run.sh: line 3: 7 Aborted   ./app`; or a
/// handler in the program.
fn signal(text: &str) -> Option<i32> {
    if let Some(signal) = handled(text) {
        return Some(signal);
    }
    let of_line = text.split_once(": line ").and_then(|(_, rest)| rest.split_once(": "));
    let rest = of_line.map_or(text, |(_, rest)| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '));
    SIGNALS.iter().find_map(|(name, signal)| {
        let after = rest.strip_prefix(name)?;
        let ends = after.trim().is_empty() || after.starts_with(" (core dumped)") || of_line.is_some();
        ends.then_some(*signal)
    })
}

/// The signal that a handler of Abseil, glog or folly reports: `*** SIGSEGV received at time=…`, `*** SIGSEGV (@0x0)
/// received by PID 1 …`, `*** Signal 11 (SIGSEGV) (0x0) received by PID 1 …`.
fn handled(text: &str) -> Option<i32> {
    let rest = text.strip_prefix("*** ")?;
    let numbered = rest.strip_prefix("Signal ").and_then(|rest| rest.split_once(" (")).map(|(_, rest)| rest);
    let named = numbered.unwrap_or(rest);
    let (name, _) = named.split_at(named.find(|c: char| !c.is_ascii_alphanumeric())?);
    let received = [" received at time=", " received by PID "].iter().any(|phrase| named.contains(phrase));
    HANDLED.iter().find(|(known, _)| received && *known == name).map(|(_, signal)| *signal)
}

/// The last line that names this fatal signal, as the handlers of many programs do: `mysqld got signal 11 ;`, `crashed
/// by signal: 11`, `qemu: uncaught target signal 6 (Aborted)`, `Caught SIGSEGV`, `Received signal Segmentation fault
/// (11)`, `Caught Aborted, suspect faulting address …`, `zsh: segmentation fault (core dumped)`. It shows something
/// only where the program ended with the code of this signal.
fn naming_signal<'l>(texts: &[(Cow<'_, str>, &'l Line)], signal: i32) -> Option<&'l Line> {
    let of = |table: &[(&'static str, i32)]| table.iter().find(|(_, known)| *known == signal).map(|(name, _)| *name);
    let (name, described, number) = (of(&HANDLED)?, of(&SIGNALS)?, signal.to_string());
    let names = |text: &str| {
        let words: Vec<&str> =
            text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let numbered = |pair: &[&str]| pair[0].eq_ignore_ascii_case("signal") && pair[1] == number;
        // What is called aborted may also be a request; the other descriptions stand for nothing else.
        let caught = ["Caught ", "caught ", "signal "]
            .iter()
            .any(|before| text.split_once(before).is_some_and(|(_, rest)| rest.starts_with(described)));
        let has = |phrase: &str| text.to_ascii_lowercase().contains(phrase);
        let is_described = match signal {
            ABORT => caught || text.contains("abort()"),
            11 => ["segmentation fault", "segmentation error", "segfault encountered"].into_iter().any(has),
            4 => ["illegal instruction", "illegal hardware instruction"].into_iter().any(has),
            _ => has(&described.to_ascii_lowercase()),
        };
        words.contains(&name) || words.windows(2).any(numbered) || is_described
    };
    texts.iter().rfind(|(text, _)| names(text)).map(|(_, line)| *line)
}

/// The fatal signals by their names.
const HANDLED: [(&str, i32); 6] =
    [("SIGSEGV", 11), ("SIGABRT", ABORT), ("SIGBUS", 7), ("SIGILL", 4), ("SIGFPE", 8), ("SIGSYS", 31)];

/// `app.rb:3:in 'run': message (RuntimeError)`.
fn is_ruby(text: &str) -> bool {
    let Some((place, rest)) = text.split_once(":in ") else { return false };
    let class = rest.trim_end().strip_suffix(')').and_then(|rest| rest.rsplit_once(" ("));
    place.contains(".rb:") && class.is_some_and(|(_, class)| class.ends_with("Error") || class.ends_with("Exception"))
}

/// The message of a JSON log's line, with what else may hold the error; any other line as it is.
fn message(line: &str) -> Cow<'_, str> {
    const FIELDS: [&str; 12] = [
        "msg",
        "message",
        "@message",
        "log",
        "error",
        "err",
        "exception",
        "stack",
        "stack_trace",
        "@x",
        "@m",
        "reason",
    ];
    let Some(Ok(serde_json::Value::Object(object))) =
        line.trim_start().starts_with('{').then(|| serde_json::from_str(line))
    else {
        return Cow::Borrowed(line);
    };
    let mut texts: Vec<String> = Vec::new();
    for value in FIELDS.iter().filter_map(|field| object.get(*field)) {
        match value {
            serde_json::Value::String(text) => texts.push(text.clone()),
            serde_json::Value::Object(inner) => {
                texts.extend(FIELDS.iter().filter_map(|field| inner.get(*field)?.as_str()).map(str::to_owned));
            }
            _ => {}
        }
    }
    Cow::Owned(texts.join(": "))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn words(text: &str) -> Option<Finding> {
        let lines: Vec<Line> =
            text.lines().map(|text| Line { at: Timestamp::UNIX_EPOCH, stderr: true, text: text.to_owned() }).collect();
        finding(&lines, 1).map(|(words, _)| words)
    }

    #[test]
    fn each_language_is_recognised_by_its_own_text() {
        for (text, expected) in [
            (
                "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
                Finding::JavaScriptHeap,
            ),
            ("FATAL ERROR: NewSpace::Rebalance Allocation failed - process out of memory", Finding::JavaScriptHeap),
            ("java.lang.OutOfMemoryError: Java heap space\n\tat a.B.c(B.java:1)", Finding::JavaMemory),
            ("Terminating due to java.lang.OutOfMemoryError: Metaspace", Finding::JavaMemory),
            ("java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory", Finding::Threads),
            ("# There is insufficient memory for the Java Runtime Environment to continue.", Finding::JavaNativeMemory),
            ("# A fatal error has been detected by the Java Runtime Environment:\n#", Finding::JavaCrash),
            ("Error: Unable to access jarfile /srv/x.jar", Finding::JavaStart),
            ("Exception in thread \"main\" a.BException: c", Finding::JavaException),
            ("Unhandled exception. System.OutOfMemoryException: Exception of type", Finding::DotnetMemory),
            ("Unhandled exception. System.InvalidOperationException: x\n   at A.B()", Finding::DotnetException),
            ("fatal error: runtime: out of memory\n\nruntime stack:", Finding::GoMemory),
            ("runtime: failed to create new OS thread (have 7 already; errno=11)", Finding::Threads),
            ("fatal error: all goroutines are asleep - deadlock!", Finding::GoFatal),
            (
                "panic: runtime error: invalid memory address\n[signal SIGSEGV: x]\n\ngoroutine 1 [running]:",
                Finding::Panic,
            ),
            ("thread 'main' panicked at src/main.rs:2:5:\nboom", Finding::RustPanic),
            ("memory allocation of 1073741824 bytes failed", Finding::RustAbort),
            ("Traceback (most recent call last):\n  File \"a.py\", line 1\nMemoryError", Finding::PythonMemory),
            ("Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'x'", Finding::PythonException),
            ("ModuleNotFoundError: No module named 'x'", Finding::PythonModule),
            ("Fatal Python error: Segmentation fault", Finding::Signal(11)),
            ("Error: Cannot find module '/srv/x.js'\n\nNode.js v20.1.0", Finding::NodeModule),
            ("TypeError: x is not a function\n\nNode.js v20.1.0", Finding::NodeException),
            ("PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried", Finding::PhpMemory),
            ("PHP Fatal error:  Uncaught Exception: x in /a.php:3", Finding::PhpFatal),
            ("a.rb:3:in `run': boom (RuntimeError)\n\tfrom a.rb:9:in `<main>'", Finding::RubyException),
            ("[FATAL] failed to allocate memory (NoMemoryError)", Finding::RubyMemory),
            ("*** stack smashing detected ***: terminated", Finding::BufferOverrun),
            ("free(): invalid pointer", Finding::HeapCorrupted),
            ("app: a.c:3: main: Assertion `x > 0' failed.", Finding::Assertion),
            ("Assertion failed: x > 0 (a.c: main: 3)", Finding::Assertion),
            (
                "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc",
                Finding::CppException,
            ),
            ("Segmentation fault (core dumped)", Finding::Signal(11)),
            ("/run.sh: line 3:     7 Aborted                 ./app", Finding::Signal(6)),
            ("F20240101 00:00:00.000000     1 main.cc:10] Check failed: fd >= 0 open failed", Finding::Assertion),
            (
                "F0000 00:00:1700000000.000000       1 s.cc:41] x\n*** Check failure stack trace: ***",
                Finding::Assertion,
            ),
            ("*** SIGSEGV received at time=1700000000 on cpu 3 ***\nconnection refused", Finding::Signal(11)),
            ("*** SIGFPE (@0x4) received by PID 1 (TID 0x7f) from PID 4; stack trace: ***", Finding::Signal(8)),
            (
                "*** Aborted at 1700000000 (Unix time, try 'date -d @1700000000') ***\n*** Signal 6 (SIGABRT) (0x1) \
                 received by PID 1 (pthread TID 0x7f) ***",
                Finding::Signal(6),
            ),
            ("nginx: [emerg] host not found in upstream \"x\" in /etc/nginx/nginx.conf:3", Finding::Nginx),
            ("2026-01-01 00:00:00 UTC [1] PANIC:  could not locate a valid checkpoint record", Finding::Postgres),
            ("bash: fork: retry: Resource temporarily unavailable", Finding::Threads),
            ("{\"level\":\"fatal\",\"msg\":\"listen tcp :80: bind: address already in use\"}", Finding::AddressInUse),
            ("{\"level\":\"error\",\"err\":{\"message\":\"connect ECONNREFUSED 10.0.0.1:5432\"}}", Finding::Refused),
        ] {
            assert_eq!(words(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_lines_name_nothing() {
        for text in [
            "",
            "ready",
            "{",
            "{\"msg\":\"ready\"}",
            "Aborted by the user",
            "Segmentation faults: 0",
            "404 Not Found",
            "*** SIGTERM received by PID 1 ***",
            "*** SIGSEGV handler installed ***",
            "F1: health] Check failed: no",
            "health Check failed: 503",
        ] {
            assert_eq!(words(text), None, "{text}");
        }
    }

    #[test]
    fn an_exit_code_agrees_with_the_signal_of_a_text() {
        for (finding, code, expected) in [
            (Finding::Panic, 134, true),
            (Finding::Panic, 139, false),
            (Finding::RustPanic, 139, true),
            (Finding::Assertion, 139, true),
            (Finding::Signal(11), 139, true),
            (Finding::Signal(11), 134, false),
            (Finding::Refused, 134, false),
        ] {
            assert_eq!(finding.agrees(code), expected, "{finding:?} {code}");
        }
    }

    #[test]
    fn a_python_exception_is_shown_and_not_the_head_of_its_trace() {
        let text = ["Traceback (most recent call last):", "  File \"a.py\", line 1", "KeyError: 'x'", ""];
        let lines = text.map(|text| Line { at: Timestamp::UNIX_EPOCH, stderr: true, text: text.to_owned() });
        assert_eq!(finding(&lines, 1).map(|(_, line)| line.text.as_str()), Some("KeyError: 'x'"));
    }
}
