//! The promise: at a terminal `init` asks for what it was not given, and never shows the secret; whatever ends it, the
//! terminal shows again what is typed.

use std::process::Command;

use crate::init::{P256, rsa};
use crate::pty::Terminal;
use support::{SECRET, Sandbox, until};

fn start(sandbox: &Sandbox, args: &[&str]) -> Terminal {
    let mut command: Command = sandbox.command(&[]);
    command.args(["init", "-c", "made/config.toml"]).args(args);
    Terminal::start(&command)
}

fn checked(sandbox: &Sandbox) {
    let ran = sandbox.run(&["check", "-c", "made/config.toml"]).expect(0);
    assert!(ran.stdout.contains("ok: 1 token, 1 output\n"), "{ran:#?}");
}

#[test]
fn everything_is_asked_for_and_the_secret_is_not_shown() {
    let sandbox = Sandbox::new();
    let mut terminal = start(&sandbox, &[]);
    terminal.wait_for("What is the token for (sunbird, kong, ");
    terminal.send("nonsense\r");
    terminal.wait_for("one of these words");
    terminal.send("sunbird\r");
    terminal.wait_for("The key (");
    terminal.send("\r");
    terminal.wait_for("it is needed");
    terminal.send("k1\r");
    terminal.wait_for("The secret of that key (it is not shown): ");
    until("the terminal is quiet", || !terminal.echoes());
    terminal.send(&format!("{SECRET}\r"));
    terminal.wait_for("renewd check");
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.echoes(), "it shows again what is typed");
    assert!(!terminal.all().contains(&SECRET[..8]), "{}", terminal.all());
    checked(&sandbox);
    let kept = std::fs::read_to_string(sandbox.path("made/sunbird.secret")).expect("the secret");
    assert_eq!(kept, format!("{SECRET}\n"));
}

/// Ctrl-Z leaves the shell a terminal that shows what is typed; the secret is hidden again when the program goes on.
#[test]
fn a_program_that_is_stopped_leaves_the_terminal_as_it_was() {
    let sandbox = Sandbox::new();
    let mut terminal = start(&sandbox, &["--for", "sunbird", "--key", "k1"]);
    terminal.wait_for("The secret of that key (it is not shown): ");
    until("the terminal is quiet", || !terminal.echoes());
    terminal.send("\u{1a}");
    until("the shell has its terminal again", || terminal.echoes());
    let pid = rustix::process::Pid::from_raw(terminal.pid() as i32).expect("a pid");
    until("it has stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", terminal.pid())).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    });
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).expect("kill");
    until("it is quiet again", || !terminal.echoes());
    terminal.send(&format!("{SECRET}\r"));
    terminal.wait_for("renewd check");
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.echoes() && !terminal.all().contains(SECRET), "{}", terminal.all());
}

#[test]
fn what_was_given_is_not_asked_for() {
    let sandbox = Sandbox::new();
    let mut terminal = start(&sandbox, &["--for", "oauth2", "--client-id", "jobs"]);
    terminal.wait_for("The issuer's address, which tells the token endpoint (Return for none): ");
    terminal.send("\r");
    terminal.wait_for("The token endpoint: ");
    terminal.send("https://idp.example/token\r");
    terminal.wait_for("The scopes, with a space between (Return for none): ");
    terminal.send("read write\r");
    terminal.wait_for("The client secret (it is not shown): ");
    until("the terminal is quiet", || !terminal.echoes());
    terminal.send("hunter2\r");
    terminal.wait_for("renewd once");
    assert_eq!(terminal.end(), Some(0));
    assert!(!terminal.all().contains("client's id"), "{}", terminal.all());
    let text = std::fs::read_to_string(sandbox.path("made/config.toml")).expect("the config");
    assert!(text.contains("scope = \"read write\"") && text.contains("token_url"), "{text}");
    checked(&sandbox);
}

const APNS: [&str; 6] = ["--for", "apns", "--key", "ABC123DEFG", "--team", "DEF123GHIJ"];

/// `init` for APNs, where this key is pasted.
fn pasted(sandbox: &Sandbox, key: &str) -> Terminal {
    let mut terminal = start(sandbox, &APNS);
    terminal.wait_for("(Return to paste it): ");
    terminal.send("\r");
    terminal.wait_for("Paste it; it is not shown");
    until("the terminal is quiet", || !terminal.echoes());
    terminal.send(&key.replace('\n', "\r"));
    terminal
}

#[test]
fn a_key_is_taken_by_its_path_or_pasted() {
    let sandbox = Sandbox::new();
    sandbox.put("home/key.p8", P256);
    let mut terminal = start(&sandbox, &APNS);
    terminal.wait_for("(Return to paste it): ");
    terminal.send("~/key.p8\r");
    terminal.wait_for("renewd once");
    checked(&sandbox);

    let sandbox = Sandbox::new();
    let mut terminal = pasted(&sandbox, P256);
    terminal.wait_for("renewd once");
    assert_eq!(terminal.end(), Some(0));
    assert!(!terminal.all().contains("MIGHAgE"), "{}", terminal.all());
    assert_eq!(std::fs::read_to_string(sandbox.path("made/apns.p8")).expect("the key"), P256);
    checked(&sandbox);

    // One of another kind.
    let sandbox = Sandbox::new();
    let mut terminal = pasted(&sandbox, &rsa());
    terminal.wait_for("ES256 cannot sign with");
    assert_eq!(terminal.end(), Some(1));
    assert!(!sandbox.path("made").exists());

    // Pasted where its name was asked for: it is taken, none of it goes on to the shell, and it is said.
    let sandbox = Sandbox::new();
    let mut terminal = start(&sandbox, &APNS);
    terminal.wait_for("(Return to paste it): ");
    terminal.send(&P256.replace('\n', "\r"));
    terminal.wait_for("clear the screen");
    terminal.wait_for("renewd once");
    assert_eq!(std::fs::read_to_string(sandbox.path("made/apns.p8")).expect("the key"), P256);
}

#[test]
fn a_program_may_go_without_a_secret() {
    let sandbox = Sandbox::new();
    let mut terminal = start(&sandbox, &["--for", "command"]);
    terminal.wait_for("The program that prints the token: ");
    terminal.send("/bin/echo\r");
    terminal.wait_for("(Return for none), not shown: ");
    until("the terminal is quiet", || !terminal.echoes());
    terminal.send("\r");
    terminal.wait_for("renewd once");
    checked(&sandbox);
    assert!(!sandbox.path("made/command.secret").exists());
}

#[test]
fn an_interrupt_leaves_nothing_and_a_terminal_that_shows_what_is_typed() {
    for key in ["\x03", "\x04"] {
        let sandbox = Sandbox::new();
        let mut terminal = start(&sandbox, &["--for", "sunbird", "--key", "k1"]);
        terminal.wait_for("it is not shown");
        until("the terminal is quiet", || !terminal.echoes());
        terminal.send(key);
        assert_ne!(terminal.end(), Some(0));
        assert!(terminal.echoes(), "{key:?}");
        assert!(!sandbox.path("made").exists());
    }
    // What is refused in the end is refused before anything is asked.
    let sandbox = Sandbox::new();
    sandbox.mkdir("made");
    sandbox.put("made/config.toml", "[daemon]\n");
    let mut terminal = start(&sandbox, &["--for", "sunbird"]);
    assert_eq!(terminal.end(), Some(1));
    terminal.wait_for("is there already");
    assert!(!terminal.all().contains("The key"));
}
