//! `orch logs` and `orch exec` on containers, and checks that run inside them.

use std::fs::File;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Deployment, Ran, Running, wait_until};

const ORCH: &str = env!("CARGO_BIN_EXE_orch");

fn service(name: &str, command: &str, more: &str) -> String {
    let backend = format!("{{type: docker, image: \"orch-test/web:1\", command: [web, {command}], stop_timeout: 1s}}");
    format!("  {name}:\n    backend: {backend}\n{more}")
}

fn up(services: &[String]) -> Deployment {
    let shop = Deployment::new(&format!("services:\n{}", services.concat()));
    shop.apply();
    shop
}

/// Runs a shell command that calls orch as `$ORCH`, in the folder and the environment of the project.
#[track_caller]
fn shell(shop: &Deployment, line: &str) -> Running {
    let orch = shop.command(&[]);
    let env = orch.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut sh = Command::new("sh");
    sh.args(["-c", line]).env_clear().envs(env).env("ORCH", ORCH).env("TERM", "xterm");
    sh.current_dir(shop.path("")).stdin(Stdio::null());
    shop.spawn(sh, &[line])
}

/// The same on a terminal, on which nothing is typed.
#[track_caller]
fn on_terminal(shop: &Deployment, script: &str) -> Running {
    shop.write("on-terminal", script);
    shell(shop, "sleep 600 | script -qec 'sh on-terminal' /dev/null & wait $!")
}

#[test]
fn the_log_of_a_container_is_read_as_that_of_a_process() {
    let shop = up(&[service("web", "lines, \"5\"", "    replicas: 2\n")]);
    shop.orch(&["logs", "web"]).exits(1).says(&["`web` has several instances", "name one: web[0], web[1]"]);
    wait_until("all is logged", || shop.orch(&["logs", "web[1]"]).ok().out.lines().count() == 6);
    let all = shop.orch(&["logs", "web[1]"]).ok().out;
    assert!(all.contains("line 1\nline 2\nline 3\nline 4\nline 5\n") && all.contains("a word to stderr\n"), "{all}");
    assert_eq!(shop.orch(&["logs", "web[1]", "-n", "2"]).ok().out.lines().count(), 2);
    assert_eq!(shop.orch(&["logs", "web[1]", "--since", "1h"]).ok().out, all);
    assert_eq!(shop.orch(&["logs", "web[1]", "--since", "2099-01-01T00:00:00Z"]).ok().out, "");
    let stamped = shop.orch(&["logs", "web[0]", "-n", "1", "--timestamps"]).ok().out;
    assert!(stamped.starts_with("20") && stamped.contains("Z "), "{stamped}");
}

#[test]
fn a_followed_log_ends_with_a_signal_with_its_reader_and_with_its_container() {
    let shop = up(&[service("web", "lines, \"1\"", "")]);
    let mut signalled = shop.start(&["logs", "web", "-f"]);
    signalled.until("line 1");
    signalled.signal(Signal::INT);
    signalled.end().ok();
    // Nothing more is logged, so only a look at the pipe tells that nobody reads it.
    assert_eq!(shell(&shop, "$ORCH logs web -f | head -n 1 >/dev/null; echo over").end().ok().out, "over\n");
    let mut removed = shop.start(&["logs", "web", "-f"]);
    removed.until("line 1");
    shop.orch(&["destroy", "--auto-approve"]).ok();
    removed.end().ok();
}

#[test]
fn a_command_runs_in_a_container_and_its_exit_code_is_orchs() {
    let process = "  local:\n    backend: {type: process, binary: sleep, args: [\"600\"]}\n".to_owned();
    let shop = up(&[service("web", "wait", "    replicas: 2\n"), process]);
    let exec = |args: &[&str]| -> Ran { shop.orch(&[&["exec"], args].concat()) };
    let ran = exec(&["web[1]", "--", "sh", "-c", "echo out; echo err >&2; exit 42"]).exits(42);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"));
    let script = "id -u; echo $PWD $A $HOME";
    let ran = exec(&["web[0]", "-u", "web", "-w", "/www", "-e", "A=b c", "-e", "HOME", "sh", "-c", script]).ok();
    let home = shop.outer().join("home");
    assert_eq!(ran.out, format!("1000\n/www b c {}\n", home.display()));
    exec(&["web", "true"]).exits(1).says(&["`web` has several instances"]);
    exec(&["web[0]", "no-such-tool"]).exits(127).says(&["cannot run `no-such-tool`", "executable file not found"]);
    exec(&["web[0]", "-u", "nobody", "true"]).exits(126).says(&["unable to find user nobody"]);
    exec(&["web[0]", "-e", "NOT_SET_HERE", "true"]).exits(1).says(&["no variable `NOT_SET_HERE`"]);
    exec(&["local", "true"]).exits(1).says(&["local has no inside", "in your own shell"]);
    exec(&["wbe", "true"]).exits(1).says(&["there is no service `wbe`"]);
    shop.orch(&["stop", "local"]).ok();
    shop.orch(&["stop", "web"]).ok();
    exec(&["web[0]", "true"]).exits(1).says(&["web[0] is", "`orch start web[0]` starts it"]);
}

#[test]
fn input_is_passed_on_only_when_it_is_asked_for() {
    let shop = up(&[service("web", "wait", "")]);
    let with = |args: &[&str]| {
        let mut command = shop.command(args);
        command.stdin(File::open(shop.write("input", "one\ntwo\n")).unwrap());
        shop.spawn(command, args).end().ok().out
    };
    assert_eq!(with(&["exec", "-i", "web", "--", "cat"]), "one\ntwo\n");
    assert_eq!(with(&["exec", "web", "--", "cat"]), "");
    let piped = shell(&shop, "$ORCH exec web -- busybox yes | head -n 1; echo over").end().ok();
    assert_eq!(piped.out, "y\nover\n");
}

#[test]
fn a_terminal_is_passed_through_and_left_as_it_was() {
    let shop = up(&[service("web", "wait", "")]);
    let mut ended = on_terminal(
        &shop,
        "stty cols 120 rows 30; stty -g > before
         $ORCH exec web -- sh -c 'test -t 0 && echo a terminal; busybox stty size; exit 9'
         echo code $?; stty -g > after
         $ORCH exec -T web -- sh -c 'test -t 1 || echo no terminal'",
    );
    ended.until("no terminal");
    let said = ended.out();
    assert!(said.contains("a terminal\r\n30 120\r\ncode 9\r\n"), "{said:?}");
    assert_eq!(shop.read("before"), shop.read("after"));
}

#[test]
fn a_signal_puts_the_terminal_back_and_its_size_is_followed() {
    let shop = up(&[service("web", "wait", "")]);
    let mut running = on_terminal(
        &shop,
        "stty cols 120 rows 30; stty -g > before
         $ORCH exec web -- sh -c 'while :; do busybox stty size; sleep 0.1; done' < /dev/tty & pid=$!
         until stty -a | grep -q -e -icanon; do sleep 0.02; done
         until [ -e resize ]; do sleep 0.02; done
         stty cols 77 rows 22
         until [ -e end ]; do sleep 0.02; done
         kill -TERM $pid; wait $pid; echo code $?; stty -g > after; echo over",
    );
    running.until("30 120");
    shop.write("resize", "");
    running.until("22 77");
    shop.write("end", "");
    running.until("over");
    let said = running.out();
    assert!(said.contains("Interrupted") && said.contains("code 6"), "{said:?}");
    assert_eq!(shop.read("before"), shop.read("after"));
}

#[test]
fn a_check_of_type_command_runs_inside_when_applied_planned_and_looked_at() {
    let check = |arg: &str| {
        let check = format!("{{type: command, command: cat, args: [{arg}], interval: 100ms, retries: 1}}");
        format!("    health_check: {check}\n")
    };
    // There is no such file on this machine.
    let shop = up(&[service("web", "wait", &check("/www/version"))]);
    assert_eq!(shop.row("web")["healthy"], true);
    shop.orch(&["plan"]).ok().says(&["No changes"]);
    shop.engine().docker(&["exec", &shop.container("web"), "rm", "/www/version"]);
    shop.orch(&["status", "web"]).ok().says(&["cat exited 1"]);
    shop.plans(&[], &["web restart"]);
    shop.yaml(&format!("services:\n{}", service("web", "wait", &check("/nowhere"))));
    let missed = Deployment::new(&format!("services:\n{}", service("web", "wait", &check("/nowhere"))));
    missed.orch(&["apply", "--auto-approve"]).exits(5).says(&["cat exited 1: cat: can't open '/nowhere'"]);
}

#[test]
fn a_check_of_type_backend_waits_for_the_engines_own_and_is_not_doubted_while_it_is_young() {
    let check = "    health_check: {type: backend, test: [CMD, cat, /www/ready], interval: 1s, retries: 3}\n";
    let script = "sh, -c, \"sleep 1; echo yes > /www/ready; web wait\"";
    let shop = up(&[service("web", script, check)]);
    assert_eq!(shop.row("web")["healthy"], true);
    shop.orch(&["plan"]).ok().says(&["No changes"]);
    // The engine knows nothing of its health for a second now, which is no reason to restart it.
    shop.engine().docker(&["restart", "-t", "0", &shop.container("web")]);
    shop.plans(&[], &[]);
}
