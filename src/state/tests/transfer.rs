//! Pulling, pushing and replacing whole states.

use super::*;
use crate::state::format::backup_path;

fn push(store: &Store, bytes: &[u8], force: bool) -> Result<State, StateError> {
    store.push(Path::new("given.json"), bytes, force, request("state push"), |_| {})
}

#[test]
fn what_was_pulled_can_be_pushed_back_once_nothing_happened_since() {
    let (_folder, store) = store();
    assert_eq!(store.pull().unwrap(), None);
    let first = apply(&store, RUN, &["db"]);
    let pulled = store.pull().unwrap().unwrap();
    assert_eq!(push(&store, &pulled, false).unwrap(), first);
    assert!(!backup_path(&store.state_path()).exists(), "pushing the same state wrote it");

    let second = apply(&store, "20261121T053300Z-3f9a1d", &["api"]);
    let error = push(&store, &pulled, false).unwrap_err();
    assert!(matches!(error, StateError::OlderSerial { current: 2, pushed: 1 }), "{error}");
    assert_eq!(store.read().unwrap(), second);
    let forced = push(&store, &pulled, true).unwrap();
    assert_eq!((forced.serial, &forced.records), (3, &first.records));
    assert_eq!(store.read().unwrap(), forced);
    assert_eq!(apply(&store, "20261121T053400Z-3f9a1e", &["web"]).records.len(), 2);
}

#[test]
fn a_foreign_state_is_pushed_by_force_only_and_works_from_then_on() {
    let (_folder, store) = store();
    let (_other_folder, other) = super::store();
    apply(&store, RUN, &["db"]);
    for run in 0..3 {
        apply(&other, RUN, &[&format!("s{run}")]);
    }
    let pulled = other.pull().unwrap().unwrap();
    assert!(matches!(push(&store, &pulled, false), Err(StateError::OtherLineage { .. })));
    let forced = push(&store, &pulled, true).unwrap();
    assert_eq!(forced.lineage, other.read().unwrap().lineage);
    assert_eq!(apply(&store, "20261121T053400Z-3f9a1e", &["web"]).records.len(), 4);
    // Into a folder without a state anything goes.
    let (_new_folder, new) = super::store();
    assert_eq!(push(&new, &pulled, false).unwrap(), other.read().unwrap());
    assert_eq!(apply(&new, "20261121T053400Z-3f9a1e", &["web"]).records.len(), 4);
}

#[test]
fn a_damaged_state_is_put_back_from_the_kept_one() {
    let (_folder, store) = store();
    let first = apply(&store, RUN, &["db"]);
    apply(&store, "20261121T053300Z-3f9a1d", &["api"]);
    // A third run is killed; then the state file is damaged.
    let writer = lock(&store).begin_run(header("20261121T053400Z-3f9a1e", None, 2)).unwrap();
    wait(async {
        writer.begin(1, &address("web"), pending(1)).await.unwrap();
        writer.end(put(1, "web")).await.unwrap();
        writer.begin(2, &address("job"), pending(2)).await.unwrap();
    });
    drop(writer);
    write(&store.state_path(), b"{");
    let backup = backup_path(&store.state_path());
    let state = push(&store, &read(&backup), false).unwrap();
    assert_eq!(state.records.keys().map(ToString::to_string).collect::<Vec<_>>(), ["db", "web"]);
    assert!(state.pending.contains_key(&address("job")), "what the killed run left was lost");
    assert!(state.serial > 2 && state.lineage == first.lineage);
    assert_eq!(store.read().unwrap(), state);
    assert_eq!(read(&crate::sys::beside(&store.state_path(), "damaged")), b"{");

    // By `cp`, the other way that the hint names, and after the file was lost altogether.
    std::fs::copy(&backup, store.state_path()).unwrap();
    assert_eq!(store.read().unwrap().records.len(), 1);
    assert_eq!(apply(&store, "20261121T053500Z-3f9a1f", &["api"]).records.len(), 2);
    std::fs::remove_file(store.state_path()).unwrap();
    push(&store, &read(&backup), false).unwrap();
    store.read().unwrap();
}

#[test]
fn only_a_state_can_be_pushed_and_an_edited_one_without_its_checksum() {
    let (_folder, store) = store();
    let state = apply(&store, RUN, &["db"]);
    for bytes in [b"".as_slice(), b"{", b"null", b"\xff\xfe"] {
        let error = push(&store, bytes, true).unwrap_err();
        assert!(error.to_string().starts_with("given.json is damaged"), "{error}");
    }
    let mut value: serde_json::Value = serde_json::from_slice(&store.pull().unwrap().unwrap()).unwrap();
    value["state"]["serial"] = 5.into();
    assert!(push(&store, value.to_string().as_bytes(), true).is_err());
    value.as_object_mut().unwrap().remove("checksum");
    assert_eq!(push(&store, value.to_string().as_bytes(), false).unwrap().serial, 5);
    value["state"]["lineage"] = "".into();
    assert!(push(&store, value.to_string().as_bytes(), true).is_err());
    assert_eq!(store.read().unwrap(), State { serial: 5, ..state });
    // In place, a file without a checksum is damage.
    write(&store.state_path(), value.to_string().as_bytes());
    assert!(matches!(store.read(), Err(StateError::Damaged { .. })));
}

#[test]
fn a_replaced_state_has_the_next_serial_and_the_old_lineage() {
    let (_folder, store) = store();
    let before = apply(&store, RUN, &["db"]);
    let mut locked = lock(&store);
    let mut moved = State { serial: 77, lineage: "made up".into(), ..locked.state().clone() };
    let record = moved.records.remove(&address("db")).unwrap();
    moved.records.insert(address("postgres"), record);
    let state = locked.replace_state(moved, "state mv db postgres").unwrap().clone();
    assert_eq!((state.serial, &state.lineage), (2, &before.lineage));
    let mut again = state.clone();
    again.records.clear();
    assert_eq!(locked.replace_state(again, "state rm postgres").unwrap().serial, 3);
    let writer = locked.begin_run(header("20261121T053400Z-3f9a1e", None, 0)).unwrap();
    assert_eq!(writer.finish("succeeded", at()).unwrap().serial, 3);
    drop(writer);
    let (_new_folder, new) = super::store();
    let first = lock(&new).replace_state(State::default(), "refresh").unwrap().clone();
    assert_eq!((first.serial, first.lineage.len()), (1, 32));
    assert_eq!(new.read().unwrap(), first);
}

#[test]
fn pushing_waits_for_the_lock() {
    let (_folder, store) = store();
    apply(&store, RUN, &["db"]);
    let pulled = store.pull().unwrap().unwrap();
    let _held = lock(&store);
    let at_once = LockRequest { timeout: Duration::ZERO, ..request("state push") };
    let error = store.push(Path::new("given.json"), &pulled, true, at_once, |_| {}).unwrap_err();
    assert!(matches!(error, StateError::Locked { alive: true, .. }), "{error}");
}
