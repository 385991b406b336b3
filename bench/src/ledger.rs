//! The least that a durable turn costs: a page appended to a file, and the wait for the disk. No database.
//!
//! What waits at the same time is written in one go and flushed once, as Letterhead's SQLite store does.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::oneshot;

/// What is written for each turn: a page of a database.
const PAGE: [u8; 4096] = [0x5a; 4096];
/// The most turns of one flush, as in Letterhead.
const MOST: usize = 256;
/// How long the file gets before it is written from its beginning again.
const LONG: u64 = 32 << 20;

/// Whoever waits for the disk, and hears of it.
type Waiting = oneshot::Sender<io::Result<()>>;

/// A file with a thread that writes to it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Sender<Waiting>);

impl Ledger {
    /// Makes the file, in its full length.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        for _ in 0..LONG / PAGE.len() as u64 {
            file.write_all(&PAGE)?;
        }
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
        let (sender, waiting) = channel();
        std::thread::Builder::new().name("ledger".into()).spawn(move || write(file, &waiting))?;
        Ok(Self(sender))
    }

    /// Writes a page and waits until the disk has it.
    ///
    /// # Errors
    /// When it could not be written.
    pub(crate) async fn note(&self) -> io::Result<()> {
        let gone = || io::Error::other("the ledger's thread has ended");
        let (sender, noted) = oneshot::channel();
        self.0.send(sender).map_err(|_| gone())?;
        noted.await.map_err(|_| gone())?
    }
}

fn write(mut file: File, waiting: &Receiver<Waiting>) {
    let mut length = 0;
    while let Ok(first) = waiting.recv() {
        let mut all = vec![first];
        all.extend(waiting.try_iter().take(MOST - 1));
        let pages = PAGE.repeat(all.len());
        let mut append = || {
            if length + pages.len() as u64 > LONG {
                file.seek(SeekFrom::Start(0))?;
                length = 0;
            }
            file.write_all(&pages)?;
            length += pages.len() as u64;
            file.sync_data()
        };
        let done = append();
        for one in all {
            // The client may have gone.
            drop(one.send(match &done {
                Ok(()) => Ok(()),
                Err(error) => Err(error.kind().into()),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_turn_hears_that_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("ledger")).unwrap();
        let notes = (0..50).map(|_| ledger.note());
        assert!(futures_util::future::join_all(notes).await.iter().all(Result::is_ok));
    }

    #[test]
    fn a_file_that_cannot_be_made_is_told() {
        assert!(Ledger::open(Path::new("/nowhere/at/all")).is_err());
    }
}
