//! A file of this machine at a path of a machine, whole or not at all.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

use super::process::{Intake, Process, Rest};
use super::remote::Use;
use super::{Rights, Script, Shell};
use crate::backend::{BackendError, ProgressSink};
use crate::event::Progress;
use crate::model::Digest;

/// How much goes out at once, in bytes.
const BLOCK: usize = 256 * 1024;
/// After how many bytes progress is told.
const TOLD: u64 = 1024 * 1024;
/// How long the machine may take nothing, or take to check and name the file.
const STALLED: Duration = Duration::from_secs(120);

/// Takes the file from standard input. The temporary name is the same for every attempt, so that one that was cut off
/// leaves nothing for ever.
///
/// It is whole when it has its length: what comes through `ssh` is what was sent, up to where it is cut off, and the
/// last of it is sent only after the digest of all of it was found to be right. So nothing is read twice, and the
/// machine, which may have slower means, digests nothing.
///
/// What an attempt before this one left running loses the name, and goes on writing to a file that has none any more.
/// It must not name what this one has written so far: only the file that it has open itself gets a name, and whoever
/// takes the temporary name or gives it away holds a lock on the folder, where there is `flock`.
const SCRIPT: &str = r#"
to=$1 temp=$2 folder=$3 mode=$4 size=$5
is_own() { [ "$temp" -ef /proc/self/fd/7 ]; }
fail() { printf '%s\n' "$2" >&2; ! is_own || rm -f -- "$temp"; exit "$1"; }
[ -d "$folder" ] || fail 20 "$folder is not a folder there"
[ ! -d "$to" ] || fail 20 "$to is a folder there"
umask 077
if command -v flock >/dev/null 2>&1 && command exec 8<"$folder"; then turn() { flock "$@" 8; }; else turn() { :; }; fi
turn
rm -f -- "$temp" || fail 20 "$temp cannot be removed"
free=$(df -P -k -- "$folder" 2>/dev/null | { read -r rest; read -r rest rest rest free rest; echo "$free"; })
need=$(((size + 1023) / 1024))
case $free in
  '' | *[!0-9]*) ;;
  *) [ "$free" -ge "$need" ] || fail 21 "$free kB are free in $folder, and $need kB are needed" ;;
esac
inodes=$(df -P -i -- "$folder" 2>/dev/null | { read -r rest; read -r rest all rest free rest; [ "$all" = 0 ] || echo "$free"; })
[ "$inodes" != 0 ] || fail 21 "no inode is free in $folder"
set -C
command exec 7>"$temp" || fail 20 "$temp cannot be made"
set +C
turn -u
echo ready
cat >&7 || fail 23 "$temp cannot be written"
got=$(wc -c </proc/self/fd/7) || fail 23 "$temp cannot be read"
[ "$got" -eq "$size" ] || fail 24 "$got of $size bytes arrived"
chmod "$mode" /proc/self/fd/7 || fail 20 "the mode cannot be set"
sync /proc/self/fd/7 2>/dev/null || sync
turn
is_own || fail 25 "another upload of it has begun"
mv -f -- "$temp" "$to" || fail 20 "it cannot be renamed"
turn -u
sync "$folder" 2>/dev/null || :
"#;

/// What goes where.
pub(super) struct Upload<'a> {
    pub(super) from: &'a Path,
    pub(super) to: &'a str,
    pub(super) mode: u32,
    pub(super) sha256: Digest,
}

pub(super) async fn upload(
    shell: &Shell,
    rights: Rights,
    what: &Upload<'_>,
    progress: &ProgressSink,
) -> Result<(), BackendError> {
    let unreadable =
        |error: std::io::Error| BackendError::new(format!("cannot upload {}: {error}", what.from.display()));
    let file = File::open(what.from).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    // What is added to it meanwhile is not of it.
    let mut file = file.take(size);
    let (folder, name) = what.to.rsplit_once('/').unwrap_or((".", what.to));
    let folder = if folder.is_empty() { "/" } else { folder };
    let temp = format!("{}/.{name}.orch-upload", folder.trim_end_matches('/'));
    // Of nothing, nothing can be held back.
    if size == 0 && what.sha256 != Digest::of(b"") {
        return Err(changed(shell, what));
    }
    let (mode, size_text) = (format!("{:o}", what.mode), size.to_string());
    let script = Script::new(SCRIPT, [what.to, &temp, folder, &mode, &size_text]);

    let mut process = shell.start(rights, Intake::Framed, Use::Script).await?;
    let told = async {
        let framed = script.framed();
        let mut stdin = process.stdin.take();
        if let Some(stdin) = &mut stdin {
            let _ = stdin.write_all(&framed).await;
            let _ = stdin.flush().await;
        }
        (process.begins().await, stdin)
    };
    let (has_begun, stdin) = tokio::time::timeout(STALLED, told).await.map_err(|_| stalled(shell, what))?;
    let Process { stdout, stderr, ending, .. } = process;
    let mut stdout = tokio::io::AsyncBufReadExt::lines(stdout);
    let rest = Rest::of(stderr, ending);
    // Not a byte goes out before the machine has said that there is room.
    let is_ready = has_begun && matches!(stdout.next_line().await, Ok(Some(line)) if line == "ready");
    let mut is_right = true;
    if let Some(mut stdin) = stdin.filter(|_| is_ready) {
        let (mut block, mut next) = (vec![0; BLOCK], vec![0; BLOCK]);
        let (mut sent, mut told) = (0, 0);
        tell(progress, what, "Uploading", 0, size);
        let mut hash = Sha256::new();
        let mut length = file.read(&mut block).map_err(unreadable)?;
        while length > 0 {
            hash.update(&block[..length]);
            let behind = file.read(&mut next).map_err(unreadable)?;
            if behind == 0 {
                is_right = Digest::new(hash.clone().finalize().into()) == what.sha256;
            }
            // Without the last of it the machine does not take it for whole.
            if !is_right {
                break;
            }
            let write = tokio::time::timeout(STALLED, stdin.write_all(&block[..length])).await;
            // Why the machine takes no more, it says itself.
            if write.map_err(|_| stalled(shell, what))?.is_err() {
                break;
            }
            sent += length as u64;
            if sent - told >= TOLD || sent == size {
                told = sent;
                tell(progress, what, "Uploading", sent, size);
            }
            std::mem::swap(&mut block, &mut next);
            length = behind;
        }
        let _ = stdin.shutdown().await;
    }
    let (ended, said) = tokio::time::timeout(STALLED, rest.end()).await.map_err(|_| stalled(shell, what))?;
    match ended {
        Ok(0) if is_ready => {
            tell(progress, what, "Uploaded", size, size);
            Ok(())
        }
        Ok(code) if !has_begun => Err(shell.refusal(rights, Some(code), &said)),
        Ok(_) if !is_right => Err(changed(shell, what)),
        Ok(code) => Err(failed(shell, what, code, &said)),
        Err(lost) => Err(shell.lost(lost, has_begun)),
    }
}

fn tell(progress: &ProgressSink, what: &Upload<'_>, status: &str, current: u64, total: u64) {
    let name = what.from.file_name().unwrap_or(what.from.as_os_str()).to_string_lossy().into_owned();
    let status = status.to_owned();
    progress.tell(Progress { what: name, part: None, status, current: Some(current), total: Some(total) });
}

fn failed(shell: &Shell, what: &Upload<'_>, code: i32, said: &str) -> BackendError {
    let Upload { from, to, .. } = what;
    let silent = format!("it exited {code} and does not say why");
    let last = said.lines().rfind(|line| !line.is_empty()).unwrap_or(&silent);
    let full = said.lines().find(|line| line.contains("No space left on device"));
    let last = full.unwrap_or(last);
    let error = BackendError::new(format!("cannot upload {} to {to} on {}: {last}", from.display(), shell.place));
    match code {
        _ if full.is_some() => error.with_hint("make room on the machine's disk and apply again"),
        21 => error.with_hint("make room on the machine's disk and apply again"),
        24 => error.with_hint("the file may have been changed while it was read: plan again"),
        _ => error,
    }
}

/// The file is another one than was planned.
fn changed(shell: &Shell, what: &Upload<'_>) -> BackendError {
    let (from, to, sha256) = (what.from.display(), what.to, what.sha256.short());
    let told = format!("cannot upload {from} to {to} on {}: its sha256 is no longer {sha256}", shell.place);
    BackendError::new(told).with_hint("the file was changed since: plan again")
}

fn stalled(shell: &Shell, what: &Upload<'_>) -> BackendError {
    let (from, to) = (what.from.display(), what.to);
    BackendError::new(format!("cannot upload {from} to {to} on {}: nothing moved for {STALLED:?}", shell.place))
}
