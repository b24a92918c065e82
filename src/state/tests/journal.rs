//! The journal: every prefix, damage, arbitrary bytes, a full disk.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::state::fold::{Fold, Folded};
use crate::state::format::Snapshot;
use crate::state::journal::{Contents, encode, parse};
use crate::state::writer::{Appender, JournalFile, Medium};

fn path() -> PathBuf {
    PathBuf::from("journal.ndjson")
}

/// Two runs: the first is killed, the second resumes its plan; with a removal, a failure, a rename
/// and a cancelled step.
fn entries() -> Vec<Entry> {
    let begin = |step, name| Entry::Begin { step, address: address(name), pending: pending(step) };
    let ended = |end: End| Entry::End(Box::new(end));
    let run =
        |run, serial| Entry::RunBegin(RunHeader { lineage: "lineage".into(), serial, ..header(run, Some("plan"), 5) });
    vec![
        run(RUN, 0),
        begin(1, "db"),
        begin(2, "old"),
        ended(put(1, "db")),
        begin(3, "api"),
        run("20261121T053300Z-3f9a1d", 1),
        ended(End { done: false, outcome: "failed".into(), ..put(3, "api") }),
        begin(2, "new"),
        ended(End { renamed_from: Some(address("old")), ..put(2, "new") }),
        begin(4, "db"),
        ended(end(4, "db", RecordChange::Remove)),
        begin(5, "api"),
        ended(end(5, "api", RecordChange::Keep)),
        begin(3, "worker"),
        Entry::RunEnd { run: RunId::new("20261121T053300Z-3f9a1d"), outcome: "interrupted".into(), at: at() },
    ]
}

fn bytes(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (seq, entry) in (1..).zip(entries) {
        encode(seq, entry, &mut bytes).unwrap();
    }
    bytes
}

fn fold(base: Snapshot, entries: impl IntoIterator<Item = (u64, Entry)>) -> Folded {
    let mut fold = Fold::new(base);
    for (seq, entry) in entries {
        fold.take(seq, entry).unwrap();
    }
    fold.finish()
}

fn numbered(entries: &[Entry]) -> Vec<(u64, Entry)> {
    (1..).zip(entries.iter().cloned()).collect()
}

#[test]
fn a_journal_cut_at_any_byte_folds_to_its_whole_entries() {
    let entries = entries();
    let bytes = bytes(&entries);
    for cut in 0..=bytes.len() {
        let contents = parse(&path(), &bytes[..cut]).unwrap();
        let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        let expected = fold(Snapshot::default(), numbered(&entries[..whole]));
        assert_eq!(contents.torn, cut as u64 != contents.valid, "cut at {cut}");
        assert_eq!(fold(Snapshot::default(), contents.entries), expected, "cut at {cut}");
    }
}

#[test]
fn folding_in_two_goes_or_twice_changes_nothing() {
    let entries = numbered(&entries());
    let once = fold(Snapshot::default(), entries.clone()).snapshot;
    let again = fold(once.clone(), entries.clone());
    assert_eq!((&again.snapshot, again.changed), (&once, false));
    // A crash is recovered by folding what there is; what follows belongs to the next run.
    let first_run = fold(Snapshot::default(), entries[..5].to_vec()).snapshot;
    assert_eq!(fold(first_run, entries).snapshot, once);
}

#[test]
fn the_fold_says_what_is_recorded_pending_and_applied() {
    let entries = numbered(&entries());
    let killed = fold(Snapshot::default(), entries[..5].to_vec()).snapshot.state;
    assert_eq!(killed.pending.keys().map(ToString::to_string).collect::<Vec<_>>(), ["api", "old"]);
    assert_eq!((killed.serial, killed.lineage.as_str()), (1, "lineage"));
    assert_eq!((killed.applied[0].complete, killed.applied[0].done.as_slice()), (false, [1].as_slice()));

    let Snapshot { state, journal } = fold(Snapshot::default(), entries).snapshot;
    assert_eq!(state.records.keys().map(ToString::to_string).collect::<Vec<_>>(), ["api", "new"]);
    assert_eq!(state.pending.keys().map(ToString::to_string).collect::<Vec<_>>(), ["worker"]);
    assert_eq!((state.serial, journal), (2, 15));
    let [plan] = state.applied.as_slice() else { panic!("{:?}", state.applied) };
    assert_eq!((plan.run.as_str(), plan.serial, plan.complete), ("20261121T053300Z-3f9a1d", 2, false));
    assert_eq!(plan.done, [1, 2, 4, 5]);
}

#[test]
fn a_plan_is_complete_once_all_its_steps_are_done_even_if_the_run_was_killed() {
    let begin = Entry::RunBegin(RunHeader { lineage: "l".into(), ..header(RUN, Some("plan"), 1) });
    let entries = [begin, Entry::Begin { step: 1, address: address("db"), pending: pending(1) }];
    let begun = fold(Snapshot::default(), numbered(&entries)).snapshot.state;
    assert!(!begun.applied[0].complete);
    let [begin, step] = entries;
    let ended = fold(Snapshot::default(), numbered(&[begin.clone(), step, Entry::End(Box::new(put(1, "db")))]));
    assert_eq!((ended.snapshot.state.applied[0].complete, ended.snapshot.state.applied[0].done.len()), (true, 0));
    // A run that was killed before its first step leaves its plan as if it was never applied.
    assert_eq!(fold(Snapshot::default(), numbered(&[begin])).snapshot.state.applied, []);
}

#[test]
fn damage_before_the_last_line_is_named_and_a_bad_last_line_is_a_tear() {
    let bytes = bytes(&entries());
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for number in 1..=lines.len() {
        let before: usize = lines[..number - 1].iter().map(|line| line.len()).sum();
        for offset in [0, 10, 25, lines[number - 1].len() / 2, lines[number - 1].len() - 2] {
            let mut damaged = bytes.clone();
            damaged[before + offset] ^= 1;
            match parse(&path(), &damaged) {
                Err(StateError::JournalDamaged { line, .. }) => assert_eq!(line, number),
                Ok(contents) => assert_eq!((contents.torn, number), (true, lines.len())),
                Err(error) => panic!("{error}"),
            }
        }
    }
    let without_third = [&lines[..2], &lines[3..]].concat().concat();
    let error = parse(&path(), &without_third).unwrap_err();
    assert!(matches!(error, StateError::JournalDamaged { line: 3, .. }), "{error}");
    assert!(error.hint().unwrap().contains("mv journal.ndjson"), "{:?}", error.hint());
}

#[test]
fn an_entry_of_a_newer_orch_is_never_taken_for_a_tear() {
    let mut bytes = bytes(&entries()[..2]);
    let rest = br#""seq":3,"entry":{"teleport":{"to":"mars"}}}"#;
    let sum = Digest::of(rest).short();
    bytes.extend_from_slice(format!("{{\"sum\":\"{sum}\",").as_bytes());
    bytes.extend_from_slice(rest);
    bytes.push(b'\n');
    assert!(matches!(parse(&path(), &bytes), Err(StateError::JournalNewer { line: 3, .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&path(), &bytes);
    }

    #[test]
    fn a_journal_with_any_change_folds_or_is_refused(
        at in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        garbage in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let whole = bytes(&entries());
        let mut changed = whole.clone();
        let at = at.index(changed.len());
        let until = (at + cut.index(40)).min(changed.len());
        changed.splice(at..until, garbage);
        if let Ok(Contents { entries: found, .. }) = parse(&path(), &changed) {
            let expected = numbered(&entries());
            prop_assert!(found.len() <= expected.len());
            prop_assert_eq!(&found[..], &expected[..found.len()]);
        }
    }
}

/// A file on a disk with room for so many bytes, shared with the test.
struct SmallDisk {
    content: Arc<std::sync::Mutex<Vec<u8>>>,
    room: Arc<AtomicUsize>,
    /// How many syncs succeed; then one fails, once.
    syncs: usize,
}

impl Medium for SmallDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content.lock().unwrap();
        let fits = bytes.len().min(self.room.load(Ordering::SeqCst).saturating_sub(content.len()));
        content.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs = self.syncs.wrapping_sub(1);
        if self.syncs == usize::MAX { Err(io::Error::other("the device is gone")) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.content.lock().unwrap().truncate(length as usize);
        Ok(())
    }
}

#[test]
fn a_full_disk_stops_begins_keeps_what_was_durable_and_takes_ends_that_fit() {
    let (content, room) = (Arc::<std::sync::Mutex<Vec<u8>>>::default(), Arc::new(AtomicUsize::new(0)));
    let begin = |step, name| Entry::Begin { step, address: address(name), pending: pending(step) };
    let fits = bytes(&[begin(1, "db")]).len();
    room.store(fits + fits / 2, Ordering::SeqCst);
    let disk = SmallDisk { content: content.clone(), room: room.clone(), syncs: 9 };
    let journal = JournalFile::on(&path(), Box::new(disk), 0, 0);
    let (appender, thread) = Appender::spawn(journal, Fold::new(Snapshot::default())).unwrap();
    wait(async {
        appender.append(begin(1, "db")).await.unwrap().unwrap();
        let error = appender.append(begin(2, "api")).await.unwrap().unwrap_err();
        assert!(error.hint().unwrap().starts_with("free some space"), "{error}");
        assert_eq!(content.lock().unwrap().len(), fits, "the torn line was not cut away");
        room.store(usize::MAX, Ordering::SeqCst);
        let stopped = appender.append(begin(3, "web")).await.unwrap().unwrap_err();
        assert!(matches!(stopped, StateError::Stopped(_)), "{stopped}");
        appender.append(Entry::End(Box::new(put(1, "db")))).await.unwrap().unwrap();
    });
    drop(appender);
    let written = thread.join().unwrap().unwrap();
    let contents = parse(&path(), &content.lock().unwrap()).unwrap();
    assert_eq!(contents.entries, numbered(&[begin(1, "db"), Entry::End(Box::new(put(1, "db")))]));
    assert_eq!(written.fold.finish(), fold(Snapshot::default(), contents.entries));
}

#[test]
fn after_a_failed_sync_only_what_was_durable_before_is_trusted() {
    let content = Arc::<std::sync::Mutex<Vec<u8>>>::default();
    let room = Arc::new(AtomicUsize::new(usize::MAX));
    let disk = SmallDisk { content: content.clone(), room, syncs: 1 };
    let mut journal = JournalFile::on(&path(), Box::new(disk), 0, 0);
    let entries = entries();
    journal.append(entries[..2].iter()).unwrap();
    journal.append(entries[2..4].iter()).unwrap_err();
    assert_eq!(*content.lock().unwrap(), bytes(&entries[..2]));
    // The numbers of what was cut away are given again.
    assert_eq!(journal.append(entries[2..].iter()).unwrap(), 3);
    assert_eq!(*content.lock().unwrap(), bytes(&entries));
}

#[test]
fn a_device_that_takes_nothing_kills_the_journal_but_not_the_process() {
    let full = std::fs::File::options().append(true).open("/dev/full").unwrap();
    let mut journal = JournalFile::on(&path(), Box::new(full), 0, 0);
    let entry = entries().remove(0);
    for _ in 0..2 {
        let error = journal.append(std::iter::once(&entry)).unwrap_err();
        assert!(error.to_string().starts_with("cannot write journal.ndjson: "), "{error}");
    }
}
