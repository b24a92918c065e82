//! What the command line prints, as transcripts: help, usage errors, errors of a definition.

#[test]
fn transcripts_are_what_orch_prints() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .env("COLUMNS", "100")
        .env("HOME", "/nonexistent")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .register_bin("orch", trycmd::cargo::cargo_bin!("orch"))
        .case("tests/cmd/*.trycmd");
}
