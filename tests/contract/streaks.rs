//! The promise: a failure streak outlives the run that it began in: since when, how often, and what was told of it. So it is for
//! runs by a timer, and over a restart. What a command obtained without delivering it is new to its file when it is delivered.

use serde_json::Value;

use support::{Sandbox, token, until};

/// A source that fails until there is a file `good`; `on_failure` writes down what it is told.
fn config(sandbox: &Sandbox, after: &str, more: &str) {
    let dir = sandbox.dir().display();
    sandbox.script("get", &format!("[ -e {dir}/good ] && echo opaque-token || {{ echo down >&2; exit 1; }}"));
    sandbox.script("tell", &format!("echo $RENEWD_REASON >> {dir}/told"));
    sandbox.config(format!(
        "[token.a]\nsource = \"command\"\ncommand = [\"{dir}/get\"]\nttl = \"1h\"\n\
         output = [{{ format = \"token\", path = \"out/a.token\" }}]\n\
         on_failure = {{ command = [\"{dir}/tell\"], after = \"{after}\" }}\n{more}"
    ));
}

fn lines(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(sandbox.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The row of `a`, read without a daemon.
fn row(sandbox: &Sandbox) -> Value {
    let ran = sandbox.ours(&["status", "--json"]);
    let status: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"));
    status["tokens"][0].clone()
}

#[test]
fn runs_by_a_timer_have_one_streak_and_tell_it_once() {
    let sandbox = Sandbox::new();
    config(&sandbox, "2s", "");
    sandbox.ours(&["once"]).expect(1);
    let first = row(&sandbox);
    assert_eq!((&first["tries"], &first["reason"]), (&1.into(), &"unreachable".into()), "{first:#}");
    assert!(first["failing_since"].is_string() && first["last_error"].as_str().is_some_and(|why| why.contains("down")));
    assert!(lines(&sandbox, "told").is_empty(), "the streak has not lasted for so long");
    let mut runs = 1;
    until("it has lasted for so long", || {
        sandbox.ours(&["once"]).expect(1);
        runs += 1;
        !lines(&sandbox, "told").is_empty()
    });
    sandbox.ours(&["once"]).expect(1);
    let last = row(&sandbox);
    assert_eq!((&last["tries"], &last["failing_since"]), (&(runs + 1).into(), &first["failing_since"]), "{last:#}");
    // Who only looks for a token of his own ends no streak, and begins none.
    sandbox.ours(&["token", "a"]).expect(75);
    assert_eq!(row(&sandbox)["tries"], runs + 1);
    assert_eq!(lines(&sandbox, "told"), ["unreachable"]);
    sandbox.put("good", "");
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(lines(&sandbox, "told"), ["unreachable", "recovered"]);
    let well = row(&sandbox);
    assert_eq!((&well["tries"], &well["failing_since"]), (&0.into(), &Value::Null), "{well:#}");
    sandbox.ours(&["once", "--force"]).expect(0);
    assert_eq!(lines(&sandbox, "told").len(), 2);
}

#[test]
fn a_restart_goes_on_with_the_streak() {
    let sandbox = Sandbox::new();
    config(&sandbox, "1ms", "");
    let daemon = sandbox.daemon().spawn();
    until("it is told", || lines(&sandbox, "told") == ["unreachable"]);
    let before = daemon.token("a");
    daemon.stop();
    let daemon = sandbox.daemon().spawn();
    until("it has tried again", || {
        sandbox.path("control.sock").exists() && daemon.token("a")["tries"].as_u64() > before["tries"].as_u64()
    });
    assert_eq!(daemon.token("a")["failing_since"], before["failing_since"]);
    assert_eq!(lines(&sandbox, "told"), ["unreachable"]);
    daemon.stop();
    sandbox.put("good", "");
    let daemon = sandbox.start();
    until("it is over", || lines(&sandbox, "told") == ["unreachable", "recovered"]);
    daemon.stop();
    sandbox.start().stop();
    assert_eq!(lines(&sandbox, "told").len(), 2);
}

#[test]
fn a_failed_hook_is_a_trouble_until_it_goes_well() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    sandbox.script("hook", &format!("[ -e {dir}/hook-good ]"));
    sandbox.put("good", "");
    config(&sandbox, "1ms", &format!("after_rotate = {{ command = [\"{dir}/hook\"] }}\n"));
    sandbox.ours(&["once"]).expect(1);
    assert_eq!(row(&sandbox)["reason"], "hook");
    assert_eq!(row(&sandbox)["state"], "retrying");
    let daemon = sandbox.start();
    assert_eq!(daemon.token("a")["reason"], "hook");
    daemon.stop();
    sandbox.put("hook-good", "");
    sandbox.ours(&["once", "--force"]).expect(0);
    assert_eq!((&row(&sandbox)["reason"], &row(&sandbox)["state"]), (&Value::Null, &"valid".into()));
    assert_eq!(lines(&sandbox, "told").last().map(String::as_str), Some("recovered"));
}

/// `token` delivers nothing; who delivers it later runs its hook, once.
#[test]
fn what_a_command_obtained_is_new_to_its_file() {
    let sandbox = Sandbox::new();
    let hook = format!("command = [\"sh\", \"-c\", \"echo ran >> {}/hooked\"]", sandbox.dir().display());
    sandbox.config(token("a").hook("after_rotate", &hook));
    sandbox.ours(&["once"]).expect(0);
    let first = sandbox.read("a.token");
    for (number, delivers) in [(2, "once"), (3, "the daemon")] {
        let mut obtained = String::new();
        until("the one at hand will not do", || {
            obtained = sandbox.ours(&["token", "a", "--min-valid", "59m 59s"]).expect(0).stdout.trim().to_owned();
            obtained != sandbox.read("a.token")
        });
        assert_eq!(lines(&sandbox, "hooked").len(), number - 1);
        match delivers {
            "once" => drop(sandbox.ours(&["once"]).expect(0)),
            _ => {
                let daemon = sandbox.start();
                // A stop would end it, and it would be owed still.
                until("its hook is done", || daemon.token("a")["last_hook"]["ok"] == true);
                daemon.stop();
            }
        }
        assert_eq!(sandbox.read("a.token"), obtained);
        sandbox.ours(&["once"]).expect(0);
        assert_eq!(lines(&sandbox, "hooked").len(), number, "once");
    }
    assert_ne!(sandbox.read("a.token"), first);
}
