//! An NFS server that can stop answering: version 3 over TCP (RFC 1813), with the protocol by which it is mounted on
//! the same port. It exports one directory, whose attributes are all that it knows.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const MOUNT: u32 = 100_005;
const NFS: u32 = 100_003;
/// The last fragment of a record.
const LAST: u32 = 1 << 31;

/// The server. It ends with the process.
#[derive(Debug)]
pub(crate) struct NfsServer(Arc<AtomicBool>);

impl NfsServer {
    pub(crate) fn start(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(false)?;
        let silent = Arc::new(AtomicBool::new(false));
        let is_silent = Arc::clone(&silent);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let is_silent = Arc::clone(&is_silent);
                std::thread::spawn(move || serve(stream, &is_silent));
            }
        });
        Ok(Self(silent))
    }

    /// Has it take requests without an answer, or answer.
    pub(crate) fn set_silent(&self, is_silent: bool) {
        self.0.store(is_silent, Ordering::Relaxed);
    }
}

fn serve(mut stream: TcpStream, is_silent: &AtomicBool) -> io::Result<()> {
    loop {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark)?;
        let mut call = vec![0; (u32::from_be_bytes(mark) & !LAST) as usize];
        stream.read_exact(&mut call)?;
        let word = |n: usize| {
            call.get(4 * n..4 * n + 4).map_or(0, |word| word.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
        };
        // xid, CALL, version of RPC, program, its version, procedure.
        let (xid, program, procedure) = (word(0), word(3), word(5));
        if is_silent.load(Ordering::Relaxed) {
            continue;
        }
        // xid, REPLY, accepted, no verifier, executed.
        let reply: Vec<u32> = [vec![xid, 1, 0, 0, 0, 0], results(program, procedure)].concat();
        let length = u32::try_from(4 * reply.len()).map_err(io::Error::other)? | LAST;
        let bytes: Vec<u8> = [length].iter().chain(&reply).flat_map(|word| word.to_be_bytes()).collect();
        stream.write_all(&bytes)?;
    }
}

/// What a procedure returns, all of it about the directory.
fn results(program: u32, procedure: u32) -> Vec<u32> {
    // A directory; mode, links, owner, group, size, space, device, file system, number, three times.
    let attributes = [2, 0o755, 2, 0, 0, 0, 4096, 0, 4096, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0];
    let attributes_follow = [&[0, 1], &attributes[..]].concat();
    match (program, procedure) {
        // MNT: a handle of four bytes, and AUTH_SYS.
        (MOUNT, 1) => vec![0, 4, 1, 1, 1],
        // GETATTR.
        (NFS, 1) => [&[0], &attributes[..]].concat(),
        // ACCESS: all.
        (NFS, 4) => [attributes_follow, vec![0x3f]].concat(),
        // FSSTAT: sizes, and for how long they hold.
        (NFS, 18) => [attributes_follow, vec![0; 13]].concat(),
        // FSINFO: sizes of requests, the largest file, precision of times, properties.
        (NFS, 19) => [attributes_follow, vec![4096, 4096, 1, 4096, 4096, 1, 4096, 0, 1 << 30, 0, 1, 0x1b]].concat(),
        // PATHCONF.
        (NFS, 20) => [attributes_follow, vec![1, 255, 1, 1, 0, 1]].concat(),
        // NULL, UMNT.
        (_, 0) | (MOUNT, 3) => Vec::new(),
        // NFS3ERR_NOTSUPP.
        _ => vec![10_004],
    }
}
