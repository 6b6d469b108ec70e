//! What no kept library wraps: syslog(2), by which the kernel log is read where its device is refused; the ring buffers
//! of perf_event_open(2); settings of the C library's allocator; and the pages of the program's own files.
//!
//! Of syslog(2), mirrors `kernel/printk/printk.c`, `do_syslog()`. Needs CAP_SYSLOG. The destructive actions (READ,
//! READ_CLEAR, CLEAR) are left out on purpose: another reader of the log would miss what we took.

pub mod perf;

use std::io;

const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
const SYSLOG_ACTION_SIZE_BUFFER: libc::c_int = 10;

/// Reads the newest whole records of the kernel log that fit into `size` bytes, oldest first, into `buffer`, whose
/// former content is dropped. Records before the last `dmesg --clear` are not among them.
///
/// # Errors
/// EPERM without CAP_SYSLOG, ENOSYS where the kernel has no log.
pub fn syslog_read_all(buffer: &mut Vec<u8>, size: usize) -> io::Result<()> {
    buffer.clear();
    let length = libc::c_int::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
    buffer.resize(size, 0);
    // SAFETY: `buffer` is valid for writes of `length` bytes and is borrowed for the time of the call; the kernel
    // writes at most `length` bytes and keeps no pointer.
    let read = unsafe { libc::klogctl(SYSLOG_ACTION_READ_ALL, buffer.as_mut_ptr().cast(), length) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    buffer.truncate(read);
    Ok(())
}

/// The size of the kernel's log buffer in bytes. All of the log, as text, can be somewhat larger.
///
/// # Errors
/// EPERM without CAP_SYSLOG, ENOSYS where the kernel has no log.
pub fn syslog_buffer_size() -> io::Result<usize> {
    // SAFETY: this action takes no buffer; a null pointer of length 0 is what it expects.
    let size = unsafe { libc::klogctl(SYSLOG_ACTION_SIZE_BUFFER, std::ptr::null_mut(), 0) };
    usize::try_from(size).map_err(|_| io::Error::last_os_error())
}

/// Has the allocator give back what a burst of parsing has taken. By itself glibc gives each thread an arena of its
/// own, keeps in each what it once held, and after the first large block that is freed takes larger and larger ones
/// from there too. For the begin of `main`, before there are threads. Other C libraries have one arena anyway.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    for (setting, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE_BYTES), (libc::M_TRIM_THRESHOLD, LARGE_BYTES)]
    {
        // SAFETY: it takes two numbers and touches only the allocator's own settings, under its lock. That it
        // refuses, which it reports by 0, costs memory and nothing else.
        let _refused = unsafe { libc::mallopt(setting, value) };
    }
}

/// Has the allocator keep up to `bytes` of what is free, in each of its arenas, rather than give it back to the kernel
/// and request it again for each push. For the begin of `main`, before there are threads.
pub fn keep_freed_memory(bytes: i32) {
    #[cfg(target_env = "gnu")]
    for setting in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: as above.
        let _refused = unsafe { libc::mallopt(setting, bytes) };
    }
}

/// Gives back to the kernel what the allocator holds and nothing uses: after much was freed that will not be needed
/// soon.
pub fn release_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number and touches only what is free, under the allocator's locks.
    let _released = unsafe { libc::malloc_trim(0) };
}

/// Unmaps the pages of the program and its libraries that are as in their files: after much ran that will not run
/// again soon, as at the start. What runs next maps those that it needs again, from memory as long as the kernel has
/// them there.
///
/// For each page that is touched the kernel maps the 64 KiB around it (`fault_around_bytes`), so that a start has
/// nearly all of the program resident.
pub fn release_program_pages() {
    /// Of one file: segments that are never written to are as in it.
    unsafe extern "C" fn release(file: *mut libc::dl_phdr_info, _: libc::size_t, _: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the linker passes what it has loaded, which stays as it is for the time of the call.
        let (base, headers) = unsafe {
            let file = &*file;
            (file.dlpi_addr, std::slice::from_raw_parts(file.dlpi_phdr, file.dlpi_phnum.into()))
        };
        for header in headers.iter().filter(|of| of.p_type == libc::PT_LOAD && of.p_flags & libc::PF_W == 0) {
            let within = header.p_vaddr % PAGE;
            let [Ok(start), Ok(length)] =
                [base + header.p_vaddr - within, header.p_memsz + within].map(usize::try_from)
            else {
                continue;
            };
            let start = std::ptr::with_exposed_provenance_mut(start);
            // SAFETY: these pages are mapped from a file and were never written to, so that what is read from them next
            // is the same. That the kernel refuses costs memory and nothing else.
            let _refused = unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) };
        }
        0
    }
    // SAFETY: the function is called with what it expects, only until this returns.
    unsafe { libc::dl_iterate_phdr(Some(release), std::ptr::null_mut()) };
}

/// The smallest page: what is aligned to a larger one is aligned to it, too, and else the kernel refuses.
const PAGE: u64 = 4096;

/// Blocks of this size are mapped by themselves, as glibc begins; set, it stays so.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: libc::c_int = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_lines_that_fit() {
        let mut buffer = vec![b'x'; 10];
        syslog_read_all(&mut buffer, syslog_buffer_size().unwrap()).unwrap();
        assert!(buffer.starts_with(b"<"), "every record opens with its priority");
        let mut tail = Vec::new();
        syslog_read_all(&mut tail, 1024).unwrap();
        assert!(!tail.is_empty() && tail.len() <= 1024 && tail.starts_with(b"<"));
    }

    #[test]
    fn program_pages_are_mapped_again_when_they_are_needed() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let before = resident();
        release_program_pages();
        let after = resident();
        assert!(after < before, "{before} kB, then {after} kB");
        assert_eq!(format!("{:?}", "it still runs".split(' ').collect::<Vec<_>>()), r#"["it", "still", "runs"]"#);
    }

    #[test]
    fn refuses_a_size_that_the_kernel_cannot_take() {
        let mut buffer = Vec::new();
        let refused = syslog_read_all(&mut buffer, usize::MAX).unwrap_err();
        assert_eq!((refused.kind(), buffer.len()), (io::ErrorKind::InvalidInput, 0));
    }
}
