//! Faults of a thread: `arch/x86/mm/fault.c`, `arch/x86/kernel/traps.c`, `arch/x86/kernel/cet.c`,
//! `arch/arm64/kernel/traps.c`, `arch/powerpc/kernel/traps.c`, `arch/riscv/kernel/traps.c`, and `print_vma_addr` of
//! `mm/memory.c`.

use super::{Fault, FaultKind};
use crate::parse::{COMM_MAX, decimal, hexadecimal, is_comm, occurrences};

pub(super) fn parse(text: &str) -> Option<Fault> {
    match text.strip_prefix("traps: ") {
        Some(rest) => by_thread(rest, " ", trap),
        None => by_thread(text, ": segfault at ", segfault)
            .or_else(|| by_thread(text, " control protection ip:", control_protection))
            .or_else(|| by_thread(text, ": unhandled exception: ", arm64_exception))
            .or_else(|| by_thread(text, ": unhandled signal ", unhandled_signal))
            .or_else(|| by_thread(text, ": unhandled ", arm64_fault))
            .or_else(|| by_thread(text, ": ", powerpc_signal)),
    }
}

/// What the kernel prints after the thread: kind, address, object, error.
type Parts = (FaultKind, Option<String>, Option<String>, Option<u64>);

/// `<comm>[<tid>]<separator><rest>`, where the name may imitate all of that. A name is too short to imitate the rest as
/// well, so the leftmost place whose rest can be read is the kernel's own.
fn by_thread(text: &str, separator: &str, read: impl Fn(&str) -> Option<Parts>) -> Option<Fault> {
    let head = text.char_indices().nth(COMM_MAX + 1).map_or(text, |(end, _)| &text[..end]);
    occurrences(head, "[").find_map(|at| {
        let (comm, rest) = (&text[..at], &text[at + 1..]);
        let (tid, rest) = rest.split_once(']')?;
        let (tid, (kind, address, object, error)) = (decimal(tid)?, read(rest.strip_prefix(separator)?)?);
        is_comm(comm).then(|| Fault { tid, comm: comm.to_owned(), kind, address, object, error })
    })
}

/// `%lx ip %px sp %px error %lx[ in …][ likely on CPU %d (core %d, socket %d)]`
fn segfault(rest: &str) -> Option<Parts> {
    let (address, rest) = rest.split_once(" ip ")?;
    let (ip, rest) = rest.split_once(" sp ")?;
    let (_, rest) = rest.split_once(" error ")?;
    let (error, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    hexadecimal(address)?;
    // Old kernels print a null pointer as "          (null)".
    let ip = hexadecimal(ip.trim_start_matches(' '));
    Some((FaultKind::Segfault, Some(address.to_owned()), object(rest, ip), Some(hexadecimal(error)?)))
}

/// `trap %s ip:%lx sp:%lx error:%lx[ in …]`, or `general protection[ fault] ip:…`
fn trap(rest: &str) -> Option<Parts> {
    let (name, rest) = rest.split_once(" ip:")?;
    // A bracket would be the kernel's own, with a name before it that imitates the beginning of a trap.
    if name.contains('[') {
        return None;
    }
    let (ip, rest) = rest.split_once(" sp:")?;
    let (sp, rest) = rest.split_once(" error:")?;
    let (error, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    let (ip, _, error) = (hexadecimal(ip)?, hexadecimal(sp)?, hexadecimal(error)?);
    let kind = match name.strip_prefix("trap ").unwrap_or(name) {
        "general protection" | "general protection fault" => FaultKind::GeneralProtection,
        "invalid opcode" => FaultKind::InvalidOpcode,
        "divide error" => FaultKind::DivideError,
        "stack segment" | "segment not present" | "alignment check" => FaultKind::BusError,
        other => FaultKind::Other(other.to_owned()),
    };
    Some((kind, None, object(rest, Some(ip)), Some(error)))
}

/// `control protection ip:%lx sp:%lx ssp:%lx error:%lx(%s)[ in enclave][ in …]`, since 6.6: a shadow stack, or a branch
/// to what is no target of one.
fn control_protection(rest: &str) -> Option<Parts> {
    let (ip, rest) = rest.split_once(" sp:")?;
    let (sp, rest) = rest.split_once(" ssp:")?;
    let (ssp, rest) = rest.split_once(" error:")?;
    let (error, rest) = rest.split_once('(')?;
    let (_, rest) = rest.split_once(')')?;
    let (ip, _, _, error) = (hexadecimal(ip)?, hexadecimal(sp)?, hexadecimal(ssp)?, hexadecimal(error)?);
    let rest = rest.strip_prefix(" in enclave").unwrap_or(rest);
    Some((FaultKind::ControlProtection, None, object(rest, Some(ip)), Some(error)))
}

/// `%s (%d) at %lx nip %lx lr %lx code %x[ in …]` of powerpc since 4.20, with the signal.
fn powerpc_signal(rest: &str) -> Option<Parts> {
    let (name, rest) = rest.split_once(" (")?;
    let (signal, rest) = rest.split_once(") at ")?;
    of_powerpc(by_signal(decimal(signal)?, name), rest)
}

/// `%d at %016lx nip %016lx lr %016lx code %x` of powerpc before 4.20, and `%d code 0x%x at 0x%016lx[ in …]` of riscv.
fn unhandled_signal(rest: &str) -> Option<Parts> {
    let (signal, rest) = rest.split_once(' ')?;
    let kind = by_signal(decimal(signal)?, &format!("signal {signal}"));
    if let Some(rest) = rest.strip_prefix("at ") {
        return of_powerpc(kind, rest);
    }
    let (code, rest) = rest.strip_prefix("code 0x")?.split_once(" at 0x")?;
    let (address, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    let (_, _) = (hexadecimal(code)?, hexadecimal(address)?);
    Some((kind, Some(address.to_owned()), object(rest, None), None))
}

/// `%lx nip %lx lr %lx code %x[ in …]`
fn of_powerpc(kind: FaultKind, rest: &str) -> Option<Parts> {
    let (address, rest) = rest.split_once(" nip ")?;
    let (nip, rest) = rest.split_once(" lr ")?;
    let (lr, rest) = rest.split_once(" code ")?;
    let (code, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    let (_, nip, _, _) = (hexadecimal(address)?, hexadecimal(nip)?, hexadecimal(lr)?, hexadecimal(code)?);
    Some((kind, Some(address.to_owned()), object(rest, Some(nip)), None))
}

/// The kind of a fault that is known by its signal, with the kernel's name for it.
fn by_signal(signal: i32, name: &str) -> FaultKind {
    match signal {
        4 => FaultKind::InvalidOpcode,
        7 => FaultKind::BusError,
        8 => FaultKind::DivideError,
        11 => FaultKind::Segfault,
        _ => FaultKind::Other(name.to_owned()),
    }
}

/// `[%s, ESR 0x%016lx, ]%s[ in …]`. Whether a memory fault was SIGSEGV or SIGBUS is not printed, so it keeps its name.
fn arm64_exception(rest: &str) -> Option<Parts> {
    let rest = match rest.split_once(", ESR 0x") {
        Some((_, rest)) => rest.split_once(", ")?.1,
        None => rest,
    };
    let (name, object) = match rest.find(" in ") {
        Some(at) => (&rest[..at], object(&rest[at..], None)),
        None => (rest, None),
    };
    let kind = match name {
        "undefined instruction" => FaultKind::InvalidOpcode,
        other => FaultKind::Other(other.to_owned()),
    };
    Some((kind, None, object, None))
}

/// `%s (%d) at 0x%08lx, esr 0x%03x[ in …]`, with the signal: before 4.17. Some versions put a comma before ` in `.
fn arm64_fault(rest: &str) -> Option<Parts> {
    let (name, rest) = rest.split_once(" (")?;
    let (signal, rest) = rest.split_once(") at 0x")?;
    let (address, rest) = rest.split_once(", esr 0x")?;
    let (esr, rest) = rest.split_at(rest.find([' ', ',']).unwrap_or(rest.len()));
    hexadecimal(address)?;
    hexadecimal(esr)?;
    let kind = by_signal(decimal(signal)?, name);
    Some((kind, Some(address.to_owned()), object(rest.trim_start_matches(','), None), None))
}

/// ` in <file>[<offset>,<base>+<size>]` (since 6.7) gives `<file>+0x<offset>`. ` in <file>[<base>+<size>]` does not
/// contain the offset in the file, only that in the mapping: `<file>[<base>+<size>]+0x<offset>`. The file's name is
/// hostile too.
fn object(rest: &str, ip: Option<u64>) -> Option<String> {
    let rest = rest.strip_prefix(" in ")?;
    let end = rest.rfind(" likely on CPU ").unwrap_or(rest.len());
    let (file, range) = rest[..end].strip_suffix(']')?.rsplit_once('[')?;
    let (offset, mapping) = match range.split_once(',') {
        Some((offset, mapping)) => (Some(hexadecimal(offset)?), mapping),
        None => (None, range),
    };
    let (base, size) = mapping.split_once('+')?;
    let (base, _) = (hexadecimal(base)?, hexadecimal(size)?);
    Some(match (offset, ip.and_then(|ip| ip.checked_sub(base))) {
        (Some(offset), _) => format!("{file}+{offset:#x}"),
        (None, Some(offset)) => format!("{file}[{mapping}]+{offset:#x}"),
        (None, None) => format!("{file}[{mapping}]"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::*;

    fn fault(text: &str) -> Fault {
        match Event::parse(text) {
            Some(Event::Fault(fault)) => fault,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn arm64_before_4_17_names_the_signal() {
        let old = fault(
            "app[4242]: unhandled level 2 translation fault (11) at 0x00000010, esr 0x92000006, in app[400000+8c000]",
        );
        assert_eq!((old.tid, old.kind, old.address.as_deref()), (4242, FaultKind::Segfault, Some("00000010")));
        assert_eq!(old.object.as_deref(), Some("app[400000+8c000]"));
        let bus = fault("a b[7]: unhandled alignment fault (7) at 0x00000001, esr 0x92000021");
        assert_eq!(bus.kind, FaultKind::BusError);
        assert_eq!(Event::parse("a[7]: unhandled x (y) at 0x1, esr 0x2"), None);
    }

    #[test]
    fn a_segfault_has_address_error_and_place_in_every_version() {
        let modern = fault(
            "crash[25281]: segfault at 10 ip 0000000000401966 sp 00007ffd5f84cd70 error 6 in crash[1966,401000+8c000] \
             likely on CPU 0 (core 0, socket 0)",
        );
        assert_eq!((modern.tid, modern.comm.as_str(), modern.kind), (25281, "crash", FaultKind::Segfault));
        assert_eq!((modern.address.as_deref(), modern.error), (Some("10"), Some(6)));
        assert_eq!(modern.object.as_deref(), Some("crash+0x1966"));

        let older =
            fault("a[1]: segfault at 7f ip 0000000000401966 sp 00007ffd5f84cd70 error 14 in libx.so[401000+8c000]");
        assert_eq!((older.object.as_deref(), older.error), (Some("libx.so[401000+8c000]+0x966"), Some(0x14)));

        let nowhere = fault("a[1]: segfault at 0 ip           (null) sp 00007ffd5f84cd70 error 14");
        assert_eq!((nowhere.object, nowhere.error), (None, Some(0x14)));
    }

    #[test]
    fn traps_are_named_by_kind() {
        for (name, kind) in [
            ("trap invalid opcode", FaultKind::InvalidOpcode),
            ("trap divide error", FaultKind::DivideError),
            ("trap stack segment", FaultKind::BusError),
            ("trap int3", FaultKind::Other("int3".to_owned())),
            ("general protection", FaultKind::GeneralProtection),
            ("general protection fault", FaultKind::GeneralProtection),
        ] {
            let trap =
                fault(&format!("traps: a b[77] {name} ip:4019b0 sp:7ffd648c6550 error:0 in crash[19b0,401000+8c000]"));
            assert_eq!((trap.tid, trap.comm.as_str(), trap.kind), (77, "a b", kind));
            assert_eq!((trap.object.as_deref(), trap.error), (Some("crash+0x19b0"), Some(0)));
        }
    }

    #[test]
    fn an_exception_of_arm64_keeps_the_kernels_name_for_it() {
        let memory = fault(
            "crash[123]: unhandled exception: DABT (lower EL), ESR 0x0000000092000046, level 2 translation fault in \
             crash[400000+8c000]",
        );
        assert_eq!((memory.tid, memory.kind), (123, FaultKind::Other("level 2 translation fault".to_owned())));
        assert_eq!(memory.object.as_deref(), Some("crash[400000+8c000]"));
        let undefined = fault("a[9]: unhandled exception: undefined instruction");
        assert_eq!((undefined.kind, undefined.object), (FaultKind::InvalidOpcode, None));
    }

    #[test]
    fn a_violation_of_a_shadow_stack_is_a_fault_of_its_thread() {
        for (tail, object) in [
            ("error:1(near ret) in shstk1[401000+1000]", Some("shstk1[401000+1000]+0x139")),
            ("error:3(endbr) in app[1139,401000+1000]", Some("app+0x1139")),
            ("error:8001(near ret) in enclave in app[1139,401000+1000]", Some("app+0x1139")),
            ("error:1(near ret)", None),
        ] {
            let text =
                format!("ld-linux-x86-64[99764] control protection ip:401139 sp:7fff025507d8 ssp:7f186e017fd8 {tail}");
            let found = fault(&text);
            assert_eq!((found.tid, found.comm.as_str()), (99764, "ld-linux-x86-64"));
            assert_eq!((found.kind, found.object.as_deref()), (FaultKind::ControlProtection, object), "{text}");
        }
        assert_eq!(Event::parse("a[7] control protection fault"), None);
    }

    #[test]
    fn powerpc_names_the_signal_in_every_version() {
        let modern = fault(
            "systemd[1]: segfault (11) at 6e41600065636976 nip 7fffb64f6d68 lr 7fffb64f6c5c code 3 in \
             libsystemd-shared-257.so[266d68,7fffb6370000+2d0000]",
        );
        assert_eq!(
            (modern.tid, modern.kind, modern.address.as_deref()),
            (1, FaultKind::Segfault, Some("6e41600065636976"))
        );
        assert_eq!(modern.object.as_deref(), Some("libsystemd-shared-257.so+0x266d68"));
        for (text, kind) in [
            (
                "a: b[7]: segfault (11) at 50 nip 12d03a920 lr 12d03a91c code 1 in c[12cfd0000+100000]",
                FaultKind::Segfault,
            ),
            ("a[7]: illegal instruction (4) at 1 nip 2 lr 3 code 1", FaultKind::InvalidOpcode),
            ("a[7]: bus error (7) at 1 nip 2 lr 3 code 2", FaultKind::BusError),
            ("a[7]: floating point exception (8) at 1 nip 2 lr 3 code 1", FaultKind::DivideError),
            ("a[7]: unhandled trap (5) at 1 nip 2 lr 3 code 1", FaultKind::Other("unhandled trap".to_owned())),
            (
                "a[7]: unhandled signal 11 at 0000000000000000 nip 00003fff9474fcb0 lr 00003fff9474fa48 code 30001",
                FaultKind::Segfault,
            ),
            ("a[7]: unhandled signal 5 at 0 nip 1 lr 2 code 1", FaultKind::Other("signal 5".to_owned())),
        ] {
            let found = fault(text);
            assert_eq!((found.tid, found.kind), (7, kind), "{text}");
        }
        for text in [
            "a[7]: User access of kernel address (c000000000000000) - exploit attempt? (uid: 0)",
            "a[7]: bad frame in handle_rt_signal64: 00003fff nip 1 lr 2",
            "a[7]: segfault (x) at 50 nip 1 lr 2 code 1",
            "a[7]: segfault (11) at 50 nip 1 lr 2",
        ] {
            assert_eq!(Event::parse(text), None, "{text}");
        }
    }

    #[test]
    fn riscv_names_the_signal() {
        let old = fault("user_process1.o[113]: unhandled signal 11 code 0x1 at 0xffffffd00400b400");
        assert_eq!((old.tid, old.kind, old.address.as_deref()), (113, FaultKind::Segfault, Some("ffffffd00400b400")));
        let new = fault("app[9]: unhandled signal 7 code 0x1 at 0x0000000000010402 in app[634,10000+1000]");
        assert_eq!((new.kind, new.object.as_deref()), (FaultKind::BusError, Some("app+0x634")));
        assert_eq!(Event::parse("app[9]: unhandled signal 7 code 1 at 0x2"), None);
    }

    #[test]
    fn hostile_names_of_threads_and_files_do_not_move_a_fault() {
        for comm in ["]: segfault at ", "x[1]: segfault ", "[[1]]", "", "a in b[1]", "\u{fffd}\u{fffd}[3]"] {
            let text = format!("{comm}[42]: segfault at 10 ip 401966 sp 7ffd error 6 in c[1966,401000+8c000]");
            let fault = fault(&text);
            assert_eq!((fault.tid, fault.comm.as_str()), (42, comm), "{text}");
        }
        for comm in ["a[1] trap b ip:", "[1] trap x", "traps: [1] t"] {
            let fault = fault(&format!("traps: {comm}[42] trap int3 ip:1 sp:2 error:0"));
            assert_eq!((fault.tid, fault.comm.as_str()), (42, comm));
        }
        let file = "e[1]: segfault at 0 ip 1 sp 2 error 4 in f[0,1+2] likely on CPU 3";
        let fault = fault(&format!("a[42]: segfault at 10 ip 401966 sp 7ffd error 6 in {file}[1966,401000+8c000]"));
        assert_eq!((fault.tid, fault.error), (42, Some(6)));
    }
}
