//! The page about one token, with a daemon and its config.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::stand_in::{StandIn, night};
use super::terminal::{Terminal, status};
use support::{Sandbox, token};

#[test]
fn the_page_names_each_setting_with_its_line_and_no_secret() {
    let sandbox = Sandbox::new();
    let api = token("api")
        .secret("secret.value = \"07c6e2t1rb92987fnrd705jkk8582p9e\"")
        .line("claims = { password = \"hunter2\" }")
        .hook("after_rotate", "command = [\"/bin/true\", \"hunter2\"]");
    let config = sandbox.config(format!("include = []\n{}{api}", token("other")).replace("include = []\n", ""));
    let daemon = sandbox.start();
    let page = sandbox.finish(status(&sandbox, &["api"]), "").expect(0).stdout;
    assert!(page.starts_with("api: valid\n"), "{page}");
    let text = fs::read_to_string(&config).expect("the config");
    let line = |what: &str| {
        let api = text.find("[token.api]").expect("the table");
        text[..api].lines().count() + text[api..].lines().position(|line| line.starts_with(what)).expect(what) + 1
    };
    for (setting, at) in [
        ("algorithm = \"HS256\"", line("algorithm")),
        ("secret.value = (not shown)", line("secret.value")),
        ("claims = password (values not shown)", line("claims")),
        ("output.path = \"out/api.token\"", line("path")),
        ("after_rotate.command = [\"/bin/true\", ...] (1 argument not shown)", line("command")),
    ] {
        let found = page.lines().any(|line| line.contains(setting) && line.ends_with(&format!("  config.toml:{at}")));
        assert!(found, "{setting} at {at}:\n{page}");
    }
    assert!(page.contains(&format!("Settings, as they stand in {}\n", config.display())), "{page}");
    assert!(page.contains("\n  rotate_at = 0.67"), "{page}");
    for secret in ["hunter2", "07c6e2t1rb92987fnrd705jkk8582p9e"] {
        assert!(!page.contains(secret), "{page}");
    }
    // Of several tokens it is the table.
    let table = sandbox.finish(status(&sandbox, &["api", "other"]), "").expect(0).stdout;
    assert!(table.starts_with("2 tokens: all valid\nNAME "), "{table}");
    daemon.stop();
}

#[test]
fn the_page_fits_a_narrow_terminal() {
    let sandbox = Sandbox::new();
    sandbox.config(token("api"));
    let daemon = sandbox.start();
    let mut command = status(&sandbox, &["api"]);
    command.env("NO_COLOR", "1");
    let (ended, page) = Terminal::start(command, 40, 24).end();
    assert_eq!(ended.code(), Some(0));
    assert!(page.contains("\nexpires        ") && page.contains("\nOutputs\n"), "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 40), "{page}");
    daemon.stop();
}

#[test]
fn a_config_that_cannot_be_read_is_told() {
    let sandbox = Sandbox::new();
    let mut document = night();
    document["tokens"] = json!([document["tokens"][1]]);
    let config = sandbox.path("config.toml");
    document["config"]["path"] = config.to_str().expect("UTF-8").into();
    let _daemon = StandIn::new(&sandbox, document, 1);
    let settings = || {
        let page = sandbox.finish(status(&sandbox, &["crm"]), "").expect(1).stdout;
        assert!(page.starts_with("crm: expired; needs attention\n"), "{page}");
        page.split_once("\nSettings").expect("settings").1.to_owned()
    };
    let shown = config.display();
    let runs = "the daemon runs the config that it read at 2026-11-26 20:00:00 UTC";
    assert_eq!(settings(), format!("\n  they cannot be shown: {shown} does not exist; {runs}\n"));
    sandbox.put("config.toml", "[token.crm\n");
    let broken = "is not TOML now: `renewd check` shows where it is broken";
    assert_eq!(settings(), format!("\n  they cannot be shown: {shown} {broken}; {runs}\n"));
    sandbox.put("config.toml", "[token.other]\n");
    assert_eq!(
        settings(),
        format!("\n  they cannot be shown: {shown} and what it includes do not name it now; {runs}\n")
    );
    // The daemon read its config a year ago: what stands in the file is newer.
    sandbox.put("config.toml", "include = [\"more.toml\"]\n");
    sandbox.put("more.toml", "[token.crm]\nsource = \"oauth2\"\n");
    let older = settings();
    assert!(older.contains("the daemon runs an older config, read at 2026-11-26 20:00:00 UTC: "), "{older}");
    assert!(older.contains("  source = \"oauth2\""), "{older}");
    assert!(older.contains("  more.toml:2\n"), "{older}");
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(&config, fs::Permissions::from_mode(0o000)).expect("chmod");
        assert!(settings().contains("they cannot be shown: "), "{}", settings());
    }
}
