//! The file of a container's log.
//!
//! The owner of the container wrote the log, and may have replaced it by anything: only a regular file in its place
//! below the kubelet's own directories is opened, or, where that place holds a link, as with Docker, the log of this
//! container below Docker's directory. At most its last [`TAIL`] bytes are read, and what looks like a secret is taken
//! out ([`redact`]).

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use coroner_diagnosis::{
    observation::{
        cri::ContainerId,
        log::{Line, Tail},
    },
    redact,
};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::stat::Mode,
};

use super::{Directories, Wanted};

/// The most that is read of one log, in bytes.
const TAIL: u64 = 16 * 1024;

/// The end of a log; `None` where there is none.
pub(super) fn read(directories: &Directories, wanted: &Wanted, lines: usize) -> io::Result<Option<Tail>> {
    let Some(path) = path(&directories.pods, wanted) else { return Ok(None) };
    let opened = match open(AT_FDCWD, &path) {
        // The kubelet links to where Docker has it.
        Err(Errno::ELOOP) => open_of_docker(&directories.docker, &wanted.id),
        opened => opened,
    };
    let mut file = match opened {
        Ok(file) => file,
        // Gone with its pod, or no log of Docker's.
        Err(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let mut read = Line::parse_all(&String::from_utf8_lossy(&bytes));
    // A key may stretch over lines, also over ones that are not handed on: it is looked for in all of them together.
    let joined = read.iter().map(|line| line.text.replace(['\n', '\r'], " ")).collect::<Vec<_>>().join("\n");
    let (cleaned, _) = redact::clean(&joined);
    for (line, text) in read.iter_mut().zip(cleaned.split('\n')) {
        text.clone_into(&mut line.text);
    }
    let first = read.len().saturating_sub(lines);
    let mut kept = read.split_off(first);
    kept.retain(|line| !line.text.is_empty());
    if kept.is_empty() {
        return Ok(None);
    }
    Ok(Some(Tail {
        pod: wanted.pod.clone(),
        container: wanted.container.clone(),
        attempt: wanted.attempt,
        lines: kept,
    }))
}

/// Neither follows a link at its end, nor waits for a pipe's writer.
fn open(directory: impl AsFd, path: &Path) -> Result<File, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    openat(directory, path, flags, Mode::empty()).map(File::from)
}

/// Docker's log of this container: `<id>/<id>-json.log` below its directory of containers, whatever the link leads to.
/// Below that directory no link is followed.
fn open_of_docker(directory: &Path, ContainerId(id): &ContainerId) -> Result<File, Errno> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Errno::ENOENT);
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let containers = openat(AT_FDCWD, directory, flags, Mode::empty())?;
    let container = openat(containers, id.as_str(), flags | OFlag::O_NOFOLLOW, Mode::empty())?;
    open(container, Path::new(&format!("{id}-json.log")))
}

/// Mirrors `BuildContainerLogsDirectory` of `pkg/kubelet/kuberuntime/helpers.go`. `None` for names that lead elsewhere.
fn path(directory: &Path, wanted: &Wanted) -> Option<PathBuf> {
    let Wanted { pod, container, attempt, .. } = wanted;
    let parts = [&pod.namespace, &pod.name, &pod.uid, container];
    let is_name = |part: &String| !part.is_empty() && !part.contains(['/', '\0']) && part != "." && part != "..";
    if !parts.into_iter().all(is_name) {
        return None;
    }
    let folder = format!("{}_{}_{}", pod.namespace, pod.name, pod.uid);
    Some(directory.join(folder).join(container).join(format!("{attempt}.log")))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use coroner_diagnosis::observation::cri::Pod;
    use nix::unistd::mkfifo;

    use super::*;

    const ID: &str = "9f1c0e5a";

    fn wanted() -> Wanted {
        let pod = Pod { namespace: "shop".to_owned(), name: "cart".to_owned(), uid: "u1".to_owned() };
        Wanted { pod, container: "web".to_owned(), id: ContainerId(ID.to_owned()), attempt: 3 }
    }

    fn directories(dir: &tempfile::TempDir) -> Directories {
        Directories { pods: dir.path().join("pods"), docker: dir.path().join("docker") }
    }

    fn log_path(dir: &tempfile::TempDir) -> PathBuf {
        path(&directories(dir).pods, &wanted()).unwrap()
    }

    fn log(text: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = log_path(&dir);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        dir
    }

    fn texts(dir: &tempfile::TempDir, lines: usize) -> Vec<String> {
        let tail = read(&directories(dir), &wanted(), lines).unwrap();
        tail.map(|tail| tail.lines.into_iter().map(|line| line.text).collect()).unwrap_or_default()
    }

    #[test]
    fn the_last_lines_are_reported_without_their_secrets() {
        let mut text = String::new();
        for n in 0..2000 {
            text += &format!("2026-11-20T22:10:00.{n:04}Z stdout F line {n}\n");
        }
        text += "2026-11-20T22:10:01Z stderr F login with password=hunter2 failed\n";
        let dir = log(text.as_bytes());
        assert_eq!(texts(&dir, 2), ["line 1999", "login with password=[redacted:named]"]);
        assert!(texts(&dir, 10_000).len() < 400, "no more than the end is read");
    }

    #[test]
    fn of_a_key_whose_beginning_is_not_handed_on_nothing_is_left() {
        let line = |text: &str| format!("2026-11-20T22:10:01Z stderr F {text}\n");
        let body = "MIIEowIBAAKCAQEAx9fGkq0h3T7Pzq1vWc5YbR2nLmK8JdU4sEoXaZpQwTrVyBgH".to_owned();
        let lines = ["-----BEGIN RSA PRIVATE KEY-----", &body, &body, "-----END RSA PRIVATE KEY-----", "", "boom"];
        let dir = log(lines.map(line).concat().as_bytes());
        assert_eq!(texts(&dir, 3), ["boom"]);
        assert_eq!(texts(&dir, 6), ["[redacted:private-key]", "boom"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_read_all_the_same() {
        let dir = log(b"\xff\xfe\n2026-11-20T22:10:01Z stderr F \xff boom\n");
        assert_eq!(texts(&dir, 5), ["\u{fffd} boom"]);
    }

    #[test]
    fn only_a_regular_file_in_its_place_is_opened() {
        let dir = log(b"");
        let path = log_path(&dir);
        fs::remove_file(&path).unwrap();
        assert!(texts(&dir, 5).is_empty());
        let secret = dir.path().join("secret");
        fs::write(&secret, "2026-11-20T22:10:01Z stderr F secret\n").unwrap();
        symlink(&secret, &path).unwrap();
        assert!(texts(&dir, 5).is_empty());
        fs::remove_file(&path).unwrap();
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert!(texts(&dir, 5).is_empty());
        let elsewhere = Wanted { container: "../../..".to_owned(), ..wanted() };
        assert_eq!(super::path(dir.path(), &elsewhere), None);
    }

    /// A link in the place of the log, to this.
    fn linked(to: &Path) -> tempfile::TempDir {
        let dir = log(b"");
        fs::remove_file(log_path(&dir)).unwrap();
        symlink(to, log_path(&dir)).unwrap();
        dir
    }

    #[test]
    fn behind_a_link_only_dockers_log_of_this_container_is_read() {
        let line =
            |text: &str| format!("{{\"log\":\"{text}\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-20T22:10:01Z\"}}\n");
        let outside = tempfile::tempdir().unwrap();
        let other = outside.path().join("other.log");
        fs::write(&other, line("of another")).unwrap();
        // Whatever the link leads to, that is not read.
        let dir = linked(&other);
        assert!(texts(&dir, 5).is_empty());
        let container = directories(&dir).docker.join(ID);
        let file = container.join(format!("{ID}-json.log"));
        fs::create_dir_all(&container).unwrap();
        fs::write(&file, line("own")).unwrap();
        assert_eq!(texts(&dir, 5), ["own"]);
        // Neither the file nor its directory may be a link.
        fs::remove_file(&file).unwrap();
        symlink(&other, &file).unwrap();
        assert!(texts(&dir, 5).is_empty());
        fs::remove_file(&file).unwrap();
        mkfifo(&file, Mode::S_IRWXU).unwrap();
        assert!(texts(&dir, 5).is_empty());
        fs::remove_dir_all(&container).unwrap();
        fs::write(outside.path().join(format!("{ID}-json.log")), line("of another")).unwrap();
        symlink(outside.path(), &container).unwrap();
        assert!(texts(&dir, 5).is_empty());
        for id in ["", "..", "../../etc"] {
            let error = open_of_docker(&directories(&dir).docker, &ContainerId(id.to_owned())).unwrap_err();
            assert_eq!(error, Errno::ENOENT, "{id}");
        }
    }
}
