//! Secrets reach the containers and nothing else.

use super::Stack;
use crate::support::files_below;

#[test]
fn a_secret_is_nowhere_but_in_its_container() {
    let file = "services:
  a:
    image: orch-test/web:1
    command: [sh, -c, 'trap \"exit 0\" TERM; echo ${API_TOKEN} >/dev/null; sleep 1000 & wait $$!']
    stop_grace_period: 2s
    environment: {DB_PASSWORD: '${DB_PASSWORD}', PLAIN: '${PLAIN}', URL: 'db://me:${URL_PART}@db/x'}
";
    let more = ", env_file: values.env, env: {DB_PASSWORD: swordfish-1, URL_PART: swordfish-3, PLAIN: seen}";
    let stack = Stack::new(file, more);
    stack.write("values.env", "API_TOKEN=swordfish-2\n");
    let planned = stack.orch(&["plan", "--out", "change.plan"]).exits(0);
    let planned =
        planned.says(&["services.a.environment.PLAIN: \"seen\"", "services.a.environment.DB_PASSWORD: (sensitive)"]);
    let mut shown = vec![planned.out.clone(), planned.err.clone(), stack.read("change.plan")];

    // Every process that Compose becomes says what it was started with.
    let real = format!("{}/bin/docker-compose", super::tools());
    let seen = stack.path("arguments");
    let wrapped = format!("#!/bin/sh\necho \"$@\" >>{}\nexec {real} \"$@\"\n", seen.display());
    let wrapper = stack.script("wrapped/docker-compose", &wrapped);
    for command in
        [&["apply", "--auto-approve", "change.plan"][..], &["status"], &["plan", "--json"], &["logs", "stack"]]
    {
        let mut orch = stack.command(command);
        orch.env("ORCH_COMPOSE", &wrapper);
        let ran = stack.spawn(orch, command).end().exits(0);
        shown.extend([ran.out, ran.err]);
    }
    assert_eq!(stack.variable("a", "DB_PASSWORD"), "swordfish-1");
    assert_eq!(stack.variable("a", "URL"), "db://me:swordfish-3@db/x");
    assert!(stack.found("a")[0]["Config"]["Cmd"].to_string().contains("swordfish-2"));
    let arguments = stack.read("arguments");
    assert!(arguments.contains("config") && arguments.contains("up"), "{arguments}");
    shown.push(arguments);
    for text in &shown {
        assert!(!text.contains("swordfish"), "{text}");
    }
    for (file, content) in files_below(&stack.path(".orch")) {
        assert!(!String::from_utf8_lossy(&content).contains("swordfish"), "{file:?}");
    }

    // Nor in what is said when it goes wrong.
    stack.file(&file.replace("orch-test/web:1", "orch-test/none:${DB_PASSWORD}"));
    let failed = stack.orch(&["apply", "--auto-approve"]).exits(5);
    assert!(!format!("{}{}", failed.out, failed.err).contains("swordfish"), "{}", failed.err);
}
