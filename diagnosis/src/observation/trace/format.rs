//! Binary events: `events/<system>/<name>/format` of tracefs defines where each field is. Mirrors
//! `kernel/trace/trace_events.c`, `f_show()`, and `include/trace/stages/stage1_struct_define.h`.

use super::{OomVictim, Signal, Thread};
use crate::parse::{COMM_MAX, ParseError, decimal};

/// Where the fields of an event are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The number of the tracepoint, which its events carry.
    pub id: u64,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    offset: usize,
    size: usize,
    /// It is not the text, but where that is: length in the upper 16 bits, offset in the lower.
    located: bool,
}

impl Format {
    /// From the file.
    ///
    /// # Errors
    /// If it has no id or no fields.
    pub fn parse(file: &str) -> Result<Self, ParseError> {
        let id = file.lines().find_map(|line| decimal(line.strip_prefix("ID:")?.trim_start()));
        let fields: Vec<_> = file.lines().filter_map(field).collect();
        match id {
            Some(id) if !fields.is_empty() => Ok(Self { id, fields }),
            _ => Err(ParseError::new("a format of a tracepoint: no ID or no fields", file)),
        }
    }

    /// A field of at most four bytes that holds a number.
    fn number(&self, event: &[u8], name: &str) -> Option<i32> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        let bytes = event.get(field.offset..field.offset.checked_add(field.size)?)?;
        Some(i32::from_ne_bytes(bytes.try_into().ok()?))
    }

    /// A field of text, up to its NUL.
    fn text(&self, event: &[u8], name: &str) -> Option<String> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        let mut bytes = event.get(field.offset..field.offset.checked_add(field.size)?)?;
        if field.located {
            let place = u32::from_ne_bytes(bytes.try_into().ok()?);
            let (offset, length) = (usize::try_from(place & 0xffff).ok()?, usize::try_from(place >> 16).ok()?);
            bytes = event.get(offset..offset.checked_add(length)?)?;
        }
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(&bytes[..end]);
        Some(text.chars().take(COMM_MAX).collect())
    }

    /// An event of `signal:signal_generate`. The sender's name is not in it.
    pub fn signal(&self, event: &[u8]) -> Option<Signal> {
        Some(Signal {
            signal: self.number(event, "sig")?,
            code: self.number(event, "code")?,
            result: self.number(event, "result")?,
            sender: self.running(event)?,
            target: Thread { tid: self.number(event, "pid")?, comm: self.text(event, "comm")? },
            group: self.number(event, "group")? != 0,
            sender_process: None,
        })
    }

    /// An event of `oom:mark_victim`. The allocator's name is not in it.
    pub fn victim(&self, event: &[u8]) -> Option<OomVictim> {
        Some(OomVictim {
            pid: self.number(event, "pid")?,
            comm: self.text(event, "comm"),
            allocator: self.running(event)?,
        })
    }

    /// A thread that came to be by `task:task_newtask`, with its creator's name, or that took another by
    /// `task:task_rename`.
    pub fn named(&self, event: &[u8]) -> Option<Thread> {
        match self.text(event, "newcomm") {
            // Since 6.14 without `pid`: a thread can only rename itself, or one of its process.
            Some(comm) => {
                let tid = self.number(event, "pid").or_else(|| self.number(event, "common_pid"))?;
                Some(Thread { tid, comm })
            }
            None => Some(Thread { tid: self.number(event, "pid")?, comm: self.text(event, "comm")? }),
        }
    }

    /// The thread that ran.
    fn running(&self, event: &[u8]) -> Option<Thread> {
        Some(Thread { tid: self.number(event, "common_pid")?, comm: String::new() })
    }
}

/// `\tfield:<type> <name>[<length>];\toffset:<n>;\tsize:<n>;\tsigned:<n>;`
fn field(line: &str) -> Option<Field> {
    let (declaration, rest) = line.trim_start().strip_prefix("field:")?.split_once(';')?;
    let value = |name: &str| rest.split(';').find_map(|part| decimal(part.trim_start().strip_prefix(name)?));
    let name = declaration.rsplit(' ').next()?;
    Some(Field {
        name: name.split('[').next()?.to_owned(),
        offset: value("offset:")?,
        size: value("size:")?,
        located: declaration.starts_with("__data_loc "),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIGNAL: &str = "name: signal_generate\nID: 261\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:int sig;\toffset:8;\tsize:4;\tsigned:1;\n\tfield:int errno;\toffset:12;\tsize:4;\tsigned:1;\n\
        \tfield:int code;\toffset:16;\tsize:4;\tsigned:1;\n\tfield:char comm[16];\toffset:20;\tsize:16;\tsigned:0;\n\
        \tfield:pid_t pid;\toffset:36;\tsize:4;\tsigned:1;\n\tfield:int group;\toffset:40;\tsize:4;\tsigned:1;\n\
        \tfield:int result;\toffset:44;\tsize:4;\tsigned:1;\n\nprint fmt: \"sig=%d\", REC->sig\n";
    const VICTIM: &str = "name: mark_victim\nID: 609\nformat:\n\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:int pid;\toffset:8;\tsize:4;\tsigned:1;\n\tfield:__data_loc char[] comm;\toffset:12;\tsize:4;\tsigned:0;\n";

    fn event(numbers: &[(usize, i32)], texts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut event = vec![0; 64];
        for (offset, number) in numbers {
            event[*offset..offset + 4].copy_from_slice(&number.to_ne_bytes());
        }
        for (offset, text) in texts {
            event[*offset..offset + text.len()].copy_from_slice(text);
        }
        event
    }

    #[test]
    fn a_signal_is_read_whatever_the_name_holds() {
        let format = Format::parse(SIGNAL).unwrap();
        assert_eq!(format.id, 261);
        let numbers = [(4, 77), (8, 9), (16, -6), (36, 42), (40, 1), (44, 2)];
        let signal = format.signal(&event(&numbers, &[(20, b"x\n pid=1\0\xff\xff")])).unwrap();
        assert_eq!((signal.signal, signal.code, signal.result, signal.group), (9, -6, 2, true));
        assert_eq!((signal.sender.tid, signal.target.tid, signal.target.comm.as_str()), (77, 42, "x\n pid=1"));
        assert_eq!(format.signal(&[0; 40]), None, "cut");
    }

    #[test]
    fn a_victim_is_read_with_and_without_name() {
        let format = Format::parse(VICTIM).unwrap();
        let place = (5 << 16) | 30;
        let victim = format.victim(&event(&[(4, 7), (8, 42), (12, place)], &[(30, b"java\0")])).unwrap();
        assert_eq!((victim.pid, victim.comm.as_deref(), victim.allocator.tid), (42, Some("java"), 7));
        let outside = format.victim(&event(&[(4, 7), (8, 42), (12, i32::MAX)], &[])).unwrap();
        assert_eq!(outside.comm, None);
        let old = Format::parse(VICTIM.split("\tfield:__data_loc").next().unwrap()).unwrap();
        assert_eq!(old.victim(&event(&[(4, 7), (8, 42)], &[])).unwrap().comm, None);
    }

    #[test]
    fn what_is_no_format_is_refused() {
        for file in
            ["", "ID: 5\n", "\tfield:int pid;\toffset:8;\tsize:4;\tsigned:1;\n", "ID: x\n\tfield:int a;\toffset:b;\n"]
        {
            assert!(Format::parse(file).is_err(), "{file}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(file: String, event: Vec<u8>, offset: usize, size: usize) {
            drop(Format::parse(&file));
            let field = |name: &str| format!("\tfield:__data_loc char[] {name};\toffset:{offset};\tsize:{size};\n");
            let file = format!("ID: 1\n{}{}{}", field("comm"), field("pid"), field("common_pid"));
            let format = Format::parse(&file).unwrap();
            let _read = (format.signal(&event), format.victim(&event), format.named(&event));
        }
    }
}
