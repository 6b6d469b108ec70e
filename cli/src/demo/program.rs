//! A program made of a few bytes that sleeps for a second and then reads address 0: a real fault of the processor,
//! which safe Rust cannot commit.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path};

/// Where the file is mapped; a multiple of every page size.
const BASE: u64 = 0x40_0000;
const FILE_HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;
/// The timespec that is slept for stands this far behind the entry, in both programs.
const CODE_BYTES: usize = 24;

/// Writes it as an executable file. False where the processor is none that it is written for.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path) -> io::Result<bool> {
    let Some((machine, code)) = code() else { return Ok(false) };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path)?;
    io::Write::write_all(&mut file, &elf(machine, code))?;
    Ok(true)
}

/// The ELF machine and the code for this processor.
fn code() -> Option<(u16, [u8; CODE_BYTES])> {
    match std::env::consts::ARCH {
        "x86_64" => Some((
            62,
            [
                0xb8, 35, 0, 0, 0, // mov eax, 35 (nanosleep)
                0x48, 0x8d, 0x3d, 12, 0, 0, 0, // lea rdi, [rip + 12] (the timespec)
                0x31, 0xf6, // xor esi, esi
                0x0f, 0x05, // syscall
                0x31, 0xc0, // xor eax, eax
                0x8b, 0x00, // mov eax, [rax]
                0x0f, 0x0b, 0x90, 0x90, // ud2; not reached
            ],
        )),
        "aarch64" => Some((
            183,
            [
                0xa8, 0x0c, 0x80, 0xd2, // mov x8, #101 (nanosleep)
                0xa0, 0x00, 0x00, 0x10, // adr x0, . + 20 (the timespec)
                0x01, 0x00, 0x80, 0xd2, // mov x1, #0
                0x01, 0x00, 0x00, 0xd4, // svc #0
                0x00, 0x00, 0x80, 0xd2, // mov x0, #0
                0x00, 0x00, 0x40, 0xb9, // ldr w0, [x0]
            ],
        )),
        _ => None,
    }
}

fn elf(machine: u16, code: [u8; CODE_BYTES]) -> Vec<u8> {
    let headers = u64::from(FILE_HEADER + PROGRAM_HEADER);
    let mut body = code.to_vec();
    body.extend(1_u64.to_le_bytes()); // seconds
    body.extend(0_u64.to_le_bytes()); // nanoseconds
    let size = headers + body.len() as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend(2_u16.to_le_bytes()); // an executable
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes()); // version
    file.extend((BASE + headers).to_le_bytes()); // entry
    file.extend(u64::from(FILE_HEADER).to_le_bytes()); // program headers begin here
    file.extend(0_u64.to_le_bytes()); // no section headers
    file.extend(0_u32.to_le_bytes()); // flags
    for short in [FILE_HEADER, PROGRAM_HEADER, 1, 0, 0, 0] {
        file.extend(short.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes()); // PT_LOAD
    file.extend(5_u32.to_le_bytes()); // readable, executable
    for long in [0, BASE, BASE, size, size, 0x1_0000] {
        file.extend(long.to_le_bytes()); // offset, addresses, sizes, alignment
    }
    file.extend(body);
    file
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::Command};

    #[test]
    fn the_program_dies_of_a_real_fault() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("crasher");
        assert!(super::write(&path).unwrap(), "no code for this processor");
        let status = Command::new(&path).current_dir(&directory).status().unwrap();
        assert_eq!(status.signal(), Some(11), "{status}");
    }
}
