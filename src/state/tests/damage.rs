//! Files that were damaged, lost, or written by a newer orch.

use super::*;
use crate::state::format::{self, Snapshot, backup_path};

fn two_runs() -> (tempfile::TempDir, Store, State) {
    let (folder, store) = store();
    apply(&store, RUN, &["db"]);
    let state = apply(&store, "20261121T053300Z-3f9a1d", &["api"]);
    (folder, store, state)
}

/// Every operation that reads the state must give this error, and change nothing.
fn refused(store: &Store) -> StateError {
    let before = read_dir(store);
    let error = store.read().unwrap_err();
    assert_eq!(store.lock(request("apply"), |_| {}).unwrap_err().to_string(), error.to_string());
    assert_eq!(read_dir(store), before);
    error
}

fn read_dir(store: &Store) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(store.dir()).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.display().to_string(), read(&path))
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

#[test]
fn a_state_survives_a_round_trip_byte_for_byte() {
    let (_folder, store, state) = two_runs();
    let bytes = read(&store.state_path());
    let (snapshot, checked) = format::parse(&store.state_path(), &bytes).unwrap();
    assert_eq!((&snapshot.state, checked), (&state, true));
    let file: StateFile<'_> = serde_json::from_slice(&bytes).unwrap();
    let mut again = Vec::new();
    format::serialize(&snapshot, &file.reason, &mut again).unwrap();
    assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(bytes).unwrap());
}

#[test]
fn a_state_file_may_be_laid_out_anew_but_not_changed() {
    let (_folder, store, state) = two_runs();
    let value: serde_json::Value = serde_json::from_slice(&read(&store.state_path())).unwrap();
    write(&store.state_path(), &serde_json::to_vec_pretty(&value).unwrap());
    assert_eq!(store.read().unwrap(), state);
    let changed = String::from_utf8(read(&store.state_path())).unwrap().replace("object-1", "object-7");
    write(&store.state_path(), changed.as_bytes());
    assert!(refused(&store).to_string().ends_with("its content does not match its checksum"));
}

#[test]
fn a_damaged_state_is_an_error_that_names_the_kept_one() {
    let (_folder, store, _) = two_runs();
    let bytes = read(&store.state_path());
    let cuts = (0..bytes.len() - 1).step_by(97).map(|cut| bytes[..cut].to_vec());
    let others = [b"\0\0\0\0".to_vec(), b"null".to_vec(), b"{\"format\":1}".to_vec(), vec![b'['; 100_000]];
    for content in cuts.chain(others) {
        write(&store.state_path(), &content);
        let error = store.read().unwrap_err();
        assert!(matches!(error, StateError::Damaged { previous: Some(_), .. }), "{error}");
        let hint = error.hint().unwrap();
        let backup = backup_path(&store.state_path()).display().to_string();
        assert!(hint.contains(&format!("orch state push {backup}")), "{hint}");
    }
    refused(&store);
}

#[test]
fn a_missing_state_is_empty_only_when_nothing_proves_that_there_was_one() {
    let (_folder, store, _) = two_runs();
    std::fs::remove_file(store.state_path()).unwrap();
    let error = refused(&store);
    assert!(matches!(&error, StateError::Missing { previous: Some(_), .. }), "{error}");
    std::fs::remove_file(backup_path(&store.state_path())).unwrap();
    let error = refused(&store);
    assert!(matches!(&error, StateError::Missing { previous: None, .. }), "{error}");
    std::fs::remove_file(store.journal_path()).unwrap();
    assert_eq!(store.read().unwrap(), State::default());
}

#[test]
fn a_newer_state_says_which_orch_is_needed() {
    let (_folder, store, _) = two_runs();
    let text = String::from_utf8(read(&store.state_path())).unwrap();
    let version = format!("\"orch\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let newer = text.replace("\"format\":1", "\"format\":2").replace(&version, "\"orch\":\"9.1.0\"");
    write(&store.state_path(), newer.as_bytes());
    let error = refused(&store);
    assert!(error.to_string().contains("state format 2, written by orch 9.1.0"), "{error}");
    assert_eq!(error.hint().unwrap(), "use orch 9.1.0 or newer");
    write(&store.state_path(), b"{\"format\":3,\"orch\":\"9.2.0\",\"shards\":[]}");
    assert!(matches!(refused(&store), StateError::Newer { format: 3, .. }));
}

#[test]
fn the_journal_of_another_state_is_refused() {
    let (_folder, store, _) = two_runs();
    let (_other_folder, other, _) = two_runs();
    write(&store.journal_path(), &read(&other.journal_path()));
    // As many entries as are folded in already: nothing in it would be read.
    let same_age = store.read().unwrap();
    assert_eq!(same_age.records.len(), 2);
    apply(&other, "20261121T053400Z-3f9a1e", &["web"]);
    write(&store.journal_path(), &read(&other.journal_path()));
    assert!(matches!(refused(&store), StateError::ForeignJournal { .. }));
}

#[test]
fn every_instant_of_a_write_leaves_the_old_or_the_new_state() {
    let (_folder, store, state) = two_runs();
    let path = store.state_path();
    // Killed after the link: both names stand for the same file.
    std::fs::remove_file(backup_path(&path)).unwrap();
    std::fs::hard_link(&path, backup_path(&path)).unwrap();
    assert_eq!(store.read().unwrap(), state);
    let next = apply(&store, "20261121T053400Z-3f9a1e", &["web"]);
    assert_eq!(store.read().unwrap(), next);
    let kept = format::read(&backup_path(&path)).unwrap().unwrap();
    assert_eq!(kept.state, state);
    assert!(!crate::sys::beside(&backup_path(&path), "tmp").exists());
}

#[test]
fn a_write_that_fails_leaves_the_old_state_and_no_temporary_file() {
    let (_folder, store, state) = two_runs();
    let blocked = crate::sys::beside(&store.state_path(), "backup.tmp");
    std::fs::create_dir(&blocked).unwrap();
    let changed = Snapshot { state: State { serial: 9, ..state.clone() }, journal: 0 };
    let error = format::write(&store.state_path(), &changed, "test", format::Keep::AsBackup).unwrap_err();
    assert!(matches!(error, StateError::Io { .. }), "{error}");
    assert_eq!(store.read().unwrap(), state);
    assert!(!crate::sys::beside(&store.state_path(), "tmp").exists());
}

#[test]
fn the_schema_describes_what_is_written() {
    let (_folder, store, _) = two_runs();
    let schema = serde_json::to_value(schemars::schema_for!(StateFile<'_>)).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&read(&store.state_path())).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert_eq!(validator.iter_errors(&file).map(|error| error.to_string()).collect::<Vec<_>>(), [""; 0]);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        proptest::prop_assert!(format::parse(Path::new("state.json"), &bytes).is_err());
    }
}
