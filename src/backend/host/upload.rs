//! A file of this machine at a path of a machine, whole or not at all.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::process::{Intake, Process, complaint};
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

/// Takes the file from standard input. The temporary name is the same for every attempt, so that one that was
/// cut off leaves nothing for ever; whatever cannot be written makes the digest another one.
const SCRIPT: &str = r#"
to=$1 temp=$2 folder=$3 mode=$4 size=$5 sum=$6
fail() { printf '%s\n' "$2" >&2; rm -f -- "$temp"; exit "$1"; }
[ -d "$folder" ] || fail 20 "$folder is not a folder there"
[ ! -d "$to" ] || fail 20 "$to is a folder there"
umask 077
rm -f -- "$temp" || fail 20 "$temp cannot be removed"
free=$(df -P -k -- "$folder" 2>/dev/null | { read -r rest; read -r rest rest rest free rest; echo "$free"; })
need=$(((size + 1023) / 1024))
case $free in
  '' | *[!0-9]*) ;;
  *) [ "$free" -ge "$need" ] || fail 21 "$free kB are free in $folder, and $need kB are needed" ;;
esac
inodes=$(df -P -i -- "$folder" 2>/dev/null | { read -r rest; read -r rest all rest free rest; [ "$all" = 0 ] || echo "$free"; })
[ "$inodes" != 0 ] || fail 21 "no inode is free in $folder"
if command -v sha256sum >/dev/null 2>&1; then hash() { sha256sum; }
elif command -v shasum >/dev/null 2>&1; then hash() { shasum -a 256; }
elif command -v openssl >/dev/null 2>&1; then hash() { openssl dgst -sha256 -r; }
else fail 22 "there is no sha256sum, shasum or openssl there"
fi
(set -C; : >"$temp") || fail 20 "$temp cannot be made"
echo ready
cat >"$temp" || fail 23 "$temp cannot be written"
got=$(hash <"$temp") || fail 23 "$temp cannot be read"
[ "${got%% *}" = "$sum" ] || fail 24 "what arrived has the sha256 ${got%% *}"
chmod "$mode" "$temp" || fail 20 "the mode cannot be set"
sync "$temp" 2>/dev/null || sync
mv -f -- "$temp" "$to" || fail 20 "it cannot be renamed"
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
    let mut file = File::open(what.from).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let (folder, name) = what.to.rsplit_once('/').unwrap_or((".", what.to));
    let folder = if folder.is_empty() { "/" } else { folder };
    let temp = format!("{}/.{name}.orch-upload", folder.trim_end_matches('/'));
    let (mode, size_text, sum) = (format!("{:o}", what.mode), size.to_string(), what.sha256.to_string());
    let script = Script::new(SCRIPT, [what.to, &temp, folder, &mode, &size_text, &sum]);

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
    let stderr = tokio::spawn(complaint(stderr));
    // Not a byte goes out before the machine has said that there is room.
    let is_ready = has_begun && matches!(stdout.next_line().await, Ok(Some(line)) if line == "ready");
    if let Some(mut stdin) = stdin.filter(|_| is_ready) {
        let mut block = vec![0; BLOCK];
        let (mut sent, mut told) = (0, 0);
        tell(progress, what, 0, size);
        loop {
            let read = file.read(&mut block).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            let write = tokio::time::timeout(STALLED, stdin.write_all(&block[..read])).await;
            // Why the machine takes no more, it says itself.
            if write.map_err(|_| stalled(shell, what))?.is_err() {
                break;
            }
            sent += read as u64;
            if sent - told >= TOLD || sent == size {
                told = sent;
                tell(progress, what, sent, size);
            }
        }
        let _ = stdin.shutdown().await;
    }
    let ended = tokio::time::timeout(STALLED, ending.wait()).await.map_err(|_| stalled(shell, what))?;
    let said = stderr.await.unwrap_or_default();
    match ended {
        Ok(0) if is_ready => Ok(()),
        Ok(code) if !has_begun => Err(shell.refusal(rights, Some(code), &said)),
        Ok(code) => Err(failed(shell, what, code, &said)),
        Err(lost) => Err(shell.lost(lost, has_begun)),
    }
}

fn tell(progress: &ProgressSink, what: &Upload<'_>, current: u64, total: u64) {
    let name = what.from.file_name().unwrap_or(what.from.as_os_str()).to_string_lossy().into_owned();
    let status = "Uploading".to_owned();
    progress.tell(Progress { what: name, part: None, status, current: Some(current), total: Some(total) });
}

fn failed(shell: &Shell, what: &Upload<'_>, code: i32, said: &str) -> BackendError {
    let Upload { from, to, .. } = what;
    let last = said.lines().rfind(|line| !line.is_empty()).unwrap_or("it does not say why");
    let full = said.lines().find(|line| line.contains("No space left on device"));
    let last = full.unwrap_or(last);
    let error = BackendError::new(format!("cannot upload {} to {to} on {}: {last}", from.display(), shell.place));
    match code {
        _ if full.is_some() => error.with_hint("make room on the machine's disk and apply again"),
        21 => error.with_hint("make room on the machine's disk and apply again"),
        22 => error.with_hint("install coreutils there"),
        24 => error.with_hint("the file may have been changed while it was read: plan again"),
        _ => error,
    }
}

fn stalled(shell: &Shell, what: &Upload<'_>) -> BackendError {
    let (from, to) = (what.from.display(), what.to);
    BackendError::new(format!("cannot upload {from} to {to} on {}: nothing moved for {STALLED:?}", shell.place))
}
