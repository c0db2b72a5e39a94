//! The promise: hooks run only after a rotation that reached all outputs, with the token on disk, and hold nobody up.
//! One at a time for a token (a rotation meanwhile runs it once more), 8 at a time in all; one that hangs is killed
//! with its children. on_failure: once a failure streak that has lasted `after`, and once when it is over.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use support::{Sandbox, eventually, names_in, token, until};

fn command(sandbox: &Sandbox, name: &str, more: &str) -> String {
    format!("command = [\"{}\"]\n{more}", sandbox.path(name).display())
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A hook that appends a line of what it was told, once its token was found on disk.
fn telling(sandbox: &Sandbox, what: &str) {
    let dir = sandbox.dir().display();
    sandbox.script("tell", &format!("cd {dir}\necho \"{what}\" >> told"));
}

#[test]
fn it_runs_when_the_token_is_on_disk_and_knows_its_name_and_end() {
    let sandbox = Sandbox::new();
    telling(&sandbox, "$RENEWD_TOKEN_NAME $RENEWD_EXPIRES_AT. $(cat out/$RENEWD_TOKEN_NAME.token)");
    let hook = command(&sandbox, "tell", "");
    let forever = token("forever").line("lifetime = \"never\"\nrotate_every = \"30d\"");
    sandbox.config(format!("{}{}", token("a").hook("after_rotate", &hook), forever.hook("after_rotate", &hook)));
    let daemon = sandbox.start();
    until("both ran", || lines(&sandbox.path("told")).len() == 2);
    let told = lines(&sandbox.path("told"));
    let a = sandbox.jwt("a");
    assert!(told.contains(&format!("a {}. {}", a.number("exp"), a.text)), "{told:?}");
    let forever = sandbox.jwt("forever").text;
    assert!(told.contains(&format!("forever . {forever}")), "{told:?}");
    assert!(sandbox.rotate(&["a"]));
    until("and again", || lines(&sandbox.path("told")).len() == 3);
    let again = sandbox.jwt("a");
    let last = format!("a {}. {}", again.number("exp"), again.text);
    assert_eq!(lines(&sandbox.path("told"))[2], last);
    daemon.stop();
}

#[test]
fn not_before_all_outputs_are_reached_and_not_after_a_restart_or_a_redelivery() {
    let sandbox = Sandbox::new();
    telling(&sandbox, "$RENEWD_TOKEN_NAME");
    let hook = command(&sandbox, "tell", "");
    let retry = "retry = { initial = \"100ms\", max = \"300ms\" }";
    let a = token("a").plain("a.token").plain("second").line(retry).hook("after_rotate", &hook);
    let fence = token("fence").hook("after_rotate", &hook);
    sandbox.config(format!("{a}{fence}"));
    let daemon = sandbox.start();
    let told = |name: &str| lines(&sandbox.path("told")).iter().filter(|l| *l == name).count();
    until("both ran", || told("a") == 1 && told("fence") == 1);

    sandbox.link_in_place("nowhere", "second");
    assert!(!sandbox.rotate(&["a"]));
    assert!(sandbox.rotate(&["fence"]));
    until("the fence", || told("fence") == 2);
    assert_eq!(told("a"), 1, "ran though an output was not reached");
    fs::remove_file(sandbox.out("second")).expect("rm");
    until("it ran once all were reached", || told("a") == 2);
    daemon.stop();

    let daemon = sandbox.start();
    // A deleted output is delivered again by a reload: no rotation either.
    fs::remove_file(sandbox.out("a.token")).expect("rm");
    sandbox.ours(&["reload"]).expect(0);
    until("delivered again", || sandbox.out("a.token").exists());
    assert!(sandbox.rotate(&["fence"]));
    until("the fence", || told("fence") == 3);
    assert_eq!(told("a"), 2, "ran without a rotation");
    daemon.stop();
}

fn dead(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        // A zombie that nobody has waited for is dead all the same.
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
    }
}

#[test]
fn one_that_hangs_is_killed_with_its_children_and_holds_nobody_up() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    sandbox.script("hang", &format!("trap '' TERM INT HUP\nsleep 120 &\necho $$ $! >> {dir}/pids\nsleep 1000"));
    let hang = command(&sandbox, "hang", "timeout = \"2s\"");
    sandbox.config(format!("{}{}", token("a").hook("after_rotate", &hang), token("b")));
    let daemon = sandbox.start();
    until("it hangs", || lines(&sandbox.path("pids")).len() == 1);
    let began = Instant::now();
    let before = (sandbox.read("a.token"), sandbox.read("b.token"));
    assert!(sandbox.rotate(&["a"]) && sandbox.rotate(&["b"]));
    assert!(sandbox.read("a.token") != before.0 && sandbox.read("b.token") != before.1);
    assert!(began.elapsed() < Duration::from_secs(2), "held up for {:?}", began.elapsed());
    let all = || -> Vec<String> {
        let text = lines(&sandbox.path("pids")).join(" ");
        text.split_whitespace().map(str::to_owned).collect()
    };
    let first = all();
    until("the first is dead with its child", || first[..2].iter().all(|p| dead(p)));
    until("it ran once more for the rotation meanwhile", || all().len() >= 4);
    until("the log tells", || daemon.log().contains("hang"));
    let told = daemon.token("a");
    assert_eq!((&told["state"], &told["reason"]), (&json!("retrying"), &json!("hook")), "the token is valid still");
    daemon.stop();
    until("none is left behind", || all().iter().all(|p| dead(p)));
}

#[test]
fn one_at_a_time_for_a_token_and_once_more_for_what_came_meanwhile() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    let body = format!(
        "cd {dir}\nmkdir busy || echo overlap >> told\ncat out/a.token >> told; echo >> told\nwhile [ ! -e go ]; do sleep 0.02; done\nrmdir busy\necho done >> told"
    );
    sandbox.script("slow", &body);
    let hook = command(&sandbox, "slow", "timeout = \"1m\"");
    sandbox.config(token("a").hook("after_rotate", &hook));
    let daemon = sandbox.start();
    let told = || lines(&sandbox.path("told"));
    until("the first runs", || told().len() == 1);
    for _ in 0..5 {
        assert!(sandbox.rotate(&["a"]));
    }
    let last = sandbox.read("a.token");
    assert_eq!(told().len(), 1, "a second one beside the first");
    sandbox.put("go", "");
    until("the second has run", || told().iter().filter(|l| *l == "done").count() == 2);
    let seen = told();
    assert!(!seen.contains(&"overlap".to_owned()), "{seen:?}");
    assert_eq!(seen[2], last, "the second sees the last token");
    // The fence: one more rotation, one more run, and nothing in between.
    assert!(sandbox.rotate(&["a"]));
    until("the third", || told().iter().filter(|l| *l == "done").count() == 3);
    assert_eq!(told().len(), 6, "{:?}", told());
    daemon.stop();
}

#[test]
fn one_that_had_to_wait_is_told_the_end_of_what_stands_in_the_file() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    sandbox.script(
        "slow",
        &format!(
            "cd {dir}\necho \"$RENEWD_EXPIRES_AT $(cat out/a.token)\" >> told\nwhile [ ! -e go ]; do sleep 0.02; done"
        ),
    );
    let hook = command(&sandbox, "slow", "timeout = \"1m\"");
    // Each rotation ends at another second.
    sandbox.config(token("a").line("lifetime = \"1h\"").hook("after_rotate", &hook));
    let daemon = sandbox.start();
    let told = || lines(&sandbox.path("told"));
    until("the first runs", || told().len() == 1);
    let first = sandbox.jwt("a").number("exp");
    until("another second", || sandbox.rotate(&["a"]) && sandbox.jwt("a").number("exp") > first);
    let second = sandbox.jwt("a").number("exp");
    // From now on nothing can be written into the folder; what is obtained there is kept in memory.
    let wide = |mode| fs::set_permissions(sandbox.path("out"), std::os::unix::fs::PermissionsExt::from_mode(mode));
    wide(0o777).expect("chmod");
    let later = || daemon.token("a")["issued_at"].as_str().map(str::to_owned);
    let before = later();
    until("a third is at hand", || !sandbox.rotate(&["a"]) && later() != before);
    sandbox.put("go", "");
    until("the second has begun", || told().len() == 2);
    wide(0o700).expect("chmod");
    for line in told() {
        let (told, text) = line.split_once(' ').expect("two words");
        let file = support::Jwt::parse(text).expect("a token").number("exp");
        assert_eq!(told, file.to_string(), "told of another one than the file holds ({first}, {second})");
    }
    daemon.stop();
}

#[test]
fn eight_at_a_time_in_all() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    sandbox.mkdir("running");
    let body = format!(
        "cd {dir}\n: > running/$RENEWD_TOKEN_NAME\nwhile [ ! -e go ]; do sleep 0.02; done\nls running | wc -l >> counts\nrm running/$RENEWD_TOKEN_NAME\necho >> done"
    );
    sandbox.script("slow", &body);
    let hook = command(&sandbox, "slow", "timeout = \"1m\"");
    let body: String = (0..20).map(|i| token(&format!("t{i}")).hook("after_rotate", &hook).to_string()).collect();
    sandbox.config(format!("{body}{}", token("free")));
    let daemon = sandbox.start();
    let running = || names_in(&sandbox.path("running")).len();
    until("eight run", || running() == 8);
    // All that is served meanwhile is the fence.
    for _ in 0..20 {
        assert!(sandbox.rotate(&["free"]));
        assert!(running() <= 8, "{} at a time", running());
    }
    sandbox.put("go", "");
    until("all have run", || lines(&sandbox.path("done")).len() == 20);
    let counts: Vec<usize> = lines(&sandbox.path("counts")).iter().filter_map(|l| l.trim().parse().ok()).collect();
    assert!(counts.iter().all(|c| *c <= 8), "{counts:?}");
    daemon.stop();
}

#[test]
fn a_failing_streak_is_told_once_and_its_end_once() {
    let sandbox = Sandbox::new();
    telling(&sandbox, "$RENEWD_TOKEN_NAME/$RENEWD_REASON/$RENEWD_EXPIRES_AT");
    sandbox.mkdir("out/sub");
    let retry = "retry = { initial = \"100ms\", max = \"300ms\" }";
    let hook = command(&sandbox, "tell", "after = \"1s\"");
    sandbox.config(token("a").plain("sub/t").line(retry).hook("on_failure", &hook));
    let daemon = sandbox.start();
    let told = || lines(&sandbox.path("told"));
    let failures = || daemon.token("a")["failures"].as_u64().unwrap_or_default();
    for streak in 1..=2 {
        fs::remove_dir_all(sandbox.out("sub")).expect("rm -r");
        let began = Instant::now();
        assert!(!sandbox.rotate(&["a"]));
        until("the streak is told", || told().len() == 2 * streak - 1);
        assert!(began.elapsed() >= Duration::from_secs(1), "before `after`: {:?}", began.elapsed());
        let now = failures();
        until("it goes on failing", || failures() >= now + 4);
        assert_eq!(told().len(), 2 * streak - 1, "told twice: {:?}", told());
        sandbox.mkdir("out/sub");
        until("its end is told", || told().len() == 2 * streak);
        assert_eq!(daemon.token("a")["state"], "valid");
    }
    for (index, line) in told().iter().enumerate() {
        let [name, reason, expires] = line.split('/').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        assert_eq!(name, "a", "{line}");
        assert_eq!(reason == "recovered", index % 2 == 1, "{line}");
        assert!(!reason.is_empty(), "{line}");
        assert!(expires.parse::<i64>().is_ok(), "Unix seconds: {line}");
    }
    daemon.stop();
}

#[test]
fn a_streak_that_is_over_before_after_is_nobodys_business() {
    let sandbox = Sandbox::new();
    telling(&sandbox, "$RENEWD_TOKEN_NAME $RENEWD_REASON");
    let retry = "retry = { initial = \"100ms\", max = \"200ms\" }";
    let failing = |name: &str, after: &str| {
        sandbox.mkdir(&format!("out/{name}"));
        let hook = command(&sandbox, "tell", &format!("after = \"{after}\""));
        token(name).plain(&format!("{name}/t")).line(retry).hook("on_failure", &hook)
    };
    sandbox.config(format!("{}{}", failing("short", "1h"), failing("fence", "1s")));
    let daemon = sandbox.start();
    for name in ["short", "fence"] {
        fs::remove_dir_all(sandbox.out(name)).expect("rm -r");
        assert!(!sandbox.rotate(&[name]));
    }
    until("the fence tells", || lines(&sandbox.path("told")).len() == 1);
    for name in ["short", "fence"] {
        sandbox.mkdir(&format!("out/{name}"));
        until("healed", || daemon.token(name)["state"] == "valid");
    }
    until("the fence tells its end", || lines(&sandbox.path("told")).len() == 2);
    let told = lines(&sandbox.path("told"));
    assert!(told.iter().all(|l| l.starts_with("fence")), "{told:?}");
    daemon.stop();
}

#[test]
fn a_signal_reaches_the_process_of_the_pid_file() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    sandbox.script(
        "job",
        &format!(
            "cd {dir}\ntrap 'cat out/a.token >> told; echo >> told' HUP\necho $$ > pid\nwhile :; do sleep 0.05; done"
        ),
    );
    let mut job = sandbox.detached(std::process::Command::new(sandbox.path("job")));
    until("the job runs", || !lines(&sandbox.path("pid")).is_empty());
    let pid_file = sandbox.path("pid");
    let hook = format!("signal = {{ pid_file = \"{}\", signal = \"HUP\" }}", pid_file.display());
    sandbox.config(token("a").hook("after_rotate", &hook));
    let mut daemon = sandbox.start();
    until("the first", || lines(&sandbox.path("told")) == [sandbox.read("a.token")]);
    assert!(sandbox.rotate(&["a"]));
    until("the second", || lines(&sandbox.path("told")).last() == Some(&sandbox.read("a.token")));
    // One that is gone is warned of once, however often there is a rotation meanwhile, and once more when it was there between.
    let kept = fs::read_to_string(&pid_file).expect("the number");
    let warned = || daemon.log().matches("is not there: the service does not run yet").count();
    let failed = || {
        daemon.token("a")["events"].as_array().is_some_and(|events| {
            events.last().is_some_and(|last| last["what"].as_str().is_some_and(|what| what.contains("is not there")))
        })
    };
    for streak in 1..=2 {
        fs::remove_file(&pid_file).expect("rm");
        for _ in 0..3 {
            assert!(sandbox.rotate(&["a"]));
            until("the hook has failed", &failed);
        }
        assert_eq!(warned(), streak, "{}", daemon.log());
        assert_eq!(daemon.token("a")["reason"], "hook");
        sandbox.put("pid", &kept);
        assert!(sandbox.rotate(&["a"]));
        until("it has recovered", || daemon.token("a")["last_hook"]["ok"] == true);
    }
    // A pid file that is gone, or holds no number, is logged and no more.
    for content in [None, Some("no number"), Some("0"), Some("-1")] {
        match content {
            None => fs::remove_file(&pid_file).expect("rm"),
            Some(text) => drop(sandbox.put("pid", text)),
        }
        assert!(sandbox.rotate(&["a"]));
        assert!(daemon.alive(), "{content:?}");
    }
    until("the log tells", || daemon.log().contains("pid"));
    until("status tells", || daemon.token("a")["reason"] == "hook");
    let alive = job.try_wait().expect("wait").is_none();
    let _ = job.kill();
    let _ = job.wait();
    assert!(alive, "the job was hit by a signal that was not for it");
    daemon.stop();
}

#[test]
fn once_waits_for_its_hooks() {
    let sandbox = Sandbox::new();
    telling(&sandbox, "$(sleep 1; echo $RENEWD_TOKEN_NAME)");
    let hook = command(&sandbox, "tell", "");
    sandbox.config(format!("{}{}", token("a").hook("after_rotate", &hook), token("b")));
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(lines(&sandbox.path("told")), ["a"]);
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(lines(&sandbox.path("told")), ["a"], "nothing was rotated");
}

/// The night's call: the token is renewed, and the service never heard of it.
#[test]
fn a_hook_that_fails_is_its_tokens_trouble_until_a_later_run_goes_well() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    sandbox.script("reload", &format!("cd {dir}\necho ran >> runs\n[ ! -e broken ] || exit 7"));
    telling(&sandbox, "$RENEWD_TOKEN_NAME/$RENEWD_REASON");
    sandbox.put("broken", "");
    let hook = command(&sandbox, "reload", "");
    let page = command(&sandbox, "tell", "after = \"1ms\"");
    sandbox.config(token("a").hook("after_rotate", &hook).hook("on_failure", &page));
    let daemon = sandbox.start();
    until("it is told", || daemon.token("a")["reason"] == "hook");
    let row = daemon.token("a");
    assert_eq!((&row["state"], &row["on_disk"], &row["failures"]), (&json!("retrying"), &json!(true), &json!(1)));
    let error = row["last_error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("after_rotate") && error.contains("status 7") && error.contains("next rotation"), "{error}");
    until("on_failure is run", || lines(&sandbox.path("told")) == ["a/hook"]);
    sandbox.ours(&["status", "a"]).expect(0);
    fs::remove_file(sandbox.path("broken")).expect("rm");
    assert_eq!(lines(&sandbox.path("runs")).len(), 1, "it was run again by itself");
    sandbox.ours(&["rotate", "--force", "a"]).expect(0);
    until("recovered", || daemon.token("a")["state"] == "valid");
    until("its end is told", || lines(&sandbox.path("told")).last().is_some_and(|line| line == "a/recovered"));
    assert!(daemon.token("a")["reason"].is_null());
    daemon.stop();
}

#[test]
fn one_that_could_not_be_started_is_tried_again() {
    let sandbox = Sandbox::new();
    let retry = "retry = { initial = \"100ms\", max = \"300ms\" }";
    telling(&sandbox, "$RENEWD_TOKEN_NAME");
    let hook = command(&sandbox, "tell", "");
    sandbox.config(token("a").line(retry).hook("after_rotate", &hook));
    sandbox.ours(&["check"]).expect(0);
    // Its interpreter is missing: that is found when it is started.
    sandbox.put("tell", "#!/no/such/interpreter\n");
    let daemon = sandbox.start();
    until("it is told", || daemon.token("a")["reason"] == "hook");
    until("it is tried again", || daemon.token("a")["failures"].as_u64() >= Some(3));
    telling(&sandbox, "$RENEWD_TOKEN_NAME");
    until("it ran", || lines(&sandbox.path("told")) == ["a"]);
    until("recovered", || daemon.token("a")["state"] == "valid");
    daemon.stop();
}

#[test]
fn one_that_fails_is_logged_fails_once_and_harms_nobody() {
    let sandbox = Sandbox::new();
    sandbox.script("fail", "exit 3");
    let hook = command(&sandbox, "fail", "");
    sandbox.config(token("a").hook("after_rotate", &hook));
    let mut daemon = sandbox.start();
    eventually(Duration::from_secs(20), "the log tells", || {
        let log = daemon.log();
        (log.contains("fail") && log.contains('3')).then_some(())
    });
    assert!(sandbox.rotate(&["a"]));
    assert!(daemon.alive());
    daemon.stop();
    // The token is in place; what should have been told is not.
    sandbox.put("config.toml", sandbox.config_text("", token("b").hook("after_rotate", &hook)));
    let ran = sandbox.ours(&["once"]).expect(1);
    assert!(ran.stderr.contains("exited with status 3"), "{ran:?}");
    sandbox.jwt("b");
    sandbox.ours(&["once"]).expect(0);
}
