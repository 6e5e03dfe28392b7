//! Where usage waits while the database is away: JSON lines in the data directory, limited in size. Rows go to the file at
//! once and to the disk by [`Spill::sync`]; taking them back reads a file that nobody appends to any more.

use crate::service::usage::UsageRow;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Processes that may share a data directory, each with files of its own.
const SLOTS: u32 = 64;
/// The end of the name of a file that is appended to.
const OPEN: &str = "jsonl";
/// The same for one that is being taken back.
const TAKING: &str = "taking";

/// The spill of one process.
pub(crate) struct Spill {
    folder: PathBuf,
    /// Appended to.
    open: PathBuf,
    /// Being taken back.
    taking: PathBuf,
    limit: u64,
    state: Mutex<State>,
    /// Held while the process lives: the files are its own.
    _lock: File,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    /// Bytes in both files.
    bytes: u64,
    taking_bytes: u64,
    dirty: bool,
}

impl Spill {
    /// The spill in `folder`, which is made; what earlier processes left there is found again.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        for slot in 0..SLOTS {
            let Some(lock) = claim(folder, slot)? else {
                continue;
            };
            let (open, taking) = (named(folder, slot, OPEN), named(folder, slot, TAKING));
            adopt(folder, slot, &open)?;
            let state = State {
                bytes: size(&open),
                taking_bytes: size(&taking),
                ..State::default()
            };
            return Ok(Spill {
                folder: folder.to_owned(),
                open,
                taking,
                limit,
                state: Mutex::new(state),
                _lock: lock,
            });
        }
        Err(io::Error::other("too many processes share the data directory"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything waits.
    pub fn is_empty(&self) -> bool {
        let state = self.lock();
        state.bytes == 0 && state.taking_bytes == 0
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When the limit is reached or the file system refuses: these rows are not kept.
    pub fn append(&self, rows: &[UsageRow]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(rows.len() * 512);
        for row in rows {
            serde_json::to_writer(&mut lines, row)?;
            lines.push(b'\n');
        }
        let mut state = self.lock();
        let more = lines.len() as u64;
        if state.bytes + state.taking_bytes + more > self.limit {
            return Err(io::Error::other("the spill is at its limit"));
        }
        if state.file.is_none() {
            let (file, length) = appendable(&self.open)?;
            // A name that is not on the disk would take the rows with it when the power goes.
            File::open(&self.folder)?.sync_all()?;
            state.bytes = length;
            state.file = Some(file);
        }
        let written = match &mut state.file {
            Some(file) => file.write_all(&lines),
            None => Ok(()),
        };
        if written.is_err() {
            // Part of a line may stand there; the next one must not be glued to it.
            if let Some(file) = &state.file {
                let _ = file.set_len(state.bytes);
            }
            state.file = None;
            return written;
        }
        state.bytes += more;
        state.dirty = true;
        Ok(())
    }

    /// Brings what was appended to the disk.
    pub fn sync(&self) -> io::Result<()> {
        let file = {
            let mut state = self.lock();
            if !std::mem::take(&mut state.dirty) {
                return Ok(());
            }
            state.file.as_ref().map(File::try_clone).transpose()?
        };
        let done = file.map_or(Ok(()), |file| file.sync_data());
        if done.is_err() {
            self.lock().dirty = true;
        }
        done
    }

    /// The rows to take back: of the file set aside, or of the present one, set aside now.
    pub fn take(&self) -> io::Result<Option<Taken>> {
        let mut state = self.lock();
        if state.taking_bytes == 0 {
            if state.bytes == 0 {
                return Ok(None);
            }
            let moved = still_there(std::fs::rename(&self.open, &self.taking))?;
            state.file = None;
            state.dirty = false;
            let bytes = std::mem::take(&mut state.bytes);
            state.taking_bytes = moved.map_or(0, |()| bytes);
        }
        let file = still_there(File::open(&self.taking))?;
        if file.is_none() {
            state.taking_bytes = 0;
        }
        Ok(file.map(|file| Taken(BufReader::new(file))))
    }

    /// Every row that was taken stands in the database.
    pub fn taken(&self) -> io::Result<()> {
        let mut state = self.lock();
        still_there(std::fs::remove_file(&self.taking))?;
        state.taking_bytes = 0;
        Ok(())
    }
}

/// None for a file that somebody removed by hand: waiting for it would be in vain.
fn still_there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn named(folder: &Path, slot: u32, end: &str) -> PathBuf {
    folder.join(format!("usage-{slot}.{end}"))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// The lock of a slot, unless another process has it.
fn claim(folder: &Path, slot: u32) -> io::Result<Option<File>> {
    let path = named(folder, slot, "lock");
    let lock = private(OpenOptions::new().create(true).truncate(false)).open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Takes over what processes left behind that are gone: nobody may ever come to their slots again. A crash in between
/// leaves rows in two files, which are one row in the database.
fn adopt(folder: &Path, own: u32, open: &Path) -> io::Result<()> {
    for slot in (0..SLOTS).filter(|slot| *slot != own) {
        let left = [TAKING, OPEN].map(|end| named(folder, slot, end));
        if left.iter().all(|path| size(path) == 0) {
            continue;
        }
        let Some(_lock) = claim(folder, slot)? else {
            continue;
        };
        let (mut file, _) = appendable(open)?;
        for path in &left {
            if let Some(mut theirs) = still_there(File::open(path))? {
                io::copy(&mut theirs, &mut file)?;
                file.write_all(b"\n")?;
            }
        }
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        for path in &left {
            still_there(std::fs::remove_file(path))?;
        }
    }
    Ok(())
}

/// A file to append to, and its length.
fn appendable(path: &Path) -> io::Result<(File, u64)> {
    let mut file = private(OpenOptions::new().create(true).append(true)).open(path)?;
    let mut length = file.metadata()?.len();
    // A crash may have torn the last line of an earlier process.
    if length > 0 {
        file.write_all(b"\n")?;
        length += 1;
    }
    Ok((file, length))
}

/// Only the owner reads it: it tells who called which model when.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.write(true).mode(0o600)
}

/// Rows on their way back.
pub(crate) struct Taken(BufReader<File>);

/// A batch of them.
#[derive(Default)]
pub(crate) struct Batch {
    pub rows: Vec<UsageRow>,
    /// Lines that are none: torn by a crash.
    pub torn: u64,
}

impl Taken {
    /// The next rows, `most` at most; none at the end.
    pub fn next(&mut self, most: usize) -> io::Result<Option<Batch>> {
        let (mut batch, mut line) = (Batch::default(), Vec::new());
        while batch.rows.len() < most {
            line.clear();
            if self.0.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            match serde_json::from_slice(&line) {
                Ok(row) => batch.rows.push(row),
                Err(_) if line.iter().all(u8::is_ascii_whitespace) => {}
                Err(_) => batch.torn += 1,
            }
        }
        Ok((!batch.rows.is_empty() || batch.torn > 0).then_some(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_core::SYSTEM_TENANT;

    fn rows(count: usize) -> Vec<UsageRow> {
        (0..count).map(|_| UsageRow::sample(SYSTEM_TENANT)).collect()
    }

    #[test]
    fn rows_come_back_once_and_survive_a_crash() {
        let folder = tempfile::tempdir().expect("folder");
        let (first, second) = (rows(3), rows(2));
        let spill = Spill::open(folder.path(), 1 << 20).expect("spill");
        assert!(spill.is_empty() && spill.take().expect("take").is_none());
        spill.append(&first).expect("kept");
        spill.sync().expect("synced");
        let mut taken = spill.take().expect("take").expect("rows");
        // What comes meanwhile goes to a file of its own.
        spill.append(&second).expect("kept");
        assert_eq!(taken.next(2).expect("read").expect("rows").rows, first[..2]);
        drop((taken, spill));

        // Killed half-way, with a torn line.
        let open = folder.path().join("usage-0.jsonl");
        let mut file = OpenOptions::new().append(true).open(open).expect("file");
        file.write_all(b"{\"tenant\":").expect("torn");
        let spill = Spill::open(folder.path(), 1 << 20).expect("spill");
        let mut taken = spill.take().expect("take").expect("rows");
        assert_eq!(
            taken.next(10).expect("read").expect("rows").rows,
            first,
            "all of them again"
        );
        assert!(taken.next(10).expect("read").is_none());
        spill.taken().expect("done");
        let third = rows(1);
        spill.append(&third).expect("kept");
        let batch = spill
            .take()
            .expect("take")
            .expect("rows")
            .next(10)
            .expect("read")
            .expect("rows");
        assert_eq!(batch.rows, [second, third].concat());
        assert_eq!(batch.torn, 1);
        spill.taken().expect("done");
        assert!(spill.is_empty());
    }

    #[test]
    fn what_a_process_left_behind_is_taken_over() {
        let folder = tempfile::tempdir().expect("folder");
        let (first, second, third) = (rows(2), rows(3), rows(1));
        let one = Spill::open(folder.path(), 1 << 20).expect("spill");
        let two = Spill::open(folder.path(), 1 << 20).expect("spill");
        two.append(&first).expect("kept");
        two.take().expect("take").expect("rows");
        two.append(&second).expect("kept");
        let three = Spill::open(folder.path(), 1 << 20).expect("spill");
        assert!(three.is_empty(), "the second one lives");
        drop((one, two));

        // Its slot may never be used again.
        let one = Spill::open(folder.path(), 1 << 20).expect("spill");
        assert!(!one.is_empty());
        one.append(&third).expect("kept");
        let mut taken = one.take().expect("take").expect("rows");
        let batch = taken.next(10).expect("read").expect("rows");
        assert_eq!((batch.rows, batch.torn), ([first, second, third].concat(), 0));
        one.taken().expect("done");
        drop(one);
        assert!(Spill::open(folder.path(), 1 << 20).expect("spill").is_empty());
    }

    #[test]
    fn a_file_removed_by_hand_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("folder");
        let spill = Spill::open(folder.path(), 1 << 20).expect("spill");
        for end in [OPEN, TAKING] {
            spill.append(&rows(1)).expect("kept");
            if end == TAKING {
                spill.take().expect("take").expect("rows");
            }
            std::fs::remove_file(named(folder.path(), 0, end)).expect("removed");
            assert!(spill.take().expect("take").is_none() && spill.is_empty());
        }
        spill.append(&rows(1)).expect("kept");
        assert!(spill.take().expect("take").is_some());
    }

    #[test]
    fn processes_keep_apart_and_the_limit_holds() {
        let folder = tempfile::tempdir().expect("folder");
        let one = Spill::open(folder.path(), 10).expect("spill");
        let two = Spill::open(folder.path(), 1 << 20).expect("spill");
        assert!(one.append(&rows(1)).is_err());
        two.append(&rows(1)).expect("kept");
        assert!(one.is_empty() && !two.is_empty());
    }
}
