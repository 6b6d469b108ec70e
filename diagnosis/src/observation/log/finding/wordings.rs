//! The wordings by which a log names why its program ended.

use super::Finding;

/// Where a wording stands in a line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Anywhere: these parts, in this order.
    In(&'static [&'static str]),
    /// The line begins so.
    At(&'static str),
    /// The whole line.
    Is(&'static str),
    /// The message of a fatal line of glog begins so: `F20240101 00:00:00.000000     1 main.cc:10] Check failed: …`.
    Fatal(&'static str),
}
use Place::{At, Fatal, In, Is};

impl Place {
    /// Whether a line has it there.
    pub(super) fn is_in(self, text: &str) -> bool {
        match self {
            In(parts) => {
                let mut rest = text;
                parts.iter().all(|part| {
                    let found = rest.find(part);
                    rest = found.map_or("", |at| &rest[at + part.len()..]);
                    found.is_some()
                })
            }
            At(beginning) => text.starts_with(beginning),
            Is(whole) => text.trim_end() == whole,
            Fatal(beginning) => {
                let date = text.strip_prefix('F').and_then(|rest| rest.split_once(' ')).map(|(date, _)| date);
                let is_date = date.is_some_and(|d| d.len() >= 4 && d.bytes().all(|byte| byte.is_ascii_digit()));
                is_date && text.split_once("] ").is_some_and(|(_, message)| message.starts_with(beginning))
            }
        }
    }
}

/// Those by which a program or its runtime gives up. Of several in one log the first counts: what is most specific
/// stands first.
pub(super) fn crashes() -> impl Iterator<Item = &'static (Place, Finding)> {
    [MEMORY, CRASHES].into_iter().flatten()
}

/// All others, in the same order.
pub(super) fn others() -> impl Iterator<Item = &'static (Place, Finding)> {
    [STARTS, SURROUNDINGS, EXCEPTIONS].into_iter().flatten()
}

/// A heap at its limit, or no more memory from the system.
const MEMORY: &[(Place, Finding)] = &[
    (In(&["JavaScript heap out of memory"]), Finding::JavaScriptHeap),
    (In(&["FATAL ERROR: ", "Allocation failed"]), Finding::JavaScriptHeap),
    (In(&["Fatal JavaScript out of memory"]), Finding::JavaScriptHeap),
    (In(&["Fatal process out of memory"]), Finding::JavaScriptHeap),
    (In(&["java.lang.OutOfMemoryError: unable to create"]), Finding::Threads),
    (In(&["java.lang.OutOfMemoryError"]), Finding::JavaMemory),
    (In(&["insufficient memory for the Java Runtime Environment"]), Finding::JavaNativeMemory),
    (In(&["A fatal error has been detected by the Java Runtime Environment"]), Finding::JavaCrash),
    (In(&["OutOfMemoryException"]), Finding::DotnetMemory),
    (In(&["fatal error: runtime: out of memory"]), Finding::GoMemory),
    (In(&["fatal error: runtime: cannot allocate memory"]), Finding::GoMemory),
    (In(&["failed to create new OS thread"]), Finding::Threads),
    (In(&["Allowed memory size of ", " bytes exhausted"]), Finding::PhpMemory),
    (In(&["memory allocation of ", " bytes failed"]), Finding::RustAbort),
    (In(&["thread panicked while processing panic. aborting"]), Finding::RustAbort),
    (In(&["thread caused non-unwinding panic. aborting"]), Finding::RustAbort),
    (At("fatal runtime error: "), Finding::RustAbort),
    (In(&["thread '", "' has overflowed its stack"]), Finding::RustAbort),
    (In(&["failed to allocate memory (NoMemoryError)"]), Finding::RubyMemory),
];

/// The program, its language or the C library gives up: crashes, panics, failed assertions.
const CRASHES: &[(Place, Finding)] = &[
    (In(&["[BUG] "]), Finding::RubyCrash),
    (In(&["Fatal Python error: Segmentation fault"]), Finding::Signal(11)),
    (In(&["Fatal Python error: Bus error"]), Finding::Signal(7)),
    (In(&["Fatal Python error: Illegal instruction"]), Finding::Signal(4)),
    (In(&["Fatal Python error: Floating"]), Finding::Signal(8)),
    (In(&["Fatal Python error: "]), Finding::PythonFatal),
    (In(&["requires a CPU with AVX"]), Finding::Processor),
    (In(&["was compiled to use ", " instructions, but these aren't available on your machine"]), Finding::Processor),
    (In(&["glibc error: CPU does not support "]), Finding::Processor),
    (In(&["CPU ISA level is lower than required"]), Finding::Processor),
    (In(&["*** stack smashing detected ***"]), Finding::BufferOverrun),
    (In(&["*** buffer overflow detected ***"]), Finding::BufferOverrun),
    (In(&["*** Error in `", "': "]), Finding::HeapCorrupted),
    (In(&["double free or corruption"]), Finding::HeapCorrupted),
    (In(&["free(): double free detected"]), Finding::HeapCorrupted),
    (In(&["free(): invalid "]), Finding::HeapCorrupted),
    (In(&["malloc(): "]), Finding::HeapCorrupted),
    (In(&["realloc(): invalid "]), Finding::HeapCorrupted),
    (In(&["malloc_consolidate(): "]), Finding::HeapCorrupted),
    (In(&["munmap_chunk(): invalid pointer"]), Finding::HeapCorrupted),
    (In(&["corrupted size vs. prev_size"]), Finding::HeapCorrupted),
    (In(&["corrupted double-linked list"]), Finding::HeapCorrupted),
    (In(&["Assertion `", "' failed"]), Finding::Assertion),
    (At("Assertion failed: "), Finding::Assertion),
    (Fatal("Check failed: "), Finding::Assertion),
    (Is("*** Check failure stack trace: ***"), Finding::Assertion),
    (In(&["terminate called "]), Finding::CppException),
    (In(&["libc++abi: terminating "]), Finding::CppException),
    (In(&["Unhandled exception. "]), Finding::DotnetException),
    (At("Stack overflow."), Finding::DotnetException),
    (At("Process terminated. "), Finding::DotnetException),
    (At("Fatal error. "), Finding::DotnetException),
    (At("Fatal glibc error: "), Finding::Assertion),
    (At("# Fatal error in "), Finding::Assertion),
    (At("# Fatal JavaScript "), Finding::Abort),
    (In(&[" node::Abort()"]), Finding::Abort),
    (At("LLVM ERROR: "), Finding::Abort),
    (In(&["ERROR: ", "Sanitizer: "]), Finding::Sanitizer),
    (At("<jemalloc>: "), Finding::Abort),
    (In(&["no Qt platform plugin could be initialized"]), Finding::Abort),
    (In(&["JVMDUMP", "Processing dump event \"abort\""]), Finding::Abort),
    (In(&["JVMDUMP", "Processing dump event \"gpf\""]), Finding::Signal(11)),
    (In(&["You must install or update .NET to run this application"]), Finding::DotnetRuntime),
    (In(&["fatal error: all goroutines are asleep"]), Finding::GoFatal),
    (In(&["fatal error: concurrent map "]), Finding::GoFatal),
    (At("fatal error: "), Finding::GoFatal),
    (In(&["thread '", "panicked at"]), Finding::RustPanic),
    (In(&["panic: "]), Finding::Panic),
];

/// What the program needs to start is missing or of another version.
const STARTS: &[(Place, Finding)] = &[
    (In(&["Could not find or load main class"]), Finding::JavaStart),
    (In(&["Unable to access jarfile"]), Finding::JavaStart),
    (In(&["no main manifest attribute"]), Finding::JavaStart),
    (In(&["java.lang.UnsupportedClassVersionError"]), Finding::JavaStart),
    (In(&["Could not create the Java Virtual Machine"]), Finding::JavaStart),
    (Is("MemoryError"), Finding::PythonMemory),
    (At("ModuleNotFoundError: "), Finding::PythonModule),
    (At("ImportError: "), Finding::PythonModule),
    (In(&["Error: Cannot find module "]), Finding::NodeModule),
    (In(&["Error [ERR_MODULE_NOT_FOUND]"]), Finding::NodeModule),
    (In(&["error while loading shared libraries"]), Finding::Library),
    (In(&["Error loading shared library"]), Finding::Library),
    (In(&["Error relocating ", "symbol not found"]), Finding::Library),
    (In(&["version `GLIBC", "not found"]), Finding::Library),
];

/// What the program found around it: ports, disks, limits, certificates, logins, other hosts, files.
const SURROUNDINGS: &[(Place, Finding)] = &[
    (In(&["ddress already in use"]), Finding::AddressInUse),
    (In(&["EADDRINUSE"]), Finding::AddressInUse),
    (In(&["No space left on device"]), Finding::NoSpace),
    (In(&["no space left on device"]), Finding::NoSpace),
    (In(&["ENOSPC"]), Finding::NoSpace),
    (In(&["Too many open files"]), Finding::Files),
    (In(&["too many open files"]), Finding::Files),
    (In(&["EMFILE"]), Finding::Files),
    (In(&["fork: ", "Resource temporarily unavailable"]), Finding::Threads),
    (In(&["can't fork: "]), Finding::Threads),
    (In(&["can't start new thread"]), Finding::Threads),
    (In(&["annot allocate memory"]), Finding::Memory),
    (Is("Out of memory."), Finding::Memory),
    (In(&["ENOMEM"]), Finding::Memory),
    (In(&["[emerg] "]), Finding::Nginx),
    (In(&["certificate signed by unknown authority"]), Finding::Certificate),
    (In(&["certificate has expired"]), Finding::Certificate),
    (In(&["x509: "]), Finding::Certificate),
    (In(&["CERTIFICATE_VERIFY_FAILED"]), Finding::Certificate),
    (In(&["password authentication failed"]), Finding::Login),
    (In(&["Access denied for user"]), Finding::Login),
    (In(&["no such host"]), Finding::NameResolution),
    (In(&["Name or service not known"]), Finding::NameResolution),
    (In(&["ailure in name resolution"]), Finding::NameResolution),
    (In(&["getaddrinfo ENOTFOUND"]), Finding::NameResolution),
    (In(&["EAI_AGAIN"]), Finding::NameResolution),
    (In(&["UnknownHostException"]), Finding::NameResolution),
    (In(&["connection refused"]), Finding::Refused),
    (In(&["Connection refused"]), Finding::Refused),
    (In(&["ECONNREFUSED"]), Finding::Refused),
    (In(&["onnection timed out"]), Finding::TimedOut),
    (In(&["ETIMEDOUT"]), Finding::TimedOut),
    (In(&[": i/o timeout"]), Finding::TimedOut),
    (In(&["PANIC:  "]), Finding::Postgres),
    (In(&["FATAL:  "]), Finding::Postgres),
    (In(&["PHP Fatal error:  "]), Finding::PhpFatal),
    (In(&["Fatal error: ", " in ", " on line "]), Finding::PhpFatal),
    (In(&["Permission denied"]), Finding::Permission),
    (In(&["permission denied"]), Finding::Permission),
    (In(&["EACCES"]), Finding::Permission),
    (In(&["o such file or directory"]), Finding::MissingFile),
    (In(&["ENOENT"]), Finding::MissingFile),
];

/// Exceptions that were not caught: the least specific.
const EXCEPTIONS: &[(Place, Finding)] = &[
    (In(&["Traceback (most recent call last)"]), Finding::PythonException),
    (In(&["Exception in thread \""]), Finding::JavaException),
    (In(&["Uncaught exception"]), Finding::NodeException),
    (In(&["triggerUncaughtException("]), Finding::NodeException),
    (In(&["UnhandledPromiseRejection"]), Finding::NodeException),
    (At("Node.js v"), Finding::NodeException),
];
