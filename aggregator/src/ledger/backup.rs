//! Copies of a ledger: taken while it is written to, and put into its place.
//!
//! Either way a copy is made beside its place, checked as a whole, and moved there when it is on disk: whatever
//! happens, the place holds what it held before, or all of the copy, or, for an instant of [`restore`], nothing.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use coroner_runtime::whole_file::sync_directory;
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
    config::DbConfig,
};
use uuid::Uuid;

use super::{
    Offset,
    error::Error,
    lock::lock,
    migration,
    row::{self, COLUMNS},
    schema,
};
use crate::file::is_at;

/// Copies the ledger, which may be in use, as it is at one instant. Gives the last offset that the copy holds.
///
/// # Errors
/// If the ledger cannot be read or is damaged, or the copy cannot be written; [`Error::Exists`] if there is something
/// in its place and it is not to be replaced. Nothing is changed then.
pub fn backup(ledger: &Path, to: &Path, replace: bool) -> Result<Offset, Error> {
    if fs::symlink_metadata(to).is_ok() {
        if are_same(ledger, to) {
            return Err(Error::SameFile { path: to.into() });
        }
        if !replace {
            return Err(Error::Exists { path: to.into() });
        }
        drop(lock(to)?);
    }
    let draft = Draft::of(to)?;
    let copy = copy(ledger, &draft)?;
    let last = schema::last_offset(&copy).map_err(Error::reading("read the last offset"))?;
    close(copy)?;
    draft.sync()?;
    schema::remove_journal(to).map_err(file_error("clear the way for", to))?;
    draft.put(to)?;
    Ok(last)
}

/// Puts a copy of a backup into the ledger's place; gives where the ledger that was there is now, if there was one.
///
/// The restored ledger has a new epoch: what came after the backup was taken may have been handed out, and the same
/// offsets are given to other records now. So readers and exporters with an earlier position get a gap that reports
/// another ledger, and begin with its oldest record. Agents learn from their handshake what the ledger lacks.
///
/// # Errors
/// [`Error::InUse`] while an aggregator has the ledger open; the errors of opening a ledger if the backup is not a
/// sound one. Nothing is changed then.
pub fn restore(from: &Path, ledger: &Path) -> Result<Option<PathBuf>, Error> {
    let exists = match fs::metadata(ledger) {
        Ok(_) if are_same(from, ledger) => return Err(Error::SameFile { path: ledger.into() }),
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(source) => return Err(Error::File { doing: "look at", path: ledger.into(), source }),
    };
    let _held = exists.then(|| lock(ledger)).transpose()?;
    let draft = Draft::of(ledger)?;
    let copy = copy(from, &draft)?;
    let epoch = Uuid::now_v7().into_bytes();
    copy.execute("UPDATE ledger SET epoch = ?", (epoch,)).map_err(Error::reading("give the ledger a new epoch"))?;
    close(copy)?;
    draft.sync()?;
    let aside =
        exists.then(|| schema::set_aside(ledger, "replaced")).transpose().map_err(file_error("set aside", ledger))?;
    schema::remove_journal(ledger).map_err(file_error("clear the way for", ledger))?;
    draft.put(ledger)?;
    Ok(aside)
}

/// Copies what the ledger holds at one instant, and checks all of it. The copy has no journal.
fn copy(ledger: &Path, draft: &Draft) -> Result<Connection, Error> {
    let version = schema::check_header(ledger)?;
    let unusable = |error| schema::unusable(ledger, error);
    // Without the right to write, SQLite could not take away the journal that it may have to make.
    let source = schema::connect(ledger, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unusable)?;
    if schema::journal_of(ledger).exists() {
        source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(unusable)?;
    }
    let writing = |source| Error::Sqlite { doing: "write the copy of the ledger", source };
    let mut copy = schema::connect(&draft.path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(writing)?;
    // All in one step, of one snapshot: one that is taken in several starts over with each commit of the writer.
    let step = Backup::new(&source, &mut copy).and_then(|backup| backup.step(-1)).map_err(unusable)?;
    if step != StepResult::Done {
        return Err(Error::InUse { path: ledger.into() });
    }
    copy.pragma_update(None, "journal_mode", "delete").map_err(unusable)?;
    let found: String = copy.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0)).map_err(unusable)?;
    if found != "ok" {
        let detail = found.lines().collect::<Vec<_>>().join("; ");
        return Err(Error::Damaged { path: ledger.into(), detail });
    }
    if version != schema::VERSION {
        migration::run(&mut copy).map_err(unusable)?;
    }
    schema::epoch(&copy).map_err(unusable)?;
    leave_out_damaged(&copy).map_err(unusable)?;
    Ok(copy)
}

/// Takes records out of the copy whose checksums do not hold. Readers find that they are lost, as they do in the ledger
/// itself.
fn leave_out_damaged(copy: &Connection) -> Result<(), rusqlite::Error> {
    let mut statement = copy.prepare(&format!("SELECT {COLUMNS} FROM record"))?;
    let mut rows = statement.query(())?;
    let mut damaged: Vec<Offset> = Vec::new();
    while let Some(row) = rows.next()? {
        if row::stored(row)?.is_none() {
            damaged.push(row.get(0)?);
        }
    }
    for offset in damaged {
        tracing::error!(offset, "A record of the ledger is damaged, and is not in the copy");
        copy.execute("DELETE FROM record WHERE offset = ?", (offset,))?;
    }
    Ok(())
}

fn close(copy: Connection) -> Result<(), Error> {
    copy.close().map_err(|(_, source)| Error::Sqlite { doing: "close the copy of the ledger", source })
}

fn are_same(one: &Path, other: &Path) -> bool {
    File::open(one).is_ok_and(|one| is_at(&one, other))
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { doing, path: path.into(), source }
}

/// A file on its way to another name; removed if it does not get there.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn of(target: &Path) -> Result<Self, Error> {
        let path = schema::with_suffix(target, ".new");
        schema::make(&path).map_err(file_error("create", target))?;
        Ok(Self { path })
    }

    fn sync(&self) -> Result<(), Error> {
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(file_error("write", &self.path))
    }

    fn put(self, target: &Path) -> Result<(), Error> {
        let moved = fs::rename(&self.path, target).and_then(|()| sync_directory(target));
        moved.map_err(file_error("put into its place", target))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it has been moved there is nothing to remove; a leftover is removed by the next one.
        let _removed = schema::remove_draft(&self.path);
    }
}
