//! Commands inside containers, and their logs.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::process::Command as Process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use orch::backend::docker::{DockerBackend, DockerSettings};
use orch::backend::{Answer, BackendError, Command, ExecRequest, LogLine, LogQuery, Observer, Operator, Terminal};
use orch::model::{ObjectId, ProjectName, Text};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Runs the docker client; what it printed.
#[track_caller]
fn docker(args: &[&str]) -> String {
    let ran = Process::new("docker").args(args).output().unwrap();
    assert!(ran.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

/// An image with busybox, for as long as a test uses it.
struct Image(String);

impl Image {
    fn get() -> Arc<Self> {
        static IMAGE: Mutex<Weak<Image>> = Mutex::new(Weak::new());
        let mut kept = IMAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let image = kept.upgrade().unwrap_or_else(|| Arc::new(Self::make()));
        *kept = Arc::downgrade(&image);
        image
    }

    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = "mkdir bin etc tmp && cp /bin/busybox bin/ && bin/busybox --install bin \
            && echo root:x:0:0::/:/bin/sh > etc/passwd && echo user:x:7:7::/:/bin/sh >> etc/passwd \
            && tar c . | docker import -c 'ENV PATH=/bin' - \"$0\"";
        let name = format!("orch-inside:{}", std::process::id());
        let made = Process::new("sh").args(["-c", script, &name]).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Process::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

/// A container, removed when it is dropped.
struct Container {
    name: String,
    id: ObjectId,
    _image: Arc<Image>,
}

impl Container {
    fn new(options: &[&str], script: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let image = Image::get();
        let name = format!("orch-inside-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let run = ["run", "-d", "--name", &name, "--init", "--network", "none"];
        let all: Vec<&str> =
            run.iter().chain(options).chain(&[image.0.as_str(), "sh", "-c", script]).copied().collect();
        let id = ObjectId::new(format!("container/{}", docker(&all)));
        Self { name, id, _image: image }
    }

    fn idle() -> Self {
        Self::new(&["-e", "WHO=container"], "exec sleep 600")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Process::new("docker").args(["rm", "-f", &self.name]).output();
    }
}

fn backend() -> DockerBackend {
    DockerBackend::new(DockerSettings {
        project: ProjectName::new("inside").unwrap(),
        scope: "test".to_owned(),
        env: BTreeMap::new(),
        hosts: BTreeSet::from([None]),
        known: BTreeMap::new(),
        pending: BTreeMap::new(),
    })
}

async fn probe(container: &Container, argv: &[&str], timeout: Duration) -> Result<Answer, BackendError> {
    let argv: Vec<Text> = argv.iter().map(|text| Text::plain(*text)).collect();
    let command = Command { program: &argv[0], args: &argv[1..], timeout };
    Ok(backend().probe_inside(&container.id, &command).await?.unwrap())
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_probe_runs_in_the_container_and_tells_its_exit_code_and_its_last_words() {
    let container = Container::idle();
    let answer = probe(&container, &["sh", "-c", "echo I am $WHO; echo bad >&2; exit 3"], LONG).await.unwrap();
    assert_eq!(answer.exit_code, 3);
    assert!(answer.output.contains("I am container\n") && answer.output.contains("bad\n"), "{answer:?}");
    let answer = probe(&container, &["sh", "-c", "yes | head -c 300000; echo end"], LONG).await.unwrap();
    assert_eq!(answer.exit_code, 0);
    assert!(answer.output.ends_with("y\nend\n") && answer.output.len() <= 8192, "{} bytes", answer.output.len());
    // What it left behind does not hold it up.
    let answer = probe(&container, &["sh", "-c", "sleep 500 & exit 7"], LONG).await.unwrap();
    assert_eq!(answer.exit_code, 7);
}

#[tokio::test]
async fn a_probe_that_cannot_run_says_why() {
    let container = Container::idle();
    let error = probe(&container, &["no-such-tool"], LONG).await.unwrap_err().message;
    assert!(error.contains("executable file not found in $PATH") && !error.contains("OCI"), "{error}");
    let error = probe(&container, &["sleep", "500"], Duration::from_millis(300)).await.unwrap_err().message;
    assert_eq!(error, "no answer within 300ms; it may run on in the container, where nothing can end it");
    docker(&["stop", "-t", "1", &container.name]);
    let error = probe(&container, &["true"], LONG).await.unwrap_err();
    assert!(error.message.contains("is not running") && error.hint.is_some(), "{error:?}");
}

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl AsyncWrite for Kept {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Stdin = Pin<Box<dyn AsyncRead + Send>>;

fn request(argv: &[&str], stdin: Option<Stdin>) -> (ExecRequest, Kept, Kept) {
    let (out, err) = (Kept::default(), Kept::default());
    let request = ExecRequest {
        argv: argv.iter().map(ToString::to_string).collect(),
        user: None,
        working_dir: None,
        env: Vec::new(),
        stdin,
        stdout: Box::pin(out.clone()),
        stderr: Box::pin(err.clone()),
        terminal: None,
    };
    (request, out, err)
}

async fn exec(container: &Container, request: (ExecRequest, Kept, Kept)) -> (i32, String, String) {
    let (request, out, err) = request;
    let code = backend().exec(&container.id, request).await.unwrap();
    (code, out.text(), err.text())
}

#[tokio::test]
async fn a_command_has_its_streams_its_user_its_folder_and_its_environment() {
    let container = Container::idle();
    let (mut asked, out, err) = request(&["sh", "-c", "echo $(id -u) $PWD $WHO $MORE; echo oops >&2; exit 42"], None);
    asked.user = Some("user".to_owned());
    asked.working_dir = Some("/tmp".to_owned());
    asked.env = vec![("MORE".to_owned(), "a=b c".to_owned())];
    let (code, out, err) = exec(&container, (asked, out, err)).await;
    assert_eq!((code, out.as_str(), err.as_str()), (42, "7 /tmp container a=b c\n", "oops\n"));
}

#[tokio::test]
async fn input_is_passed_on_to_its_end() {
    let container = Container::idle();
    let input = "line\n".repeat(100_000);
    let stdin: Stdin = Box::pin(std::io::Cursor::new(input.clone().into_bytes()));
    let (code, out, _) = exec(&container, request(&["sh", "-c", "cat; echo the end"], Some(stdin))).await;
    assert_eq!(code, 0);
    assert!(out == input + "the end\n", "{} bytes", out.len());
    // One that does not read all of it ends all the same.
    let stdin: Stdin = Box::pin(tokio::io::repeat(b'x'));
    assert_eq!(exec(&container, request(&["true"], Some(stdin))).await.0, 0);
    // Without input there is nothing to wait for.
    assert_eq!(exec(&container, request(&["cat"], None)).await, (0, String::new(), String::new()));
}

#[tokio::test]
async fn what_cannot_be_started_has_the_exit_codes_of_a_shell() {
    let container = Container::idle();
    for (argv, user, code, says) in [
        (&["no-such-tool"][..], None, 127, "executable file not found in $PATH"),
        (&["/etc/passwd"], None, 126, "permission denied"),
        (&["true"], Some("nobody"), 126, "unable to find user nobody"),
    ] {
        let (mut asked, out, err) = request(argv, None);
        asked.user = user.map(str::to_owned);
        let (found, out, err) = exec(&container, (asked, out, err)).await;
        assert_eq!((found, out.as_str()), (code, ""));
        assert!(
            err.starts_with(&format!("cannot run `{}` in the container: ", argv[0])) && err.contains(says),
            "{err}"
        );
    }
    let own = exec(&container, request(&["sh", "-c", "printf 'mine\\r\\n'; exit 127"], None)).await;
    assert_eq!(own, (127, "mine\r\n".to_owned(), String::new()));
}

#[tokio::test]
async fn a_terminal_has_the_size_of_the_callers() {
    let container = Container::idle();
    let (ours, theirs) = tokio::io::duplex(64);
    let (mut asked, out, err) =
        request(&["sh", "-c", "test -t 0 && test -t 1 && echo ready; while read x; do stty size; done"], None);
    let (size, receiver) = tokio::sync::watch::channel((101, 31));
    asked.terminal = Some(Terminal { size: receiver });
    asked.stdin = Some(Box::pin(theirs));
    let shown = out.clone();
    let ended = tokio::spawn(async move {
        let backend = backend();
        let code = backend.exec(&container.id, asked).await.unwrap();
        drop((err, container));
        code
    });
    let (_, mut ours) = tokio::io::split(ours);
    until(&shown, "ready\r\n").await;
    // The size comes a moment after the command: asked until it is there.
    ask_until(&mut ours, &shown, "31 101\r\n").await;
    size.send((55, 22)).unwrap();
    ask_until(&mut ours, &shown, "22 55\r\n").await;
    // Ctrl-D.
    ours.write_all(b"\x04").await.unwrap();
    assert_eq!(ended.await.unwrap(), 0);
}

async fn until(shown: &Kept, text: &str) {
    let found = async {
        while !shown.text().contains(text) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, found).await.unwrap_or_else(|_| panic!("no {text:?} in {:?}", shown.text()));
}

async fn ask_until(input: &mut (impl AsyncWrite + Unpin), shown: &Kept, text: &str) {
    let asked = async {
        while !shown.text().contains(text) {
            input.write_all(b"\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, asked).await.unwrap_or_else(|_| panic!("no {text:?} in {:?}", shown.text()));
}

async fn lines(container: &Container, query: LogQuery) -> Vec<LogLine> {
    let stream = backend().stream_log(&container.id, query).await.unwrap().unwrap();
    stream.map(Result::unwrap).collect().await
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[tokio::test]
async fn a_log_is_read_whole_in_part_and_by_time() {
    let script = "echo one; echo two >&2; sleep 1.1; printf 'a\\377b\\n'; head -c 40000 /dev/zero | tr '\\0' x; echo; echo -n end";
    for options in [&[][..], &["-t"], &["--log-driver", "local"]] {
        let container = Container::new(options, script);
        docker(&["wait", &container.name]);
        let all = lines(&container, LogQuery::default()).await;
        let long = "x".repeat(40000);
        let mut found = texts(&all);
        found[..2].sort_unstable();
        assert_eq!(found, ["one", "two", "a\u{fffd}b", &long, "end"], "{options:?}");
        assert!(all.iter().all(|line| line.at.is_some()));
        let since = LogQuery { since: all[2].at, ..LogQuery::default() };
        assert_eq!(lines(&container, since).await, all[2..], "{options:?}");
        let last = LogQuery { lines: Some(1), ..LogQuery::default() };
        assert_eq!(texts(&lines(&container, last).await), ["end"]);
        assert_eq!(backend().tail(&container.id, 1).await.unwrap(), ["end"]);
        let none = LogQuery { lines: Some(0), ..LogQuery::default() };
        assert_eq!(lines(&container, none).await, []);
    }
}

#[tokio::test]
async fn a_log_is_followed_over_a_restart_until_the_container_is_removed() {
    let container = Container::new(&["--stop-signal", "KILL"], "echo up since $(cat /proc/uptime); exec sleep 600");
    let query = LogQuery { follow: true, ..LogQuery::default() };
    let mut log = backend().stream_log(&container.id, query).await.unwrap().unwrap();
    let first = log.next().await.unwrap().unwrap();
    assert!(first.text.starts_with("up since"), "{first:?}");
    docker(&["restart", &container.name]);
    let second = tokio::time::timeout(LONG, log.next()).await.unwrap().unwrap().unwrap();
    assert!(second.text.starts_with("up since") && second.at > first.at, "{second:?}");
    docker(&["rm", "-f", &container.name]);
    assert!(tokio::time::timeout(LONG, log.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_log_that_cannot_be_read_says_so() {
    let container = Container::new(&["--log-driver", "none"], "exec sleep 600");
    let stream = backend().stream_log(&container.id, LogQuery::default()).await.unwrap().unwrap();
    let found: Vec<Result<LogLine, BackendError>> = stream.collect().await;
    let [Err(error)] = &found[..] else { panic!("{found:?}") };
    assert!(error.message.contains("does not support reading"), "{error:?}");
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("json-file")), "{error:?}");
    let missing = ObjectId::new(format!("container/{}", "0".repeat(64)));
    let error = backend().stream_log(&missing, LogQuery::default()).await.map(drop).unwrap_err();
    assert!(error.message.ends_with("is gone"), "{error:?}");
}

#[tokio::test]
async fn nothing_is_read_ahead_of_who_asks() {
    // The reader of the duplex sees the first line while the command still runs.
    let container = Container::idle();
    let (ours, theirs) = tokio::io::duplex(1024);
    let (mut asked, _, err) = request(&["sh", "-c", "echo first; read x; echo $x"], None);
    let (stdin, answer) = tokio::io::duplex(64);
    asked.stdout = Box::pin(theirs);
    asked.stdin = Some(Box::pin(stdin));
    let ended = tokio::spawn(async move {
        let code = backend().exec(&container.id, asked).await.unwrap();
        drop((err, container));
        code
    });
    let (mut ours, mut answer) = (ours, answer);
    let mut seen = [0; 6];
    ours.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"first\n");
    answer.write_all(b"second\n").await.unwrap();
    let mut rest = String::new();
    ours.read_to_string(&mut rest).await.unwrap();
    assert_eq!((rest.as_str(), ended.await.unwrap()), ("second\n", 0));
}
