//! Runs against a real folder: killed ones, concurrent ones, and what they leave.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Leaves the folder as a kill would: without a finish, with a torn line, and the lock's text of a
/// process that is dead.
fn killed_run(store: &Store) {
    let writer = lock(store).begin_run(header(RUN, Some("plan"), 3)).unwrap();
    wait(async {
        writer.begin(1, &address("db"), pending(1)).await.unwrap();
        writer.end(put(1, "db")).await.unwrap();
        writer.begin(2, &address("api"), pending(2)).await.unwrap();
    });
    drop(writer);
    let mut journal = read(&store.journal_path());
    journal.extend_from_slice(b"{\"sum\":\"0123");
    write(&store.journal_path(), &journal);
}

#[test]
fn a_run_is_recorded_and_read_back() {
    let (_folder, store) = store();
    assert_eq!(store.read().unwrap(), State::default());
    assert!(!store.dir().exists(), "reading made the folder");
    let state = apply(&store, RUN, &["db", "api"]);
    assert_eq!((state.serial, state.lineage.len(), state.records.len()), (1, 32, 2));
    assert_eq!(state.project.as_ref().unwrap().as_str(), "shop");
    assert_eq!(store.read().unwrap(), state);
    let second = apply(&store, "20261121T053300Z-3f9a1d", &["web"]);
    assert_eq!((second.serial, second.records.len(), &second.lineage), (2, 3, &state.lineage));
    assert_eq!(store.read().unwrap(), second);
}

#[test]
fn what_a_killed_run_left_is_read_folded_once_and_keeps_its_serial() {
    let (_folder, store) = store();
    killed_run(&store);
    let seen = store.read().unwrap();
    assert_eq!((seen.serial, seen.records.len(), seen.pending.len()), (1, 1, 1));
    let locked = lock(&store);
    assert_eq!(locked.state(), &seen, "a plan made before the recovery would be stale after it");
    assert_eq!(locked.recovered(), Some(RUN));
    drop(locked);
    assert_eq!(lock(&store).recovered(), None);
    assert_eq!(store.read().unwrap(), seen, "the intent without an end was lost by folding");

    let writer = lock(&store).begin_run(header("20261121T053300Z-3f9a1d", Some("plan"), 3)).unwrap();
    wait(async {
        writer.begin(2, &address("api"), pending(2)).await.unwrap();
        writer.end(put(2, "api")).await.unwrap();
        writer.begin(3, &address("web"), pending(3)).await.unwrap();
        writer.end(put(3, "web")).await.unwrap();
    });
    let state = writer.finish("succeeded", at()).unwrap();
    assert_eq!((state.pending.len(), state.records.len(), state.serial), (0, 3, 2));
    assert_eq!((state.applied.len(), state.applied[0].complete), (1, true));
}

#[test]
fn a_crash_between_state_and_journal_folds_nothing_twice() {
    let (_folder, store) = store();
    apply(&store, RUN, &["db"]);
    let writer = lock(&store).begin_run(header("20261121T053300Z-3f9a1d", None, 1)).unwrap();
    wait(async {
        writer.begin(1, &address("api"), pending(1)).await.unwrap();
        writer.end(put(1, "api")).await.unwrap();
    });
    let journal = read(&store.journal_path());
    let state = writer.finish("succeeded", at()).unwrap();
    drop(writer);
    write(&store.journal_path(), &journal);
    assert_eq!(store.read().unwrap(), state);
    assert_eq!(lock(&store).state(), &state);
    let next = apply(&store, "20261121T053400Z-3f9a1e", &["web"]);
    assert_eq!((next.serial, next.records.len()), (3, 3));
}

#[test]
fn a_run_whose_state_cannot_be_written_is_folded_by_the_next() {
    let (_folder, store) = store();
    let before = apply(&store, RUN, &["db"]);
    let writer = lock(&store).begin_run(header("20261121T053300Z-3f9a1d", None, 1)).unwrap();
    wait(async {
        writer.begin(1, &address("api"), pending(1)).await.unwrap();
        writer.end(put(1, "api")).await.unwrap();
    });
    let blocked = store.dir().join("state.json.tmp");
    std::fs::create_dir(&blocked).unwrap();
    let error = writer.finish("succeeded", at()).unwrap_err();
    assert!(error.to_string().contains("state.json.tmp"), "{error}");
    assert!(store.lock(request("apply"), |_| {}).is_err());
    let seen = store.read().unwrap();
    assert_eq!((seen.records.len(), seen.serial), (2, before.serial + 1));
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(lock(&store).state(), &seen);
}

#[test]
fn an_end_is_only_taken_by_an_open_run() {
    let (_folder, store) = store();
    let writer = lock(&store).begin_run(header(RUN, None, 0)).unwrap();
    writer.finish("succeeded", at()).unwrap();
    assert!(matches!(wait(writer.end(put(1, "db"))), Err(StateError::RunEnded(_))));
    assert!(matches!(writer.finish("succeeded", at()), Err(StateError::RunEnded(_))));
    lock(&store);
}

#[test]
fn a_run_that_changed_nothing_leaves_state_and_backup_alone() {
    let (_folder, store) = store();
    apply(&store, RUN, &["db"]);
    apply(&store, "20261121T053300Z-3f9a1d", &["api"]);
    let backup = crate::sys::beside(&store.state_path(), "backup");
    let before = (read(&store.state_path()), read(&backup));
    let state = apply(&store, "20261121T053400Z-3f9a1e", &[]);
    assert_eq!((read(&store.state_path()), read(&backup)), before);
    assert_eq!(apply(&store, "20261121T053500Z-3f9a1f", &["web"]).serial, state.serial + 1);
}

#[test]
fn concurrent_steps_are_all_durable_and_readers_see_a_prefix() {
    let (_folder, store) = store();
    let writer = shared(lock(&store).begin_run(header(RUN, None, 64)).unwrap());
    let reading = std::thread::spawn({
        let store = store.clone();
        move || (0..50).map(|_| store.read().unwrap().records.len()).collect::<Vec<_>>()
    });
    let tasks = (0..8).map(|task| {
        let writer = writer.clone();
        async move {
            for step in (task * 8 + 1)..=(task * 8 + 8) {
                let name = format!("s{step}");
                writer.begin(step, &address(&name), pending(step)).await.unwrap();
                writer.end(put(step, &name)).await.unwrap();
            }
        }
    });
    wait(together(tasks));
    let state = writer.finish("succeeded", at()).unwrap();
    assert_eq!((state.records.len(), state.pending.len(), state.serial), (64, 0, 1));
    assert!(reading.join().unwrap().is_sorted());
    assert_eq!(store.read().unwrap(), state);
}

#[test]
fn readers_never_see_a_folded_run_go_missing() {
    let (_folder, store) = store();
    apply(&store, RUN, &["s0"]);
    let reading = std::thread::spawn({
        let store = store.clone();
        move || {
            let mut last = 0;
            while last < 20 {
                let seen = store.read().unwrap().records.len();
                assert!(seen >= last, "{seen} records after {last}");
                last = seen;
            }
        }
    });
    for n in 1..20 {
        apply(&store, "20261121T053300Z-3f9a1d", &[&format!("s{n}")]);
    }
    reading.join().unwrap();
}

#[test]
fn the_files_are_for_their_owner_only() {
    let (_folder, store) = store();
    store.ensure_key().unwrap();
    apply(&store, RUN, &["db"]);
    apply(&store, "20261121T053300Z-3f9a1d", &["api"]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.dir()), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(store.dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["digest.key", "journal.ndjson", "lock", "state.json", "state.json.backup"]);
}

#[test]
fn everyone_gets_the_same_key() {
    let (_folder, store) = store();
    assert!(store.key().unwrap().is_none());
    let keys: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| store.ensure_key().unwrap())).collect();
        threads.into_iter().map(|thread| *thread.join().unwrap().as_bytes()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0] && key.iter().any(|byte| *byte != 0)));
    assert_eq!(store.key().unwrap().unwrap().as_bytes(), &keys[0]);
    assert_eq!(std::fs::read_dir(store.dir()).unwrap().count(), 1);
    write(&store.dir().join("digest.key"), b"not a key");
    assert!(matches!(store.ensure_key(), Err(StateError::KeyDamaged { .. })));
}

#[test]
fn what_a_kill_left_half_written_is_swept() {
    let (_folder, store) = store();
    apply(&store, RUN, &["db"]);
    for name in ["state.json.tmp", "state.json.backup.tmp", "journal.ndjson.412.tmp"] {
        write(&store.dir().join(name), b"half");
    }
    write(&store.dir().join("notes.tmp"), b"the user's own");
    drop(lock(&store));
    let left = std::fs::read_dir(store.dir()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".tmp")
    });
    assert_eq!(left.count(), 1);
}

#[test]
fn the_double_keeps_what_the_writer_would() {
    let base = State { lineage: "lineage".into(), ..State::default() };
    let double = MemoryIntents::new(base).with_room(3);
    wait(async {
        double.begin(1, &address("db"), pending(1)).await.unwrap();
        double.end(put(1, "db")).await.unwrap();
        double.begin(2, &address("api"), pending(2)).await.unwrap();
        assert!(double.end(put(2, "api")).await.is_err());
    });
    let state = double.state();
    assert_eq!((state.records.len(), state.pending.len(), state.serial), (1, 1, 1));
    assert_eq!(double.entries().len(), 3);
}
